"""OV-Seg: masks of MaskFormer, and a CLIP that knows which patches belong to them."""

from rsseg.models.ovseg.losses import FocalSettings, focal_losses
from rsseg.models.ovseg.maskformer import FeaturePyramid, MaskFormerProposals
from rsseg.models.ovseg.segmentor import OVSeg

__all__ = ["FeaturePyramid", "FocalSettings", "MaskFormerProposals", "OVSeg", "focal_losses"]
