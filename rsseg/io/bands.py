"""Which bands of a file are red, green and blue, and what becomes of its numbers: the one place that decides.

Nothing is guessed.  Bands are those that the file itself calls red, green and blue, or those that are declared; numbers
of more or fewer than 8 bits need declared ends, or are left as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from rsseg.errors import ConfigError, DataError

__all__ = [
    "RAW",
    "PixelSpec",
    "alpha_band",
    "check_numbers",
    "choose_bands",
    "percentile_range",
    "refuse_complex",
    "scale_values",
]

RAW: Literal["raw"] = "raw"
"""Range of a :class:`PixelSpec` that leaves numbers as they are."""
_RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
_SHORT = ("uint8", "int8", "uint16", "int16", "float16", "float32")
"""Types whose numbers are exact as float32."""
_PERCENTILES = (2.0, 98.0)
_SAMPLES = 4_000_000
"""Pixels that the percentiles of a large image are taken from."""


@dataclass(frozen=True)
class PixelSpec:
    """What is declared about the pixels of a file.

    Attributes:
        bands: Numbers from 1, red, green, blue first (or as the model was trained); None takes the bands that the file
            calls red, green and blue.
        value_range: ``(low, high)`` values that become 0 and 255, linearly, as float32; beyond, values are cut.
            ``"raw"`` leaves numbers as they are, for models that normalise them.  None: the file must hold 8 bits.
        repeat_grey: A file whose only band is grey gives that band three times, for sets that mix grey and colour.

    Raises:
        ConfigError: A value is not allowed.
    """

    bands: tuple[int, ...] | None = None
    value_range: tuple[float, float] | Literal["raw"] | None = None
    repeat_grey: bool = False

    def __post_init__(self) -> None:
        if self.bands is not None:
            bands = tuple(self.bands)
            if not bands or not all(type(band) is int and band >= 1 for band in bands):
                raise ConfigError(f"bands={self.bands!r}: expected numbers from 1, such as (3, 2, 1)")
            object.__setattr__(self, "bands", bands)
        if self.value_range is not None and self.value_range != RAW:
            ends = tuple(self.value_range) if isinstance(self.value_range, (tuple, list)) else ()
            numbers = all(isinstance(end, (int, float)) and math.isfinite(end) for end in ends)
            if len(ends) != 2 or not numbers or not ends[0] < ends[1]:
                raise ConfigError(
                    f"value_range={self.value_range!r}: expected two numbers, the smaller one first, such as "
                    "(0, 3000), or 'raw', or None for 8 bits"
                )
            object.__setattr__(self, "value_range", ends)


def choose_bands(colours: Sequence[ColorInterp], spec: PixelSpec, where: str) -> tuple[int, ...]:
    """Numbers (from 1) of the bands to read, red, green, blue first.

    Args:
        colours: What the file says about each of its bands.
        spec: What is declared.
        where: The file, for errors.

    Raises:
        DataError: A band is not there, holds indices of a palette, or nobody says which bands are which colour.
    """
    if spec.bands is not None:
        wrong = [band for band in spec.bands if band > len(colours)]
        if wrong:
            raise DataError(f"{where}: has {len(colours)} bands, --bands asks for band {wrong[0]}")
    if ColorInterp.palette in (colours if spec.bands is None else [colours[band - 1] for band in spec.bands]):
        raise DataError(f"{where}: is a palette image; expand it first: gdal_translate -expand rgb")
    if spec.bands is not None:
        return spec.bands
    found = [[i for i, colour in enumerate(colours, start=1) if colour == wanted] for wanted in _RGB]
    if all(len(numbers) == 1 for numbers in found):
        return tuple(numbers[0] for numbers in found)
    data = [i for i, colour in enumerate(colours, start=1) if colour != ColorInterp.alpha]
    if len(data) == 1 and spec.repeat_grey:
        return (data[0],) * 3
    names = ", ".join(colour.name for colour in colours)
    example = "3,2,1" if len(data) > 2 else "1,1,1"
    kind = ", red first, for example" if len(data) > 2 else ", for a grey file"
    raise DataError(
        f"{where}: does not say which of its bands are red, green and blue ({names}); declare them{kind} "
        f"--bands {example} of a tool, bands=({example.replace(',', ', ')}) in a config"
    )


def alpha_band(colours: Sequence[ColorInterp], bands: Sequence[int]) -> int | None:
    """Number (from 1) of the band that is a mask: marked alpha, and not one of the ``bands`` that are read."""
    return next((i for i, c in enumerate(colours, start=1) if c == ColorInterp.alpha and i not in bands), None)


def refuse_complex(dtypes: Sequence[str], where: str) -> None:
    """Refuse complex numbers; ``dtypes`` as rasterio names them.

    Raises:
        DataError: One of the types is complex.
    """
    found = sorted({name for name in dtypes if name.startswith("complex")})
    if found:
        raise DataError(
            f"{where}: holds complex numbers ({', '.join(found)}), which no model here takes; write what you need of "
            "them, such as the magnitude, to a file of real numbers first"
        )


def check_numbers(dtypes: Sequence[str], bits: int | None, spec: PixelSpec, where: str) -> None:
    """Refuse numbers whose meaning is not known.

    Args:
        dtypes: Types of the bands that are read, as rasterio names them.
        bits: Bits of a number where the file says that they are fewer than its type has.
        spec: What is declared.
        where: The file, for errors.

    Raises:
        DataError: They are not of 8 bits and no range is declared.
    """
    found = sorted(set(dtypes))
    if spec.value_range is not None:
        return
    if found != ["uint8"]:
        raise DataError(
            f"{where}: holds {', '.join(found)}, not 8 bits; declare which values are black and white: --range 0,3000 "
            "of a tool, value_range=(0, 3000) in a config (0,255 for values as the model expects them)"
        )
    if bits is not None and bits < 8:
        raise DataError(
            f"{where}: holds {bits}-bit numbers, 0 to {2**bits - 1}; declare that range: "
            f"--range 0,{2**bits - 1} of a tool, value_range=(0, {2**bits - 1}) in a config"
        )


def scale_values(pixels: NDArray[Any], value_range: tuple[float, float]) -> NDArray[np.float32]:
    """Numbers of any real type as float32, ``value_range`` going to 0..255; beyond, they are cut."""
    low, high = value_range
    exact: Any = pixels.astype(np.float32 if pixels.dtype.name in _SHORT else np.float64)
    above = (exact - low).astype(np.float32, copy=False)
    return np.clip(above * (255 / (high - low)), 0, 255).astype(np.float32, copy=False)


def percentile_range(pixels: NDArray[Any], valid: NDArray[np.bool_] | None) -> tuple[float, float]:
    """The 2nd and 98th percentile of the valid, finite numbers of all bands, for pictures to look at.

    Args:
        pixels: (C, H, W) real numbers.
        valid: (H, W), or None where all pixels are.

    Returns:
        (low, high); both 0 where nothing is valid, and equal where there is a single value.
    """
    step = max(1, math.isqrt(pixels.shape[1] * pixels.shape[2] // _SAMPLES))
    sample = pixels[:, ::step, ::step].astype(np.float64)
    numbers = sample.ravel() if valid is None else sample[:, valid[::step, ::step]]
    numbers = numbers[np.isfinite(numbers)]
    if not numbers.size:
        return 0.0, 0.0
    low, high = np.percentile(numbers, _PERCENTILES).tolist()
    return low, high
