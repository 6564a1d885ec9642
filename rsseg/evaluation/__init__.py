"""Metrics that mmseg and mmpretrain lack."""

from rsseg.stack import require_stack

require_stack()

from rsseg.evaluation.segmentation import SegmentationMetric  # noqa: E402

__all__ = ["SegmentationMetric"]
