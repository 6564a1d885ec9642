"""Mask models behind one call, ``predict(image, prompts)``; registered in mmseg's ``MODELS``.

A model of your own is a class with ``needs_gt_masks``, ``predict`` and ``describe``, registered in ``MODELS`` and
named in a config's ``predictors``.
"""

from rsseg.conversion.predictors.base import MaskPredictor, Prediction
from rsseg.conversion.predictors.boxmask import BoxMaskPredictor
from rsseg.conversion.predictors.grabcut import GrabCutPredictor
from rsseg.conversion.predictors.sam import SAMPredictor
from rsseg.conversion.predictors.sam2 import SAM2Predictor
from rsseg.conversion.predictors.sam3_text import Sam3TextPredictor
from rsseg.conversion.predictors.simple import BoxPredictor, GroundTruthPredictor
from rsseg.conversion.predictors.transformers_sam import TransformersPredictor

__all__ = [
    "PREDICTORS",
    "BoxMaskPredictor",
    "BoxPredictor",
    "GrabCutPredictor",
    "GroundTruthPredictor",
    "MaskPredictor",
    "Prediction",
    "SAM2Predictor",
    "SAMPredictor",
    "Sam3TextPredictor",
    "TransformersPredictor",
]

PREDICTORS: dict[str, str] = {
    "sam": "SAMPredictor",
    "sam2": "SAM2Predictor",
    "sam_hf": "TransformersPredictor",
    "sam2_hf": "TransformersPredictor",
    "sam3": "TransformersPredictor",
    "sam3_text": "Sam3TextPredictor",
    "boxmask": "BoxMaskPredictor",
    "grabcut": "GrabCutPredictor",
    "box": "BoxPredictor",
    "truth": "GroundTruthPredictor",
}
"""Short name -> registered class; configs may add names of their own in ``predictors``."""
