"""Prompts: what a mask model is told about each object, as pure functions on boxes.

A kind of prompt is a string of parts joined by ``+``: at most one point, one box, one mask and one text.

==========  =======  ===============================================================================
``cp``      point    centre: midpoint of the rotated box's first and third corner, on the object
``hbox``    box      the horizontal box of the label file
``rhbox``   box      the horizontal hull of the rotated box, which is handed on as well
``hbox_m``  mask     the horizontal box, filled
``rbox_m``  mask     the rotated box, filled
``rhbox_m`` mask     the horizontal hull of the rotated box, filled
``text``    text     the words of the object's class; alone, the model finds the objects of all classes by itself
==========  =======  ===============================================================================

Source: SAMRS paper, section 2.3; ``text`` is ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError
from rsseg.structures.boxes import qbox_to_hbox
from rsseg.structures.masks import MaskCrop

__all__ = ["PROMPTS", "Prompts", "make_prompts", "parse_prompt"]

PROMPTS: dict[str, str] = {
    "cp": "point",
    "hbox": "box",
    "rhbox": "box",
    "hbox_m": "mask",
    "rbox_m": "mask",
    "rhbox_m": "mask",
    "text": "text",
}
"""Part -> role; a kind has at most one part of each role."""

_ROLES = ("point", "box", "mask", "text")


@dataclass(frozen=True)
class Prompts:
    """Prompts for N objects of one tile, in tile pixels; ``None`` is a kind of prompt that is not given.

    Attributes:
        count: N.
        boxes: (N, 4) float64 x1 y1 x2 y2; may reach over the tile's border.
        qboxes: (N, 4, 2) float64 corners of rotated boxes, for models that can use them.
        points: (N, P, 2) float64 x y.
        point_labels: (N, P) int64, 1 = on the object, 0 = off it.
        mask_boxes: (N, 4) float64 x1 y1 x2 y2: each, filled, is a mask prompt (see :meth:`draw_mask`).
        mask_qboxes: (N, 4, 2) float64 corners: the same for rotated boxes; never together with ``mask_boxes``.
        gt_masks: N ground-truth masks (``None`` for an object without one), for ``GroundTruthPredictor`` only.
        labels: (N,) int64 class ids; there where the words are.
        words: Name of each class -> its words, in the order of the class ids.
    """

    count: int
    boxes: NDArray[np.float64] | None = None
    qboxes: NDArray[np.float64] | None = None
    points: NDArray[np.float64] | None = None
    point_labels: NDArray[np.int64] | None = None
    mask_boxes: NDArray[np.float64] | None = None
    mask_qboxes: NDArray[np.float64] | None = None
    gt_masks: Sequence[MaskCrop | None] | None = None
    labels: NDArray[np.int64] | None = None
    words: dict[str, tuple[str, ...]] | None = None

    @property
    def finds_objects(self) -> bool:
        """Whether only words are given, so that the model finds the objects by itself."""
        return self.words is not None and self.points is None and self.boxes is None and not self.has_masks

    @property
    def has_masks(self) -> bool:
        """Whether there are mask prompts."""
        return self.mask_boxes is not None or self.mask_qboxes is not None

    def need_boxes(self, who: str) -> NDArray[np.float64]:
        """``boxes``, for a model that cannot do without.

        Raises:
            ConfigError: There are none; the message names ``who`` wanted them.
        """
        if self.boxes is None:
            raise ConfigError(f"{who} needs box prompts; choose a prompt with the part 'hbox' or 'rhbox'")
        return self.boxes

    def draw_mask(self, i: int, size: tuple[int, int]) -> NDArray[np.bool_]:
        """The mask prompt of object ``i`` on a tile of ``size`` (H, W): (H, W) bool.

        Corners are cut to whole numbers towards zero; all pixels on the outline belong to the mask.

        Raises:
            ConfigError: There are no mask prompts.

        Source: SAMRS release, main_sam_hbox_mask_instance.py and main_sam_rbox_mask_instance.py.
        """
        canvas = np.zeros(size, np.uint8)
        if self.mask_boxes is not None:
            x1, y1, x2, y2 = self.mask_boxes[i].astype(np.int32).tolist()
            cv2.rectangle(canvas, (x1, y1), (x2, y2), 1, -1)
        elif self.mask_qboxes is not None:
            cv2.fillPoly(canvas, [self.mask_qboxes[i].astype(np.int32)], 1)
        else:
            raise ConfigError("there are no mask prompts; choose a prompt with the part hbox_m, rbox_m or rhbox_m")
        return canvas.astype(bool)


def parse_prompt(kind: str) -> tuple[str, ...]:
    """The parts of a kind in their canonical order: point, box, mask, text.

    Args:
        kind: Parts joined by ``+`` in any order, such as ``cp+hbox``; see the module's table.

    Raises:
        ConfigError: A part is unknown, or two have the same role; the message lists the parts.
    """
    parts = kind.split("+") if isinstance(kind, str) else [str(kind)]
    roles = [PROMPTS.get(part) for part in parts]
    if None in roles or len(set(roles)) < len(roles):
        rows = [f"{role} {', '.join(part for part, own in PROMPTS.items() if own == role)}" for role in _ROLES]
        raise ConfigError(f"no prompt kind {kind!r}; join with '+' at most one part of each row: {'; '.join(rows)}")
    return tuple(sorted(parts, key=lambda part: _ROLES.index(PROMPTS[part])))


def make_prompts(kind: str, hbox: NDArray[np.float64], qbox: NDArray[np.float64]) -> Prompts:
    """Prompts of one kind; those of the part ``text`` are given by :class:`~rsseg.conversion.transforms.MakePrompts`.

    Args:
        kind: See :func:`parse_prompt`.
        hbox: (N, 4) float64 horizontal boxes in tile pixels.
        qbox: (N, 4, 2) float64 corners in tile pixels.

    Raises:
        ConfigError: There is no such kind.
    """
    prompts = Prompts(len(hbox))
    for part in parse_prompt(kind):
        match part:
            case "cp":
                centre = (qbox[:, 0] + qbox[:, 2]) / 2
                labels = np.ones((len(hbox), 1), np.int64)
                prompts = replace(prompts, points=centre[:, None], point_labels=labels)
            case "hbox":
                prompts = replace(prompts, boxes=hbox)
            case "rhbox":
                prompts = replace(prompts, boxes=qbox_to_hbox(qbox), qboxes=qbox)
            case "hbox_m":
                prompts = replace(prompts, mask_boxes=hbox)
            case "rhbox_m":
                prompts = replace(prompts, mask_boxes=qbox_to_hbox(qbox))
            case "rbox_m":
                prompts = replace(prompts, mask_qboxes=qbox)
    return prompts
