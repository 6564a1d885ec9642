"""Metrics that mmseg and mmpretrain lack."""

from rsseg.stack import require_stack

require_stack()

from rsseg.evaluation.across import use_dataset  # noqa: E402
from rsseg.evaluation.segmentation import SegmentationMetric  # noqa: E402
from rsseg.evaluation.vocabulary import (  # noqa: E402
    VOCABULARY_SETS,
    check_sets,
    keep_scores,
    score_table,
    use_vocabulary,
    vocabulary_configs,
)

__all__ = [
    "VOCABULARY_SETS",
    "SegmentationMetric",
    "check_sets",
    "keep_scores",
    "score_table",
    "use_dataset",
    "use_vocabulary",
    "vocabulary_configs",
]
