"""Backbones of the SAMRS release that mmseg lacks; their parameters have the published names."""

from rsseg.models.backbones.internimage import InternImage
from rsseg.models.backbones.rvsa import RVSA
from rsseg.models.backbones.vit import ViT
from rsseg.models.backbones.vit_adapter import ViTAdapter
from rsseg.models.backbones.vitae import ViTAEv2

__all__ = ["RVSA", "InternImage", "ViT", "ViTAEv2", "ViTAdapter"]
