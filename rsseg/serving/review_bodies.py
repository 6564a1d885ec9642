"""Requests and answers of the tool "Review", with a limit on everything."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from rsseg.serving.settings import REVIEWER

__all__ = [
    "AgreementAnswer", "Context", "DecisionBody", "Item", "ItemsAnswer", "Label", "LayerId", "Limit", "Number", "Order",
    "Other", "ReviewerBody", "ReviewerName", "SegmentBody", "Shown", "Start", "StateOf", "SummaryAnswer",
]  # fmt: skip

_MOST = 2**31 - 1
_Pixel = Annotated[float, Field(ge=-1e5, le=1e5, allow_inf_nan=False)]
_Class = Annotated[str, Field(min_length=1, max_length=200)]

LayerId = Annotated[str, Path(min_length=1, max_length=64, description="Id of a converted set.")]
Number = Annotated[int, Path(ge=0, le=_MOST, description="Number of an object.")]
ReviewerName = Annotated[str, Query(pattern=REVIEWER, description="Who reviews: letters a to z, digits, _ . -")]
Order = Annotated[Literal["suspicious", "score", "small", "large", "file"], Query(description="Order of the objects.")]
Shown = Annotated[
    Literal["undecided", "all", "accept", "reject", "class", "redraw"],
    Query(description="Which objects, by what the reviewer has decided."),
]
Label = Annotated[str | None, Query(max_length=200, description="Only objects that are labelled as this class.")]
Start = Annotated[int, Query(ge=0, le=_MOST, description="Place in the order of all objects to begin at.")]
Limit = Annotated[int, Query(ge=1, le=100, description="How many objects.")]
StateOf = Annotated[str, Query(pattern=r"^[0-9a-f]{16}$", description="State of the object, as it was told.")]
Context = Annotated[int, Query(ge=1, le=4, description="How much of the surroundings, by the factor of the side.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReviewerBody(_Body):
    """Who does something."""

    reviewer: str = Field(pattern=REVIEWER)


class DecisionBody(ReviewerBody):
    """What is decided about an object; ``state`` is that of the object as it was seen."""

    number: int = Field(ge=0, le=_MOST)
    state: str = Field(pattern=r"^[0-9a-f]{16}$")
    decision: Literal["accept", "reject", "class", "box", "mask"]
    new_class: _Class | None = Field(None, description="Needed by class, possible with box and mask.")
    box: tuple[_Pixel, _Pixel, _Pixel, _Pixel] | None = Field(None, description="x1, y1, x2, y2 in tile pixels.")
    rings: list[Annotated[list[tuple[_Pixel, _Pixel]], Field(min_length=3, max_length=20_000)]] | None = Field(
        None, max_length=500, description="Outlines and holes of a mask, x, y in tile pixels."
    )
    comment: str | None = Field(None, max_length=1000)


class SegmentBody(_Body):
    """What is asked of the mask model about an object: a box, clicks, or both, in tile pixels."""

    number: int = Field(ge=0, le=_MOST)
    state: str = Field(pattern=r"^[0-9a-f]{16}$")
    context: int = Field(2, ge=1, le=4)
    box: tuple[_Pixel, _Pixel, _Pixel, _Pixel] | None = None
    points: list[tuple[_Pixel, _Pixel, Literal[0, 1]]] = Field(
        default_factory=list, max_length=100, description="x, y and 1 on the object, 0 off it."
    )


class Other(BaseModel):
    """What another reviewer decided about an object."""

    reviewer: str
    verdict: str


class Item(BaseModel):
    """An object of the set."""

    number: int
    state: str
    tile: str
    source: str
    object: str
    label: str
    score: float | None = Field(description="Higher is better.")
    predicted_iou: float | None
    stability: float | None
    mask_to_box: float | None
    area: int = Field(description="Pixels.")
    flags: list[str]
    window: tuple[int, int, int, int] = Field(description="x1, y1, x2, y2 of the tile that the picture shows.")
    width: int = Field(description="Pixels of the picture.")
    height: int
    outline: str = Field(description="Of the mask: SVG path in pixels of the picture.")
    boxes: str = Field(description="SVG path.")
    picture: str = Field(description="Address of the picture.")
    decision: dict[str, Any] | None
    others: list[Other] | None = Field(description="None while they are hidden.")


class ItemsAnswer(BaseModel):
    """Some objects of the set."""

    items: list[Item]
    following: int | None = Field(description="Place in the order to go on at; None at the end.")
    shown: int = Field(description="Objects that fit the filters.")


class SummaryAnswer(BaseModel):
    """A set and how far a reviewer is."""

    set: str
    total: int
    decided: int
    counts: dict[str, int] = Field(description="Decisions of each kind.")
    finished: bool = Field(description="The reviewer has said so, and sees others' decisions.")
    reopened: bool = Field(description="The reviewer goes on after that; the agreement does not count it.")
    blind: bool = Field(description="Others' decisions are hidden until the reviewer has finished.")
    reviewer: str
    reviewers: list[str]
    classes: list[dict[str, Any]] = Field(description="name, colour and count of each class.")
    orders: dict[str, str]
    score: str | None = Field(description="What the score is.")
    flags: dict[str, str]
    takes_boxes: bool = Field(description="Whether a conversion can use redrawn boxes.")
    file: str = Field(description="The file of decisions, below the folder of results.")


class AgreementAnswer(BaseModel):
    """How far the reviewers of a set agree."""

    reviewers: dict[str, dict[str, int]]
    pairs: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    disagreements: list[dict[str, Any]] = Field(description="The first 200.")
