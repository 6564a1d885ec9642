"""Mask2Former for semantic segmentation in plain PyTorch: no mmdet, nothing to compile."""

from rsseg.models.mask2former.head import Mask2FormerDecoder, QueryHead
from rsseg.models.mask2former.losses import LossSettings, match, query_losses
from rsseg.models.mask2former.pixel_decoder import PixelDecoder, sine_positions
from rsseg.models.mask2former.proposals import MaskProposals
from rsseg.models.mask2former.segmentor import MultiHeadMask2Former
from rsseg.models.mask2former.transformer import QueryDecoder

__all__ = [
    "LossSettings",
    "Mask2FormerDecoder",
    "MaskProposals",
    "MultiHeadMask2Former",
    "PixelDecoder",
    "QueryDecoder",
    "QueryHead",
    "match",
    "query_losses",
    "sine_positions",
]
