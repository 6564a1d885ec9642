"""Detection labels to segmentation labels."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "predictors": [
            "PREDICTORS",
            "BoxMaskPredictor",
            "BoxPredictor",
            "GrabCutPredictor",
            "GroundTruthPredictor",
            "MaskPredictor",
            "Prediction",
            "SAMPredictor",
            "TransformersPredictor",
        ],
        "prompts": ["PROMPTS", "Prompts", "make_prompts", "parse_prompt"],
        "runner": ["Report", "convert_labels"],
        "settings": ["Settings", "load_conversion_config"],
    },
    registering=["predictors", "transforms"],
    stack=["runner", "settings"],
)
