"""Clicks and boxes on an object under review: what the mask model is asked about the picture that the page shows."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

from rsseg.datasets.labels import LabelledTile
from rsseg.errors import DataError
from rsseg.serving.masks import prompts_in_view
from rsseg.serving.places import Place
from rsseg.serving.review_bodies import SegmentBody
from rsseg.serving.settings import ServeSettings
from rsseg.serving.views import View

__all__ = ["WORK", "segment_request"]

WORK = "rsseg.serving.masks:segment_boxes"
_LEAST, _MOST = 256, 4.0


def segment_request(
    settings: ServeSettings, layer: str, tile: LabelledTile, window: tuple[int, int, int, int], body: SegmentBody
) -> dict[str, Any]:
    """What the worker is given; the answer has the mask as GeoJSON in pixels of the tile.

    Small windows are enlarged up to four times, towards 256 pixels, so that outlines are as fine as pixels.

    Args:
        settings: Of the server.
        layer: Id of the set.
        tile: The object's tile.
        window: x1 y1 x2 y2 of the tile that is shown.
        body: Box and clicks in pixels of the tile.

    Raises:
        DataError: The image of the tile is not there, or box and clicks say nothing.
        OSError: It cannot be read.
    """
    if tile.image is None:
        raise DataError(f"the image of tile {tile.name} is not where the set says; put it back")
    place = Place.of(tile.image)
    x1, y1, x2, y2 = window
    width, height = x2 - x1, y2 - y1
    scale = min(max(1.0, _LEAST / max(width, height)), _MOST, math.sqrt(settings.view_pixels / (width * height)))
    west, south, east, north = place.box_to_degrees(window)
    view = View(west, south, east, north, max(1, round(width * scale)), max(1, round(height * scale)))
    boxes = [] if body.box is None else [place.box_to_degrees(body.box)]
    points = [(*place.box_to_degrees((x, y, x, y))[:2], label) for x, y, label in body.points]
    prompts = prompts_in_view(view, boxes, points)
    return {
        "path": str(tile.image),
        "layer": f"{layer}/{tile.name}",
        "view": asdict(view),
        "prompts": [asdict(prompt) for prompt in prompts],
        "masks": None if settings.masks is None else dict(settings.masks),
        "units": "pixels",
    }
