"""GrabCut: masks from colour alone, without weights; the default of the embedded data."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction, without_scores
from rsseg.conversion.predictors.grabcut_clicks import COLLAPSED, add_seeds, click_box, click_trimap, clicked_parts
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError
from rsseg.structures.boxes import qbox_to_rbox
from rsseg.structures.masks import MaskCrop, crop_mask, cut_mask, empty_mask, fill_hbox, fill_polygon

__all__ = ["GrabCutPredictor"]

_SPECK = 0.1
"""Parts smaller than this share of the largest one are dropped before the hull is taken."""
_CLUSTER_PIXELS = 10


class _Patch(NamedTuple):
    """The surroundings of a box, resampled: pixel (r, c) of it lies at image x1 + c / sx, y1 + r / sy."""

    x1: int
    y1: int
    size: tuple[int, int]
    pixels: NDArray[np.uint8]
    sx: float
    sy: float

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (K, 2) x y of the image as positions in the patch."""
        return np.asarray((points - (self.x1, self.y1)) * (self.sx, self.sy), np.float64)


@MODELS.register_module()
class GrabCutPredictor:
    """Masks by GrabCut on a patch around each box, or around each object's points.

    Outside the box (the rotated one, where the prompt hands it on) is sure background, inside probable
    foreground, a small ellipse at its centre sure foreground.  A cut that collapses or fills the box is replaced by
    the filled box.  Points are sure foreground or background; without a box the object is looked for around them, as
    pixels of a like colour that hang together; these are its mask where the cut collapses to the points.  Objects are
    handled one by one, each with the same random seed, so masks depend neither on their order nor on their number.

    Args:
        margin: Surroundings shown to GrabCut on each side, as a share of the box side; at least 8 px.
        core: Semi-axes of the sure ellipse as a share of the half sides; 0 for none.
        max_side: Patches whose box is longer are shrunk to this many pixels, which bounds the time per box.
        min_side: Patches whose box is narrower are enlarged towards it, at most 4 times.
        iterations: Rounds of GrabCut.
        collapsed: Share of the box below which a cut counts as collapsed.
        filled: Share of the box above which a cut counts as filling it.
        reach: Share of the box below which the tight box of a cut counts as collapsed: a box touches its object on
            all sides.
        solid: Cuts that fill at least this share of their convex hull are replaced by the hull, which closes
            windscreens, hatches and markings; above 1 for never.

    Source: Rother et al. 2004, as in OpenCV; the values were chosen on NWPU VHR-10 (measured).
    """

    needs_gt_masks = False
    reads_points = True

    def __init__(
        self,
        margin: float = 0.3,
        core: float = 0.2,
        max_side: int = 160,
        min_side: int = 48,
        iterations: int = 3,
        collapsed: float = 0.12,
        filled: float = 0.95,
        reach: float = 0.5,
        solid: float = 0.65,
    ) -> None:
        if not 0 <= collapsed < filled <= 1:
            raise ConfigError(f"need 0 <= collapsed < filled <= 1, not {collapsed} and {filled}")
        if margin <= 0 or not 0 <= core < 1 or iterations < 1 or not 1 < min_side <= max_side:
            raise ConfigError("need margin > 0, 0 <= core < 1, iterations >= 1 and 1 < min_side <= max_side")
        self.settings: dict[str, Any] = {
            "margin": margin,
            "core": core,
            "max_side": max_side,
            "min_side": min_side,
            "iterations": iterations,
            "collapsed": collapsed,
            "filled": filled,
            "reach": reach,
            "solid": solid,
        }

    def describe(self) -> dict[str, Any]:
        """Settings for the manifest."""
        return {"name": "GrabCutPredictor", **self.settings}

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the objects in ``image`` (H, W, 3) uint8 RGB; never outside their box, where there is one.

        Raises:
            ValueError: There are neither box nor point prompts.
        """
        none = np.empty((0, 2)), np.empty(0, np.int64)
        clicks = [none] * prompts.count
        if prompts.points is not None and prompts.point_labels is not None:
            clicks = list(zip(prompts.points, prompts.point_labels, strict=True))
            if prompts.boxes is None:
                return without_scores([self._cut_clicked(image, *told) for told in clicks])
        boxes = prompts.need_boxes("GrabCutPredictor")
        corners = prompts.qboxes if prompts.qboxes is not None else [None] * len(boxes)
        rows = zip(boxes, corners, clicks, strict=True)
        return without_scores([self._cut(image, box, quad, *told) for box, quad, told in rows])

    def _cut(
        self,
        image: NDArray[np.uint8],
        box: NDArray[np.float64],
        quad: NDArray[np.float64] | None,
        points: NDArray[np.float64],
        labels: NDArray[np.int64],
    ) -> MaskCrop:
        size = (int(image.shape[0]), int(image.shape[1]))
        whole = fill_hbox(box, size) if quad is None else fill_polygon(quad, size)
        if min(whole.pixels.shape) < 2:
            return whole
        patch = self._patch(image, box)
        trimap = self._trimap(patch, box, quad)
        add_seeds(trimap, patch.inside(points), labels)
        if not _both(trimap):
            return whole
        mask = _back(_solid(self._run(patch, trimap), self.settings["solid"]), patch)
        frame = (patch.x1, patch.y1, patch.x1 + patch.size[1], patch.y1 + patch.size[0])
        inside = mask & cut_mask(whole, frame).full(patch.size)
        share = np.count_nonzero(inside) / whole.area
        cut = crop_mask(inside, patch.x1, patch.y1)
        if cut.area and (labels == 0).any():  # the whole box is what the user has refused
            return cut
        reach = cut.pixels.size / whole.pixels.size
        if not self.settings["collapsed"] <= share <= self.settings["filled"] or reach < self.settings["reach"]:
            return whole
        return cut

    def _cut_clicked(
        self, image: NDArray[np.uint8], points: NDArray[np.float64], labels: NDArray[np.int64]
    ) -> MaskCrop:
        """The object at points (K, 2), of which some with label 1 lie on it."""
        on = points[labels == 1]
        box = click_box(on, (int(image.shape[0]), int(image.shape[1]))) if len(on) else np.zeros(4)
        if (box[2:] - box[:2]).min() < 2:
            return empty_mask()
        patch = self._patch(image, box)
        clicks = patch.inside(points)
        trimap = click_trimap(patch.pixels, clicks, labels)
        if not _both(trimap):
            return empty_mask()
        alike = np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))
        mask = clicked_parts(self._run(patch, trimap), clicks, labels)
        if (labels == 1).all() and np.count_nonzero(mask) < COLLAPSED * np.count_nonzero(alike):
            mask = clicked_parts(alike, clicks, labels)
        return crop_mask(_back(mask, patch), patch.x1, patch.y1)

    def _run(self, patch: _Patch, trimap: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Foreground (h, w) of a patch with OpenCV's marks."""
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(patch.pixels, trimap, None, *models, self.settings["iterations"], cv2.GC_INIT_WITH_MASK)
        return np.isin(trimap, (cv2.GC_FGD, cv2.GC_PR_FGD))

    def _patch(self, image: NDArray[np.uint8], box: NDArray[np.float64]) -> _Patch:
        sides = box[2:] - box[:2]
        margin = np.maximum(8, self.settings["margin"] * sides)
        limit = np.array([image.shape[1], image.shape[0]])
        x1, y1 = np.clip(np.floor(box[:2] - margin), 0, limit).astype(int).tolist()
        x2, y2 = np.clip(np.ceil(box[2:] + margin), 0, limit).astype(int).tolist()
        pixels = image[y1:y2, x1:x2]
        scale = min(1.0, self.settings["max_side"] / sides.max())
        if scale == 1 and sides.min() < self.settings["min_side"]:
            scale = min(self.settings["min_side"] / sides.min(), self.settings["max_side"] / sides.max(), 4.0)
        height, width = max(2, round((y2 - y1) * scale)), max(2, round((x2 - x1) * scale))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        small = cv2.resize(pixels, (width, height), interpolation=how) if scale != 1 else np.ascontiguousarray(pixels)
        size = (y2 - y1, x2 - x1)
        return _Patch(x1, y1, size, np.asarray(small, np.uint8), width / size[1], height / size[0])

    def _trimap(self, patch: _Patch, box: NDArray[np.float64], quad: NDArray[np.float64] | None) -> NDArray[np.uint8]:
        height, width = patch.pixels.shape[:2]
        x = (np.arange(width) + 0.5) / patch.sx + patch.x1
        y = ((np.arange(height) + 0.5) / patch.sy + patch.y1)[:, None]
        if quad is None:
            cx, cy, w, h, angle = *(box[:2] + box[2:]) / 2, *(box[2:] - box[:2]), 0.0
        else:
            cx, cy, w, h, angle = qbox_to_rbox(quad)
        u = ((x - cx) * np.cos(angle) + (y - cy) * np.sin(angle)) / max(w / 2, 1e-6)
        v = ((y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)) / max(h / 2, 1e-6)
        inside = (np.abs(u) < 1) & (np.abs(v) < 1)
        trimap = np.where(inside, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_BGD))
        trimap[u * u + v * v < self.settings["core"] ** 2] = cv2.GC_FGD
        return trimap


def _both(trimap: NDArray[np.uint8]) -> bool:
    """Whether there are enough pixels on either side for GrabCut's five clusters each."""
    outside = np.count_nonzero(np.isin(trimap, (cv2.GC_BGD, cv2.GC_PR_BGD)))
    return bool(min(outside, trimap.size - outside) >= _CLUSTER_PIXELS)


def _solid(mask: NDArray[np.bool_], least: float) -> NDArray[np.bool_]:
    """The convex hull of a mask that nearly fills it, the mask itself otherwise; specks are dropped first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 2 or least > 1:
        return mask
    areas = stats[1:, cv2.CC_STAT_AREA]
    kept = np.concatenate([[False], areas >= _SPECK * areas.max()])[labels]
    points = np.argwhere(kept)[:, ::-1].astype(np.int32)
    hull = np.zeros(mask.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    return hull > 0 if np.count_nonzero(kept) >= least * np.count_nonzero(hull) else mask


def _back(mask: NDArray[np.bool_], patch: _Patch) -> NDArray[np.bool_]:
    """The mask at the image's own resolution, (h, w) bool over the patch's rectangle."""
    height, width = patch.size
    if mask.shape == (height, width):
        return mask
    return cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.5
