"""SAN: masks of a small network beside CLIP, and CLIP itself says what they show."""

from rsseg.models.san.adapter import SideAdapter, recognise
from rsseg.models.san.segmentor import SAN

__all__ = ["SAN", "SideAdapter", "recognise"]
