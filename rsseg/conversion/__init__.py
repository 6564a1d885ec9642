"""Detection labels to segmentation labels."""

from rsseg.conversion.predictors import (
    PREDICTORS,
    BoxPredictor,
    GrabCutPredictor,
    Prediction,
    Predictor,
    SAMPredictor,
    TruthPredictor,
)
from rsseg.conversion.prompts import PROMPTS, Prompts, make_prompts, parse_prompt
from rsseg.conversion.runner import Report, convert_labels
from rsseg.conversion.settings import Settings, load_config, shard_of
from rsseg.conversion.truths import TRUTHS

__all__ = [
    "PREDICTORS",
    "PROMPTS",
    "TRUTHS",
    "BoxPredictor",
    "GrabCutPredictor",
    "Prediction",
    "Predictor",
    "Prompts",
    "Report",
    "SAMPredictor",
    "Settings",
    "TruthPredictor",
    "convert_labels",
    "load_config",
    "make_prompts",
    "parse_prompt",
    "shard_of",
]
