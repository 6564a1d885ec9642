"""Parts of requests that several rooms of the server share."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from rsseg.errors import ConfigError
from rsseg.serving.layers import Layer
from rsseg.serving.state import State
from rsseg.serving.views import View

__all__ = ["LayerId", "Number", "ViewBody", "Word", "picture_of", "tidy_word"]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def tidy_word(word: str) -> str:
    """A word as it is kept and shown: composed characters, single blanks.

    Raises:
        ValueError: Nothing is left, or there is a control character in it.
    """
    tidy = " ".join(unicodedata.normalize("NFC", word).split())
    seen = any(unicodedata.category(character) != "Cf" for character in tidy)  # format characters have no width
    if not seen or _CONTROL.search(tidy):
        raise ValueError("a word is empty, or has a control character in it")
    return tidy


LayerId = Annotated[str, Field(min_length=1, max_length=64, description="Id of an image, or of a map.")]
Number = Annotated[float, Field(ge=-1e7, le=1e7, allow_inf_nan=False)]
Word = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(tidy_word)]


class ViewBody(BaseModel):
    """A picture in Web Mercator, as the page shows it: degrees and pixels."""

    west: Annotated[float, Field(ge=-540, le=540, allow_inf_nan=False)]
    south: Annotated[float, Field(ge=-86, le=86, allow_inf_nan=False)]
    east: Annotated[float, Field(ge=-540, le=900, allow_inf_nan=False)]
    north: Annotated[float, Field(ge=-86, le=86, allow_inf_nan=False)]
    width: Annotated[int, Field(ge=1, le=8192)]
    height: Annotated[int, Field(ge=1, le=8192)]

    def checked(self, state: State) -> View:
        """The view, if it is one that a model may be given.

        Raises:
            ConfigError: It has too many pixels.
            DataError: Its sides are in the wrong order, or beyond the map.
        """
        view = View(self.west, self.south, self.east, self.north, self.width, self.height)
        most = state.settings.view_pixels
        if view.width * view.height > most:
            raise ConfigError(f"view: {view.width} x {view.height} pixels; at most {most} are segmented at once")
        return view


def picture_of(state: State, id: str) -> Layer:
    """The image that a model looks at for a layer: the layer itself, or what a map was made from.

    Raises:
        ConfigError: It has none.
        LookupError: There is no such layer.
    """
    layer = state.layers.get(id)
    if layer.kind == "map" and layer.image is not None:
        return state.layers.get(layer.image)
    if layer.kind != "image":
        what = "a map whose image is not served" if layer.kind == "map" else "a converted set"
        raise ConfigError(f"{layer.name} is {what}; choose an image")
    return layer
