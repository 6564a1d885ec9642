"""Crops of patches for training, turned, mirrored, moved and recoloured at random, and maps that show boxes.

Only torch is needed here.  Shapes: B objects; patches of P x P pixels; crops of S x S pixels.  A point x, y in pixels
counts from the upper left corner of the first pixel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["Augmentation", "Patches", "box_maps", "cut_patches", "draw_views"]


@dataclass(frozen=True)
class Patches:
    """Surroundings of B objects.

    Attributes:
        pixels: (B, 3, P, P) uint8 RGB.
        masks: (B, P, P) uint8, 255 on the object.
        boxes: (B, 4) x1 y1 x2 y2 in patch pixels, as labelled.
        rboxes: (B, 4, 2) corners of the rotated box, around the box.
        hulls: (B, K, 2) corners of the mask's convex hull; where there are fewer the last one is repeated.
        least: (B,) length in patch pixels; a box whose longer side is shorter is cut out as if it had it.
    """

    pixels: Tensor
    masks: Tensor
    boxes: Tensor
    rboxes: Tensor
    hulls: Tensor
    least: Tensor


@dataclass(frozen=True)
class Augmentation:
    """How training crops vary; the default is that of a crop at inference.

    Attributes:
        turns: Mirror and turn by quarters.
        free_turns: Share of objects that are turned by any angle; their box is that of the turned mask.
        box_jitter: Standard deviation of each box side's error, as a share of the box's length along it.
        jittered: Share of objects whose box is moved at all.
        scale: The crop's side varies by a factor from 1 / (1 + scale) to 1 + scale.
        shift: The crop's centre varies by this share of its side.
        colour: Strength of gain, offset and gamma, for each channel and for all.
        grey: Share of objects that lose their colour.
        rotated: Share of objects whose rotated box is shown.
    """

    turns: bool = False
    free_turns: float = 0.0
    box_jitter: float = 0.0
    jittered: float = 0.0
    scale: float = 0.0
    shift: float = 0.0
    colour: float = 0.0
    grey: float = 0.0
    rotated: float = 0.5


def box_maps(corners: Tensor, size: int) -> Tensor:
    """Where boxes are: 1 inside, -1 outside, in between on pixels that an edge crosses.

    Args:
        corners: (..., 4, 2) x y in crop pixels, in order around the box, in either sense.
        size: S.

    Returns:
        (..., S, S) float32.
    """
    along = torch.roll(corners, -1, dims=-2) - corners
    normal = torch.stack([-along[..., 1], along[..., 0]], dim=-1)
    normal = normal / normal.norm(dim=-1, keepdim=True).clamp_min(1e-6)
    centre = corners.mean(dim=-2, keepdim=True)
    inward = ((centre - corners) * normal).sum(-1, keepdim=True).sign()
    normal = normal * inward  # (..., 4, 2), each pointing into the box
    at = torch.arange(size, device=corners.device, dtype=corners.dtype) + 0.5
    offset = (corners * normal).sum(-1)
    inside: Tensor | None = None
    for edge in range(4):
        x, y = normal[..., edge, 0, None, None] * at, normal[..., edge, 1, None, None] * at[:, None]
        distance = x + y - offset[..., edge, None, None]
        inside = distance if inside is None else torch.minimum(inside, distance)
    assert inside is not None
    return (2 * inside).clamp(-1, 1)


def draw_views(patches: Patches, augmentation: Augmentation, size: int, context: float) -> tuple[Tensor, ...]:
    """Draw for each object how its patch is seen: the map from crop to patch, and the boxes in the crop.

    Args:
        patches: The objects.
        augmentation: How they vary.
        size: S.
        context: Side of a crop as a multiple of the box's longer side.

    Returns:
        (B, 2, 3) float32, patch pixels of homogeneous crop pixels; (B, 4, 2) corners of the box and (B, 4, 2) of the
        rotated box in crop pixels; (B,) bool, whether the rotated box is shown.
    """
    count, device = len(patches.boxes), patches.boxes.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, device=device)

    angle, mirror = torch.zeros(count, device=device), torch.ones(count, device=device)
    if augmentation.turns:
        angle = (uniform(count) * 4).floor() * (math.pi / 2)
        mirror = (uniform(count) < 0.5).float() * 2 - 1
    free = uniform(count) < augmentation.free_turns
    angle = angle + free * uniform(count) * (math.pi / 2)
    turn = torch.stack([torch.cos(angle), -torch.sin(angle), torch.sin(angle), torch.cos(angle)], -1).view(-1, 2, 2)
    turn = turn * torch.stack([mirror, torch.ones_like(mirror)], -1)[:, None]  # turned = turn @ patch
    corners = _corners(patches.boxes)
    box = torch.where(free[:, None, None], _hull(patches.hulls @ turn.mT), _hull(corners @ turn.mT))
    moved = (uniform(count) < augmentation.jittered)[:, None, None]
    sides = box[:, 1:] - box[:, :1]
    box = box + moved * torch.randn(count, 2, 2, device=device) * augmentation.box_jitter * sides
    box = _hull(box)
    lengths = (box[:, 1] - box[:, 0]).amax(-1)
    side = context * torch.maximum(lengths, patches.least)
    side = side * torch.exp((uniform(count) * 2 - 1) * math.log1p(augmentation.scale))
    centre = box.mean(1) + (uniform(count, 2) * 2 - 1) * augmentation.shift * side[:, None]
    factor = size / side
    into = factor[:, None, None] * turn  # crop = into @ patch + move
    move = size / 2 - factor[:, None] * centre
    back = torch.linalg.inv(into)
    view = torch.cat([back, -(back @ move[:, :, None])], dim=-1)
    seen = _corners(box.flatten(1)) * factor[:, None, None] + move[:, None]
    rotated = patches.rboxes @ into.mT + move[:, None]
    return view, seen, rotated, uniform(count) < augmentation.rotated


def cut_patches(
    patches: Patches, augmentation: Augmentation, size: int, context: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops for training.

    Args:
        patches: The objects.
        augmentation: How they vary.
        size: S.
        context: As for :func:`draw_views`.

    Returns:
        (B, 3, S, S) float32 pixels 0..255; (B, 2, S, S) prompt maps, of the box and of the rotated box (zeros where it
        is not shown); (B, 1, S, S) float32 masks 0..1.
    """
    view, boxes, rotated, shown = draw_views(patches, augmentation, size, context)
    side = patches.pixels.shape[-1]
    # affine_grid counts from -1 to 1 over both: u = 2 x / S - 1
    linear = view[:, :, :2] * (size / side)
    offset = (view[:, :, :2].sum(-1) * size / 2 + view[:, :, 2]) * 2 / side - 1
    grid = F.affine_grid(torch.cat([linear, offset[..., None]], -1), [len(view), 1, size, size], align_corners=False)
    planes = torch.cat([patches.pixels.float() - 127.0, patches.masks[:, None].float()], dim=1)
    cut = F.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    prompts = torch.stack([box_maps(boxes, size), box_maps(rotated, size) * shown[:, None, None]], dim=1)
    return _recolour(cut[:, :3], augmentation) + 127.0, prompts, cut[:, 3:] / 255.0


def _recolour(pixels: Tensor, augmentation: Augmentation) -> Tensor:
    """Gains and offsets, for all channels and each; some objects without colour.  Pixels less 127."""
    count, device = len(pixels), pixels.device
    if augmentation.grey:
        grey = (torch.rand(count, 1, 1, 1, device=device) < augmentation.grey).float()
        pixels = torch.lerp(pixels, pixels.mean(1, keepdim=True).expand_as(pixels), grey)
    if augmentation.colour:
        for channels, strength in ((1, augmentation.colour), (3, augmentation.colour / 2)):
            gain = torch.exp(torch.randn(count, channels, 1, 1, device=device) * strength)
            offset = torch.randn(count, channels, 1, 1, device=device) * strength * 64
            pixels = pixels * gain + offset
        pixels = pixels.clamp(-127, 128)
    return pixels


def _corners(boxes: Tensor) -> Tensor:
    """Corners (B, 4, 2) of boxes (B, 4)."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], dim=-1).view(-1, 4, 2)


def _hull(points: Tensor) -> Tensor:
    """The least and largest coordinates (B, 2, 2) of points (B, K, 2)."""
    return torch.stack([points.amin(1), points.amax(1)], dim=1)
