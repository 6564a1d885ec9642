"""Metrics that mmseg and mmpretrain lack."""

from rsseg.stack import require_stack

require_stack()

from rsseg.evaluation.across import use_dataset  # noqa: E402
from rsseg.evaluation.segmentation import SegmentationMetric  # noqa: E402

__all__ = ["SegmentationMetric", "use_dataset"]
