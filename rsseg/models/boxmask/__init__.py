"""Masks from boxes: a small network that is trained on whatever masks there are."""

from rsseg.models.boxmask.model import BoxMaskModel

__all__ = ["BoxMaskModel"]
