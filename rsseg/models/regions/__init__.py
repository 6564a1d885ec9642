"""Masks of a network, named by what CLIP sees in the regions that they cut out: what OV-Seg and SCAN share."""

from rsseg.models.regions.classifier import Regions, combine_scores, cut_regions, embed_regions, grid_masks
from rsseg.models.regions.segmentor import RegionSegmentor

__all__ = ["RegionSegmentor", "Regions", "combine_scores", "cut_regions", "embed_regions", "grid_masks"]
