"""Backbones that mmseg lacks: those of the SAMRS release, whose parameters have the published names, and DINOv3."""

from rsseg.models.backbones.dinov3 import DINOv3
from rsseg.models.backbones.internimage import InternImage
from rsseg.models.backbones.rvsa import RVSA
from rsseg.models.backbones.vit import ViT
from rsseg.models.backbones.vit_adapter import ViTAdapter
from rsseg.models.backbones.vitae import ViTAEv2

__all__ = ["RVSA", "DINOv3", "InternImage", "ViT", "ViTAEv2", "ViTAdapter"]
