"""What the page shows of a mask: pictures, shares and polygons at a threshold, without asking the model again."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.io.georeference import GeoReference
from rsseg.io.tile_files import encode_indices
from rsseg.serving.views import View

__all__ = ["MOST_POLYGONS", "ViewMask"]

MOST_POLYGONS = 5000
"""Polygons of one answer, the largest ones."""
_NONE = 255


@dataclass(frozen=True)
class ViewMask:
    """Classes of the pixels of a view, and their probabilities.

    Attributes:
        classes: ``id``, ``name`` and ``color`` (#rrggbb) of each class.
        view: What is seen.
        has_place: Whether pixels have a size on the ground.
        labels: (H, W) uint8 class ids, 255 where there is no data or nothing yet.
        best: (H, W) uint8 probabilities of these classes, 255 where there is no data or nothing yet.
        levels: What stands for the probability 1.
    """

    classes: list[dict[str, Any]]
    view: View
    has_place: bool
    labels: NDArray[np.uint8]
    best: NDArray[np.uint8]
    levels: int

    @classmethod
    def of(cls, result: Mapping[str, Any] | None) -> ViewMask:
        """Of the result, or the partial one, of :func:`rsseg.serving.word_model.segment_view`.

        Raises:
            LookupError: There is none yet, or it is of another kind of request.
        """
        data = (result or {}).get("data")
        if result is None or not isinstance(data, dict) or "best" not in data:
            raise LookupError("this request has no mask, or none yet")
        return cls(result["classes"], View(**result["view"]), result["has_place"], **data)

    def at(self, threshold: float, chosen: Collection[int] | None = None) -> NDArray[np.uint8]:
        """Class ids (H, W) uint8, 255 where the probability is below a threshold, or the class is not chosen.

        Args:
            threshold: From 0 to 1; probabilities are known to 1 / ``levels``.
            chosen: Class ids; None for all.
        """
        kept = np.zeros(256, bool)
        kept[: len(self.classes)] = True
        if chosen is not None:
            kept &= np.isin(np.arange(256), list(chosen))
        shown = kept[self.labels] & (self.best >= np.ceil(threshold * self.levels - 1e-9))
        return np.where(shown, self.labels, np.uint8(_NONE))

    def picture(self, threshold: float, chosen: Collection[int] | None = None) -> bytes:
        """PNG of the mask in the colours of the classes, transparent elsewhere."""
        colours = np.zeros((256, 3), np.uint8)
        for row in self.classes:
            colours[row["id"]] = list(bytes.fromhex(row["color"][1:]))
        return encode_indices(self.at(threshold, chosen), colours, transparent=_NONE)

    def shares(self, threshold: float) -> dict[str, Any]:
        """Pixels, share of the pixels with data, and square metres (None where pixels have no size) of each class.

        ``unsure`` is the share whose probability is below the threshold, ``pixels`` how many pixels have data.
        """
        labels = self.at(threshold)
        metres = self.view.grid.row_areas if self.has_place else None
        rows = [np.bincount(row, minlength=256) for row in labels]
        counts = np.sum(rows, axis=0)
        known = int((self.best != _NONE).sum())
        ground = None if metres is None else metres @ np.asarray(rows)
        classes = [
            {
                **row,
                "pixels": int(counts[row["id"]]),
                "share": float(counts[row["id"]] / known) if known else 0.0,
                "square_metres": None if ground is None else float(ground[row["id"]]),
            }
            for row in self.classes
        ]
        found = sum(row["pixels"] for row in classes)
        return {"classes": classes, "pixels": known, "unsure": (known - found) / known if known else 0.0}

    def polygons(self, threshold: float, chosen: Collection[int] | None = None) -> dict[str, Any]:
        """GeoJSON of the 4-connected regions of each class, the largest first, at most ``MOST_POLYGONS``.

        Coordinates are in degrees, beyond ±180 across the antimeridian; ``truncated`` says whether there were more.
        """
        import shapely

        from rsseg.mapping.layers import polygon_shapes
        from rsseg.mapping.vectors import polygons_of

        traced = polygons_of(self.at(threshold, chosen), _NONE)
        order = np.argsort(-traced.areas, kind="stable")[:MOST_POLYGONS].tolist()
        shapes: Any = ()
        if order:
            outlines = polygon_shapes(traced, GeoReference(self.labels.shape), None)
            shapes = shapely.orient_polygons(self.view.pixels_to_degrees(outlines))
        features = [
            {
                "type": "Feature",
                "properties": {**self.classes[int(traced.labels[at])], "pixels": int(traced.areas[at])},
                "geometry": shapes[at].__geo_interface__,
            }
            for at in order
        ]
        return {"type": "FeatureCollection", "features": features, "truncated": len(traced) > len(order)}
