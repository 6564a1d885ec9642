"""Masks of what is clicked or boxed in a view, by a mask model that keeps what it has made of the last views."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.io.areas import shape_areas
from rsseg.io.bands import PixelSpec
from rsseg.io.georeference import GeoReference
from rsseg.io.hub import is_hub
from rsseg.io.job_inputs import Input
from rsseg.mapping.layers import polygon_shapes
from rsseg.mapping.vectors import polygons_of
from rsseg.serving.places import Place
from rsseg.serving.views import View, read_view
from rsseg.structures.masks import MaskCrop, crop_mask
from rsseg.structures.validity import mend_shapes

__all__ = ["BOXES_ONLY", "MASK_MODELS", "Prompt", "check_masks", "mask_shape", "prompts_in_view", "segment_boxes"]

MASK_MODELS: dict[str, dict[str, Any]] = {
    "grabcut": {"type": "GrabCutPredictor"},
    "sam": {"type": "SAMPredictor", "model": "vit_h"},
    "sam_vit_l": {"type": "SAMPredictor", "model": "vit_l"},
    "sam_vit_b": {"type": "SAMPredictor", "model": "vit_b"},
    "mobile_sam": {"type": "SAMPredictor", "model": "vit_t"},
    "sam2": {"type": "SAM2Predictor"},
    "sam_hf": {"type": "TransformersPredictor"},
    "sam2_hf": {"type": "TransformersPredictor"},
    "sam3": {"type": "TransformersPredictor"},
    "boxmask": {"type": "BoxMaskPredictor"},
    "box": {"type": "BoxPredictor"},
}
"""Name of ``--predictor`` -> the predictor and its options."""
BOXES_ONLY = ("boxmask", "box")
"""Models that take no points."""
_WITHOUT_WEIGHTS = ("grabcut", "box")
_VIEWS = 8
"""Views of which the worker keeps what the model has made of them; 4 to 30 MB each."""
_TOLERANCE = 1.0
"""Pixels of the view by which outlines may move to need fewer points."""
_EDGE = 1e-3
"""Pixels by which a click on the edge of the view may lie beyond it, by rounding."""
_LEAST_PART, _LEAST_PIXELS = 0.02, 4
"""Parts smaller than this share of the largest one, or than so many pixels, are specks."""

Pair = Sequence[float]
Progress = Callable[..., None]


@dataclass(frozen=True)
class Prompt:
    """What is said of one object, in pixels of the view.

    Attributes:
        box: x1 y1 x2 y2, or None.
        points: x y of clicks.
        labels: Of the clicks, 1 = on the object, 0 = off it.
    """

    box: tuple[float, float, float, float] | None = None
    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


def prompts_in_view(view: View, boxes: Sequence[Pair], points: Sequence[Pair]) -> list[Prompt]:
    """Prompts of objects: one for each box, with the clicks in it; without boxes, all clicks are of one object.

    Args:
        view: What is seen.
        boxes: Each west, south, east, north in degrees, with the sides in any order; cut to the view.
        points: Each longitude, latitude in degrees, and 1 = on the object, 0 = off it.

    Raises:
        DataError: A box or a click lies outside of the view, or none says what is wanted.
    """
    if not boxes and not any(label for *_, label in points):
        raise DataError("nothing says which object is meant: give a box, or a click on the object (label 1)")
    found = [Prompt(_box_in_view(view, box, number)) for number, box in enumerate(boxes, start=1)] or [Prompt()]
    at = _pixels(view, [(lon, lat) for lon, lat, _ in points])
    for number, ((x, y), (lon, lat, label)) in enumerate(zip(at, points, strict=True), start=1):
        if not (-_EDGE <= x <= view.width + _EDGE and -_EDGE <= y <= view.height + _EDGE):
            raise DataError(f"click {number} ({lon:g}, {lat:g}) lies outside of the view; {_where(view)}")
        x, y = min(max(x, 0.0), float(view.width)), min(max(y, 0.0), float(view.height))
        mine = [prompt for prompt in found if prompt.box is None or _holds(prompt.box, x, y)]
        if not mine and len(found) == 1:  # a single box may be refined by clicks around it
            mine = found
        if not mine:
            raise DataError(f"click {number} ({lon:g}, {lat:g}) lies in none of the boxes, so it is of no object")
        for prompt in mine:
            prompt.points.append((x, y))
            prompt.labels.append(int(label))
    return found


def _holds(box: Pair, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _where(view: View) -> str:
    return f"it reaches from {view.west:g}, {view.south:g} to {view.east:g}, {view.north:g} degrees"


def _box_in_view(view: View, box: Pair, number: int) -> tuple[float, float, float, float]:
    (xa, ya), (xb, yb) = _pixels(view, [(box[0], box[1]), (box[2], box[3])])
    x1, x2 = (min(max(x, 0.0), float(view.width)) for x in sorted((xa, xb)))
    y1, y2 = (min(max(y, 0.0), float(view.height)) for y in sorted((ya, yb)))
    if not (x1 < x2 and y1 < y2):
        text = ", ".join(f"{value:g}" for value in box)
        raise DataError(f"box {number} ({text}) lies outside of the view or is empty; {_where(view)}")
    return x1, y1, x2, y2


def _pixels(view: View, places: Sequence[Pair]) -> list[tuple[float, float]]:
    """Positions in the view of longitudes and latitudes."""
    if not places:
        return []
    x, y = view.positions(*np.array(places, np.float64).T)
    return list(zip(x.tolist(), y.tolist(), strict=True))


def segment_boxes(request: dict[str, Any], models: dict[str, Any], progress: Progress) -> dict[str, Any]:
    """Work function: a mask for each prompt.

    Args:
        request: ``path`` of the raster, its ``layer``, ``view``, ``prompts`` (of :class:`Prompt`, as dicts), ``masks``
            (``--predictor`` and its options, or None) and ``units``, ``degrees`` or ``pixels``.
        models: The worker's own; the model and the last views are kept there.
        progress: Is told how far the work is.

    Returns:
        A GeoJSON FeatureCollection: in ``properties`` the number of the prompt, score and stability (None where the
        model makes no estimate), area and its unit.  Objects without any pixel have no geometry.

    Raises:
        UserError: The model cannot be loaded, or does not understand the prompts.
        OSError: The raster cannot be read.
    """
    progress(0.02, "loading the mask model")
    view, path = View(**request["view"]), Path(request["path"])
    prompts = [Prompt(**prompt) for prompt in request["prompts"]]
    name, predictor = _predictor(request.get("masks"), models)
    if name in BOXES_ONLY and any(prompt.points for prompt in prompts):
        raise ConfigError(f"the mask model {name} takes boxes only; draw a box, or serve with --predictor sam")
    place = Place.of(path)
    spec = PixelSpec(request.get("bands"), request.get("range"), repeat_grey=True)
    seen, new = _seen(request["layer"], path, view, spec, predictor, models, progress)
    features = []
    for number, prompt in enumerate(prompts):
        progress(0.7 + 0.3 * number / len(prompts), f"object {number + 1} of {len(prompts)}")
        mask, score, stability = _decode(predictor, seen, prompt)
        shape = mask_shape(mask, view.grid.size)
        about = {"prompt": number, "score": score, "stability": stability}
        features.append(_feature(shape, view, place, request.get("units", "degrees"), about))
    return {"type": "FeatureCollection", "features": features, "predictor": name, "encoded": new}


def _predictor(masks: Mapping[str, Any] | None, models: dict[str, Any]) -> tuple[str, Any]:
    """The mask model and its name; it is loaded once."""
    options = {key: value for key, value in (masks or {}).items() if value is not None}
    name = str(options.pop("predictor", "grabcut"))
    wanted = json.dumps([name, options], sort_keys=True, default=str)
    if models.get("masks", (None,))[0] != wanted:
        models["masks"] = wanted, _build(name, options)
        models.pop("views", None)
    return name, models["masks"][1]


def check_masks(masks: Mapping[str, Any] | None) -> None:
    """See that a mask model can be had, without loading it.

    Args:
        masks: ``predictor``, ``weights`` and further options of the model; None for GrabCut.

    Raises:
        ConfigError: There is no such model, it needs weights, or has none.
        FileNotFoundError: There are no such weights.
    """
    options = masks or {}
    name, weights = options.get("predictor") or "grabcut", options.get("weights")
    if name not in MASK_MODELS:
        raise ConfigError(f"unknown --predictor {name!r}; expected one of: {', '.join(MASK_MODELS)}")
    if name in _WITHOUT_WEIGHTS and weights is not None:
        raise ConfigError(f"--predictor-weights {weights}: {name} has no weights; add --predictor, such as sam")
    if name not in _WITHOUT_WEIGHTS and weights is None and "random_seed" not in options:
        raise ConfigError(f"--predictor {name} needs weights: add --predictor-weights FILE")
    if weights is not None and not is_hub(str(weights)) and not Path(str(weights)).expanduser().exists():
        raise FileNotFoundError(f"--predictor-weights {weights}: no such file or folder")


def _build(name: str, options: dict[str, Any]) -> Any:
    from mmseg.registry import MODELS

    import rsseg.conversion.predictors  # noqa: F401  registers them
    from rsseg.conversion.settings import build

    check_masks({"predictor": name, **options})
    weights = options.pop("weights", None)
    if name in _WITHOUT_WEIGHTS:
        options.pop("device", None)
    if weights is not None:
        options["checkpoint"] = str(weights)
    return build(MODELS, {**MASK_MODELS[name], **options}, "--predictor")


@dataclass(frozen=True)
class _Seen:
    """A view: what the model keeps of it, and (H, W) where there are data."""

    encoded: Any
    valid: NDArray[np.bool_]


def _seen(
    layer: str, path: Path, view: View, spec: PixelSpec, predictor: Any, models: dict[str, Any], progress: Progress
) -> tuple[_Seen, bool]:
    """What the model has made of a view, and whether it did so just now."""
    from rsseg.conversion.predictors.base import encode

    kept: OrderedDict[Any, _Seen] = models.setdefault("views", OrderedDict())
    key = layer, view, spec, tuple(Input(path, path.name, hashed=False).state())
    if key in kept:
        kept.move_to_end(key)
        return kept[key], False
    progress(0.1, "reading the view")
    pixels, valid = read_view(path, view, spec)
    progress(0.2, "looking at the view")
    shown = np.ascontiguousarray(np.rint(pixels[..., :3]), np.uint8)
    seen = _Seen(encode(predictor, [shown])[0], valid)
    kept[key] = seen
    while len(kept) > _VIEWS:
        kept.popitem(last=False)
    return seen, True


def _decode(predictor: Any, seen: _Seen, prompt: Prompt) -> tuple[MaskCrop, float | None, float | None]:
    """Mask of one object where there are data, predicted IoU and stability; None where they are not known."""
    from rsseg.conversion.predictors.base import decode
    from rsseg.conversion.prompts import Prompts

    told: dict[str, Any] = {}
    if prompt.box is not None:
        told["boxes"] = np.array([prompt.box], np.float64)
    if prompt.points:
        told["points"] = np.array([prompt.points], np.float64)
        told["point_labels"] = np.array([prompt.labels], np.int64)
    found = decode(predictor, seen.encoded, Prompts(1, **told))
    mask = found.masks[0]
    h, w = mask.pixels.shape
    inside = mask.pixels & seen.valid[mask.y : mask.y + h, mask.x : mask.x + w]
    scores = [float(value[0]) if np.isfinite(value[0]) else None for value in (found.predicted_iou, found.stability)]
    return crop_mask(inside, mask.x, mask.y), scores[0], scores[1]


def mask_shape(mask: MaskCrop, size: tuple[int, int], tolerance: float = _TOLERANCE) -> Any:
    """The outline of a mask as a shapely polygon or multipolygon in pixels, without specks; None for nothing.

    Args:
        mask: In an image.
        size: (H, W) of the image.
        tolerance: Pixels by which the outline may move to need fewer points.
    """
    found = polygons_of(mask.pixels.astype(np.int16), 0, min(_LEAST_PIXELS, mask.area), tolerance)
    if not len(found):
        return None
    kept = found.areas >= _LEAST_PART * found.areas.max()
    parts, _ = mend_shapes(polygon_shapes(found, GeoReference(size), None)[kept])
    moved = shapely.transform(parts, lambda points: points + np.array([mask.x, mask.y]))
    return moved[0] if len(moved) == 1 else shapely.multipolygons(moved)


def _feature(shape: Any, view: View, place: Place, units: str, about: dict[str, Any]) -> dict[str, Any]:
    if shape is None:
        return {"type": "Feature", "geometry": None, "properties": {**about, "area": 0.0, "unit": _unit(place)}}
    degrees = view.pixels_to_degrees(np.array([shape], object))
    area = float(shape_areas(place.from_degrees(degrees), place.measured)[0])
    told = shapely.orient_polygons(place.degrees_to_pixels(degrees) if units == "pixels" else degrees)
    geometry = json.loads(shapely.to_geojson(told[0]))
    return {"type": "Feature", "geometry": geometry, "properties": {**about, "area": area, "unit": _unit(place)}}


def _unit(place: Place) -> str:
    return "m2" if place.measured.no_metres is None else "px"
