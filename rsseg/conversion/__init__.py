"""Detection labels to segmentation labels."""

from rsseg.conversion.ground_truth import GROUND_TRUTHS
from rsseg.conversion.predictors import (
    PREDICTORS,
    BoxPredictor,
    GrabCutPredictor,
    GroundTruthPredictor,
    MaskPredictor,
    Prediction,
    SAMPredictor,
)
from rsseg.conversion.prompts import PROMPTS, Prompts, make_prompts, parse_prompt
from rsseg.conversion.runner import Report, convert_labels
from rsseg.conversion.settings import Settings, load_config, shard_of

__all__ = [
    "GROUND_TRUTHS",
    "PREDICTORS",
    "PROMPTS",
    "BoxPredictor",
    "GrabCutPredictor",
    "GroundTruthPredictor",
    "MaskPredictor",
    "Prediction",
    "Prompts",
    "Report",
    "SAMPredictor",
    "Settings",
    "convert_labels",
    "load_config",
    "make_prompts",
    "parse_prompt",
    "shard_of",
]
