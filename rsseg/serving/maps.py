"""Routes of the tool "Map": layers, their tiles, and what they say of a position and of a view."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, Field

from rsseg.errors import DataError
from rsseg.io.areas import ClassAreas
from rsseg.serving.facts import ZOOMS, Facts, FactsCache
from rsseg.serving.layers import Layer, Layers
from rsseg.serving.measures import crs_name, measure_view, read_point
from rsseg.serving.places import LATITUDE, Bounds
from rsseg.serving.polygons import LIMIT, read_polygons
from rsseg.serving.readers import Readers
from rsseg.serving.state import State
from rsseg.serving.tiles import empty_tile, read_tile, tile_grid

__all__ = ["router"]

_CLASSES = r"^([0-9]{1,3}(,[0-9]{1,3}){0,255})?$"
_FOREVER = "private, max-age=31536000, immutable"
_MISSING: dict[int | str, dict[str, Any]] = {404: {"description": "There is no such layer, or nothing of that kind."}}
_REFUSED: dict[int | str, dict[str, Any]] = {
    **_MISSING, 400: {"description": "The file cannot be read, or the request does not fit it."},
}  # fmt: skip
_PICTURES: dict[int | str, dict[str, Any]] = {
    **_REFUSED,
    200: {"content": {"image/png": {}, "image/webp": {}}, "description": "The tile, of 512 x 512 pixels."},
    304: {"description": "The tile is still what If-None-Match says."},
}  # fmt: skip

LayerId = Annotated[str, Path(min_length=1, max_length=64, description="Id of a layer")]
Lon = Annotated[float, Query(ge=-540, le=540, allow_inf_nan=False, description="Degrees")]
Lat = Annotated[float, Query(ge=-90, le=90, allow_inf_nan=False, description="Degrees")]
Number = Annotated[int, Field(ge=0)]
Two = Annotated[Sequence[float], Field(min_length=2, max_length=2)]
Size = Annotated[Sequence[int], Field(min_length=2, max_length=2)]
Four = Annotated[Sequence[float], Field(min_length=4, max_length=4)]


class LayerOut(BaseModel):
    """A layer in the list."""

    id: str
    kind: Literal["map", "image", "set"]
    name: str
    image: str | None = Field(description="Id of the image that a map was made from, if it is served")


class ClassOut(BaseModel):
    """A class of a map."""

    id: int
    name: str
    color: str


class LayerInfo(LayerOut):
    """What is known of a layer; a set has only the first four members."""

    version: str = Field("", description="Changes with the file")
    classes: list[ClassOut] = []
    bounds: Four | None = Field(None, description="West, south, east, north in degrees")
    size: Size | None = Field(None, description="Height and width in pixels")
    crs: str | None = Field(None, description="None: shown at 0° N, 0° E with a metre for a pixel")
    pixel: Two | None = Field(None, description="Metres on the ground, to the right and downwards")
    probability: bool = False
    polygons: bool = False
    minzoom: int = Field(0, description="First zoom with tiles; above 0 only for large files without overviews")
    maxzoom: int = 0
    display: str = Field("", description="What was chosen for the display only")
    bands: list[int] = Field([], description="Bands of an image that are shown as red, green, blue")
    value_range: Two | None = Field(None, description="Values of an image shown as black and white")


class PointOut(BaseModel):
    """What a layer has at a position."""

    class_id: int | None = None
    name: str | None = Field(None, description="Of the class")
    color: str | None = None
    probability: float | None = Field(None, description="Of the class, 0 to 1")
    pixel: Size | None = Field(None, description="Column and row; None beyond the raster")
    coordinates: Two | None = Field(None, description="In the layer's CRS")
    crs: str | None = None
    values: list[float | None] | None = Field(None, description="Of all bands of an image")


class AreaOut(ClassOut):
    """How much of a view is of one class."""

    pixels: int
    m2: float | None
    share: float = Field(description="Of what is mapped in the view, 0 to 1")


class AreasOut(BaseModel):
    """How much of each class a view holds."""

    classes: list[AreaOut]
    unmapped: int = Field(description="Pixels of no class")
    estimated: bool = Field(description="Counted in an overview, not in the pixels themselves")
    factor: int = Field(description="Of the overview; classes that are narrower than so many pixels may be missing")
    method: str


class PolygonsOut(BaseModel):
    """A GeoJSON FeatureCollection."""

    type: Literal["FeatureCollection"]
    features: list[dict[str, Any]]
    cut: bool = Field(description="There are more polygons than were asked for")


def router(state: State) -> APIRouter:
    """Routes of a server."""
    routes, readers = APIRouter(tags=["maps"]), Readers()
    facts = FactsCache(state.layers, readers)
    _add_layers(routes, state.layers, facts)
    _add_tiles(routes, state.layers, facts, readers)
    _add_measures(routes, state.layers, facts, readers)
    return routes


def _add_layers(routes: APIRouter, layers: Layers, cache: FactsCache) -> None:
    @routes.get("/api/layers")
    def list_layers() -> list[LayerOut]:
        """All layers, maps first."""
        return [LayerOut(**_outline(layer)) for layer in layers.all()]

    @routes.get("/api/layers/{id}", responses=_REFUSED)
    def read_layer(id: LayerId) -> LayerInfo:
        """What is known of one layer."""
        layer = layers.get(id)
        if layer.kind == "set":
            return LayerInfo(**_outline(layer))
        return _info(layer, cache.of(layer))


def _outline(layer: Layer) -> dict[str, Any]:
    name = layer.name.encode("utf-8", "replace").decode()
    return dict(id=layer.id, kind=layer.kind, name=name, image=layer.image)


def _info(layer: Layer, facts: Facts) -> LayerInfo:
    first, last = facts.zooms
    shown = layer.kind == "image"
    ends = facts.spec.value_range
    return LayerInfo(
        **_outline(layer),
        version=facts.version,
        classes=[ClassOut(**_class(facts, number)) for number in range(len(facts.classes))],
        bounds=facts.place.bounds,
        size=facts.size,
        crs=crs_name(facts.place),
        pixel=None if facts.own.no_metres else facts.own.pixel_size,
        probability=layer.has_probabilities,
        polygons=layer.has_polygons,
        minzoom=first,
        maxzoom=last,
        display=facts.display,
        bands=list(facts.spec.bands or ()) if shown else [],
        value_range=ends if shown and isinstance(ends, tuple) else None,
    )


def _class(facts: Facts, number: int) -> dict[str, Any]:
    return dict(id=number, name=facts.classes[number], color="#{:02x}{:02x}{:02x}".format(*facts.palette[number]))


def _add_tiles(routes: APIRouter, layers: Layers, cache: FactsCache, readers: Readers) -> None:
    @routes.get("/api/layers/{id}/tiles/{z}/{x}/{y}.{kind}", responses=_PICTURES, response_class=Response)
    def tile(
        id: LayerId,
        z: Annotated[int, Path(ge=0, le=ZOOMS)],
        x: Annotated[int, Path(ge=0, lt=1 << ZOOMS)],
        y: Annotated[int, Path(ge=0, lt=1 << ZOOMS)],
        kind: Literal["png", "webp"],
        classes: Annotated[str | None, Query(pattern=_CLASSES, description="Ids of the classes that are shown")] = None,
        v: Annotated[str | None, Query(max_length=64, description="Version of the layer: the tile is kept")] = None,
        if_none_match: Annotated[str | None, Header(max_length=256)] = None,
    ) -> Response:
        """A tile of a map or an image (XYZ, Web Mercator, 512 x 512 pixels), transparent where there is no data."""
        layer = layers.get(id)
        facts, grid = cache.of(layer), tile_grid(z, x, y)
        tag = f'"{facts.version}-{z}-{x}-{y}-{kind}-{classes}"'
        headers = {"etag": tag, "cache-control": _FOREVER if v == facts.version else "private, no-cache"}
        if if_none_match is not None and tag in re.split(r"\s*,\s*", if_none_match):
            return Response(status_code=304, headers=headers)
        shown = None if classes is None else {int(number) for number in classes.split(",") if number}
        content = empty_tile(kind) if shown == set() else read_tile(readers, layer, facts, grid, shown, kind)
        return Response(content, media_type=f"image/{kind}", headers=headers)


def _add_measures(routes: APIRouter, layers: Layers, cache: FactsCache, readers: Readers) -> None:
    @routes.get("/api/layers/{id}/point", responses=_REFUSED)
    def point(id: LayerId, lon: Lon, lat: Lat) -> PointOut:
        """What a layer has at a position."""
        layer = layers.get(id)
        facts = cache.of(layer)
        found = read_point(cache, layer, lon, lat)
        number = found.pop("class")
        about = {} if number is None else _class(facts, number)
        return PointOut(class_id=number, name=about.get("name"), color=about.get("color"), **found)

    @routes.get("/api/layers/{id}/areas", responses=_REFUSED)
    def areas(id: LayerId, west: Lon, south: Lat, east: Lon, north: Lat) -> AreasOut:
        """How much of each class a view of a map holds, by the centres of its pixels."""
        layer, facts, view = _view(layers, cache, id, (west, south, east, north))
        return _areas(facts, *measure_view(readers, layer, facts, view))

    @routes.get("/api/layers/{id}/polygons", responses=_REFUSED)
    def polygons(
        id: LayerId, west: Lon, south: Lat, east: Lon, north: Lat,
        width: Annotated[int, Query(ge=1, le=8192, description="Pixels of the view, by which outlines are simplified")]
        = 1024,
        limit: Annotated[int, Query(ge=1, le=LIMIT)] = LIMIT,
    ) -> PolygonsOut:  # fmt: skip
        """Polygons of a map that meet a view, as GeoJSON in degrees."""
        layer, _, view = _view(layers, cache, id, (west, south, east, north))
        span = view[2] - view[0] + (360 if view[2] < view[0] else 0)
        return PolygonsOut(**read_polygons(layer, cache, view, span / width, limit))


def _view(layers: Layers, cache: FactsCache, id: str, view: Bounds) -> tuple[Layer, Facts, Bounds]:
    layer = layers.get(id)
    facts = cache.of(layer)
    if layer.kind != "map":
        raise LookupError(f"{layer.name} is no class map")
    west, south, east, north = view
    if not south < north or west == east:
        raise DataError(f"west {west}, south {south}, east {east}, north {north}: expected an area, south first")
    return layer, facts, (west, max(south, -LATITUDE), east, min(north, LATITUDE))


def _areas(facts: Facts, found: ClassAreas, factor: int) -> AreasOut:
    sizes = found.pixels if found.metres is None else found.metres
    total = float(sizes.sum()) or 1.0
    rows = []
    for number, (pixels, size) in enumerate(zip(found.pixels.tolist(), sizes.tolist(), strict=True)):
        m2 = None if found.metres is None or not math.isfinite(size) else size
        rows.append(AreaOut(**_class(facts, number), pixels=pixels, m2=m2, share=size / total))
    return AreasOut(classes=rows, unmapped=found.unmapped, estimated=factor > 1, factor=factor, method=found.method)
