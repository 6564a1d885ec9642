"""How far a predictor with inexact options is from the exact one, on the first tiles of a set."""

from __future__ import annotations

import logging
from itertools import islice
from typing import Any

import numpy as np

from rsseg.conversion.pipeline import divide_transforms
from rsseg.conversion.predictors import MaskPredictor
from rsseg.conversion.predictors.base import decode, encode
from rsseg.conversion.settings import Settings
from rsseg.conversion.source_image import Results, Transform, cut_tiles, load_source_image
from rsseg.conversion.storage import Store
from rsseg.datasets.detection import DetectionSource
from rsseg.io.tables import read_json
from rsseg.structures.masks import MaskCrop, cut_mask

__all__ = ["disagreement", "measure_once"]

_log = logging.getLogger("rsseg")
_FILE = ".exactness.json"
_TILES = 4


def measure_once(
    predictor: MaskPredictor, settings: Settings, source: DetectionSource, transforms: list[Transform], store: Store
) -> dict[str, Any]:
    """The predictor's disagreement with its exact twin, measured by the first run and kept for later ones.

    Returns:
        ``{"disagreement": ...}`` for the manifest, see :func:`disagreement`; nothing for an exact predictor.

    Raises:
        AnnotationError: An image or its labels are unusable and the source raises problems.
    """
    if getattr(predictor, "exact", True):
        return {}
    path = store.root / _FILE
    if not path.exists():
        tiles = _first_tiles(settings, source, divide_transforms(transforms)[0], predictor.needs_gt_masks)
        store.write_json(_FILE, disagreement(predictor, tiles))
    found = read_json(path)
    _log.warning(
        "the predictor's options are not exact: on the first %d tiles %d of %d masks and a share of %.2g of the mask "
        "pixels differ from the exact ones",
        found["tiles"], found["differing_masks"], found["masks"], found["differing_share"],
    )  # fmt: skip
    return {"disagreement": found}


def _first_tiles(
    settings: Settings, source: DetectionSource, transforms: list[Transform], needs_gt_masks: bool
) -> list[Results]:
    tiles: list[Results] = []
    for item in source.items:
        source_image = load_source_image(item, source, settings, needs_gt_masks)
        for results in islice(cut_tiles(source_image, settings), _TILES - len(tiles)):
            for transform in transforms:
                results = transform(results)
            if results["prompts"].count:
                tiles.append({"image": results["image"].copy(), "prompts": results["prompts"]})
        if len(tiles) == _TILES:
            break
    return tiles


def disagreement(predictor: Any, tiles: list[Results]) -> dict[str, Any]:
    """Compare a predictor with its exact twin, tile by tile; images are encoded together as in the conversion.

    Args:
        predictor: It must have ``exact_twin()``.
        tiles: ``image`` and ``prompts`` of each.

    Returns:
        ``tiles``, ``masks``, ``differing_masks``, ``mask_pixels`` (of the exact masks), ``differing_pixels`` (in one
        of two masks only) and ``differing_share`` (of ``mask_pixels``).
    """
    twin = predictor.exact_twin()
    batch = getattr(predictor, "tile_batch", 1)
    areas: list[int] = []
    differing: list[int] = []
    for start in range(0, len(tiles), batch):
        part = tiles[start : start + batch]
        for results, encoded in zip(part, encode(predictor, [tile["image"] for tile in part]), strict=True):
            found = decode(predictor, encoded, results["prompts"]).masks
            exact = twin.predict(results["image"], results["prompts"]).masks
            areas += [mask.area for mask in exact]
            differing += [_differing(a, b) for a, b in zip(found, exact, strict=True)]
    return {
        "tiles": len(tiles),
        "masks": len(areas),
        "differing_masks": int(np.count_nonzero(differing)),
        "mask_pixels": sum(areas),
        "differing_pixels": sum(differing),
        "differing_share": round(sum(differing) / max(sum(areas), 1), 9),
    }


def _differing(a: MaskCrop, b: MaskCrop) -> int:
    height, width = a.pixels.shape
    inside = cut_mask(b, (a.x, a.y, a.x + width, a.y + height))
    h, w = inside.pixels.shape
    common = np.count_nonzero(a.pixels[inside.y : inside.y + h, inside.x : inside.x + w] & inside.pixels)
    return a.area + b.area - 2 * int(common)
