"""Metrics that mmseg and mmpretrain lack."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "across": ["use_dataset"],
        "box_masks": ["BoxMaskMetric"],
        "image_scores": ["gather_image_scores"],
        "segmentation": ["SegmentationMetric"],
        "unlabelled": ["UnlabelledScores"],
        "vocabulary": [
            "BENCHMARKS",
            "VOCABULARY_SETS",
            "check_sets",
            "keep_scores",
            "score_table",
            "use_vocabulary",
            "vocabulary_configs",
        ],
    },
    registering=["box_masks", "segmentation", "unlabelled"],
)
