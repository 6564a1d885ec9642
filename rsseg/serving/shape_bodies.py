"""Requests and answers of the tool "Draw"."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from rsseg.serving.bodies import LayerId, Number, ViewBody, Word

__all__ = [
    "MOST_POINTS",
    "AddBody",
    "AddedAnswer",
    "BoxesBody",
    "ChangeBody",
    "ModelAnswer",
    "MultiPolygonBody",
    "PolygonBody",
    "ShapeAnswer",
    "ShapesAnswer",
    "UndoAnswer",
    "UndoBody",
]

MOST_POINTS = 20_000
"""Of one shape."""
_PROMPTS, _SHAPES = 100, 1000

Box = Annotated[list[Number], Field(min_length=4, max_length=4, description="West, south, east, north.")]
Click = Annotated[
    list[Number], Field(min_length=3, max_length=3, description="Longitude, latitude, 1 = on the object or 0 = off it.")
]
Units = Annotated[
    Literal["degrees", "pixels"],
    Field(description="Of all coordinates but the view's: degrees, or columns and rows of the layer's raster."),
]
Client = Annotated[str, Field(max_length=64, pattern=r"^[\w-]*$", description="Whose steps undo takes back.")]
Author = Annotated[str | None, Field(max_length=100, description="By default the server's reviewer.")]
Position = Annotated[list[Number], Field(min_length=2, max_length=2)]
Ring = Annotated[list[Position], Field(min_length=3, max_length=MOST_POINTS)]
Rings = Annotated[list[Ring], Field(min_length=1, max_length=1000)]


class BoxesBody(BaseModel):
    """What is meant: each box is an object, and clicks say what belongs to it; without boxes there is one object."""

    layer: LayerId
    view: ViewBody | None = Field(None, description="What the model looks at; by default all of a small raster.")
    boxes: list[Box] = Field(default_factory=list, max_length=_PROMPTS)
    points: list[Click] = Field(default_factory=list, max_length=_PROMPTS)
    units: Units = "degrees"


class ModelAnswer(BaseModel):
    """The mask model of the server."""

    predictor: str
    points: bool = Field(description="Whether it takes clicks, too.")


class PolygonBody(BaseModel):
    """A polygon: its outer ring, then holes."""

    type: Literal["Polygon"]
    coordinates: Rings


class MultiPolygonBody(BaseModel):
    """An object in several parts."""

    type: Literal["MultiPolygon"]
    coordinates: Annotated[list[Rings], Field(min_length=1, max_length=1000)]


class DraftBody(BaseModel):
    """A polygon to keep."""

    model_config = ConfigDict(populate_by_name=True)
    label: Word = Field(alias="class")
    geometry: Annotated[PolygonBody | MultiPolygonBody, Field(discriminator="type")]
    score: Annotated[float | None, Field(ge=0, le=1, allow_inf_nan=False)] = None


class AddBody(BaseModel):
    """Polygons to keep."""

    layer: LayerId
    shapes: Annotated[list[DraftBody], Field(min_length=1, max_length=_SHAPES)]
    units: Units = "degrees"
    author: Author = None
    client: Client = ""


class ChangeBody(BaseModel):
    """Another class for a polygon."""

    model_config = ConfigDict(populate_by_name=True)
    layer: LayerId
    label: Word = Field(alias="class")
    author: Author = None
    client: Client = ""


class UndoBody(BaseModel):
    """Whose last step to take back."""

    layer: LayerId
    client: Client = ""


class ShapeAbout(BaseModel):
    """What is known of a kept polygon."""

    model_config = ConfigDict(populate_by_name=True)
    label: str = Field(alias="class")
    area: float
    unit: Literal["m2", "px"]
    score: float | None
    author: str
    time: str = Field(description="UTC, of its last change.")


class ShapeAnswer(BaseModel):
    """A kept polygon as GeoJSON, in degrees."""

    type: Literal["Feature"]
    id: str
    geometry: dict[str, Any]
    properties: ShapeAbout


class AddedAnswer(BaseModel):
    """The polygons that are kept now, in the order of the request, with their ids."""

    type: Literal["FeatureCollection"]
    features: list[ShapeAnswer]


class ClassCount(BaseModel):
    """A class, and how many polygons have it."""

    id: int
    name: str
    color: str = Field(description="#rrggbb")
    count: int
    area: float


class ShapesAnswer(BaseModel):
    """The kept polygons of a layer as GeoJSON, oldest first."""

    type: Literal["FeatureCollection"]
    features: list[ShapeAnswer]
    total: int = Field(description="Polygons in all; the features are the newest of them.")
    version: str = Field(description="Changes with every change.")
    classes: list[ClassCount]


class UndoAnswer(ShapesAnswer):
    """The kept polygons after a step was taken back."""

    undone: bool = Field(description="Whether there was a step to take back.")
