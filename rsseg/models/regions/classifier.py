"""What the masks of an image show: each is cut out and shown to CLIP.

Shapes: Q masks of an image of H x W pixels, R of them not empty, S the side that CLIP sees, L places of its grid.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from rsseg.models.gsnet.clip import CLIP

__all__ = ["ChangeOutside", "Regions", "combine_scores", "cut_regions", "embed_regions", "grid_masks"]

ChangeOutside = Callable[[int, torch.Tensor, torch.Tensor, slice], torch.Tensor]
"""New places (R, L, width) of a depth, the places, which of them are inside of the masks (R, L) bool, and which of all
regions these are."""

_AT_ONCE = 32
"""Regions that CLIP sees at once."""


class Regions(NamedTuple):
    """The regions of an image that masks cut out.

    Attributes:
        images: (R, 3, S, S) float32, normalised for CLIP; 0, CLIP's mean colour, outside of the mask.
        masks: (R, S, S) float32, 0 or 1.
        valid: (Q,) bool: which masks have a region; the others are empty.
    """

    images: torch.Tensor
    masks: torch.Tensor
    valid: torch.Tensor


def cut_regions(image: torch.Tensor, masks: torch.Tensor, threshold: float, side: int) -> Regions:
    """Cut the box of each mask out of an image, without what is outside of the mask, and squeeze it to a square.

    Args:
        image: (3, H, W) float32, normalised for CLIP.
        masks: (Q, H, W) float32 from 0 to 1.
        threshold: What a pixel's value must exceed to belong to the mask.
        side: Of the squares: images bicubic and not smoothed, masks nearest.

    Source: OV-Seg paper, section 3.1 and release.
    """
    inside = masks > threshold
    valid = inside.flatten(1).any(1)
    if masks.is_meta:  # multiply-adds are counted as if no mask were empty
        return Regions(image.new_zeros(len(masks), 3, side, side), image.new_zeros(len(masks), side, side), valid)
    images, cut = [], []
    for mask in inside:
        rows, columns = mask.any(1).nonzero()[:, 0], mask.any(0).nonzero()[:, 0]
        if not len(rows):
            continue
        box = (..., slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1))
        own = mask[box].to(image.dtype)[None, None]
        images.append(functional.interpolate(image[box] * own, (side, side), mode="bicubic", align_corners=False))
        cut.append(functional.interpolate(own, (side, side), mode="nearest")[:, 0])
    return Regions(
        torch.cat(images) if images else image.new_zeros(0, 3, side, side),
        torch.cat(cut) if cut else image.new_zeros(0, side, side),
        valid,
    )


def grid_masks(masks: torch.Tensor, patch: int) -> torch.Tensor:
    """Masks (R, S, S) of 0 and 1 on CLIP's grid: (R, L) bool, row by row, True where a patch has any pixel of it."""
    return functional.max_pool2d(masks[:, None], patch).flatten(1) > 0


def embed_regions(clip: CLIP, regions: Regions, change: ChangeOutside | None = None) -> torch.Tensor:
    """Features (R, embed) of the regions, of length 1, by CLIP as it was pre-trained.

    Args:
        clip: The model.
        regions: See :func:`cut_regions`.
        change: What becomes of the places at each depth, see :data:`ChangeOutside`.
    """
    tower, parts = clip.visual, []
    inside = grid_masks(regions.masks, tower.conv1.kernel_size[0])
    for start in range(0, len(inside), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        hook = None if change is None else functools.partial(_changed, change, inside[rows], rows)
        *_, last = tower.trace(regions.images[rows], hook)
        parts.append(functional.normalize(tower.whole(last).float(), dim=-1))
    return torch.cat(parts) if parts else regions.images.new_zeros(0, clip.embed)


def _changed(
    change: ChangeOutside, inside: torch.Tensor, rows: slice, depth: int, places: torch.Tensor
) -> torch.Tensor:
    return change(depth, places, inside, rows)


def combine_scores(
    queries: torch.Tensor, regions: torch.Tensor, valid: torch.Tensor, weight: float, release_defects: bool = False
) -> torch.Tensor:
    """Scores (Q, N) of the classes: a weighted geometric mean of what the queries and what CLIP makes of the regions.

    Args:
        queries: (Q, N + 1) float32 logits, the last for "none".
        regions: (R, N + 1) float32 logits of the masks that are not empty.
        valid: (Q,) bool, which those are.
        weight: CLIP's, from 0 to 1.
        release_defects: A query with an empty mask has the factor 1 for CLIP's share, more than any other, as in the
            releases.  Otherwise its own probability stands for CLIP's.

    Source: OV-Seg and SCAN releases; the classes' probabilities do not sum to 1, since that of "none" is cut off.
    """
    own = queries.softmax(-1)[:, :-1]
    seen = torch.ones_like(own) if release_defects else own
    if len(regions):
        rows = (valid.cumsum(0) - 1).clamp(min=0)
        seen = torch.where(valid[:, None], regions.softmax(-1)[rows, :-1], seen)
    return own ** (1 - weight) * seen**weight
