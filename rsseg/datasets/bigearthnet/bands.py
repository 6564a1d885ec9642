"""Bands of a patch, from its GeoTIFFs to one array."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.bigearthnet.band_table import Band, load_bands
from rsseg.errors import ConfigError, DataError, UnreadableFileError
from rsseg.io.labels import read_values

__all__ = ["check_bands", "read_bands", "read_tif", "stack_bands"]

SIDE = 120
"""Pixels of the side of a 10 m band."""


def check_bands(names: Sequence[str]) -> tuple[Band, ...]:
    """The bands of these names.

    Raises:
        ConfigError: There is no such band, one is named twice, none is, or they are one string.
    """
    known = load_bands()
    if isinstance(names, str):
        raise ConfigError(f"bands={names!r}: expected a list of names, such as {names.split(',')}")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError(f"unknown band {unknown[0]!r} in BigEarthNet; expected one of: {', '.join(known)}")
    if not names or len(set(names)) != len(names):
        raise ConfigError(f"bands {list(names)}: at least one, and each only once")
    return tuple(known[name] for name in names)


def check_plane(plane: NDArray[Any], band: Band, patch: str) -> None:
    """Refuse a band of another size or type.

    Args:
        plane: (side, side) uint16, or float32 decibels of Sentinel-1.
        band: Which band it is.
        patch: Name of its patch, for the message.

    Raises:
        DataError: It has another shape or type.
    """
    wanted = np.dtype(np.float32 if band.radar else np.uint16)
    if plane.shape != (band.side, band.side) or plane.dtype != wanted:
        found = f"{plane.dtype} of shape {plane.shape}"
        raise DataError(f"patch {patch}, band {band.name}: {found}, but must be {band.side} x {band.side} {wanted}")


def read_tif(folder: str | Path, patch: str, band: Band) -> NDArray[Any]:
    """One band as it is stored.

    Args:
        folder: Folder of the patch.
        patch: Its name, with which its files' names begin.
        band: Which band.

    Returns:
        (side, side) uint16, or float32 for Sentinel-1.

    Raises:
        FileNotFoundError: There is no such file; the message says which bands there are.
        UserError: The file is broken, or has another size or type.
    """
    path = f"{folder}/{patch}_{band.name}.tif"
    try:
        plane = read_values(path)
    except FileNotFoundError as error:
        found = sorted(file.stem.removeprefix(f"{patch}_") for file in Path(folder).glob(f"{patch}_*.tif"))
        there = f"the folder has {', '.join(found)}" if found else "the folder has no band of this patch"
        raise FileNotFoundError(f"patch {patch}, band {band.name}: no file {path}; {there}") from error
    except UnreadableFileError as error:
        where = f"patch {patch}, band {band.name}"
        raise UnreadableFileError(f"{where}: {path} cannot be read as TIFF; unpack it again ({error})") from error
    check_plane(plane, band, patch)
    return plane


def read_bands(folder: str | Path, patch: str, bands: Sequence[Band]) -> list[NDArray[Any]]:
    """Several bands as they are stored; raises as :func:`read_tif`."""
    return [read_tif(folder, patch, band) for band in bands]


def stack_bands(planes: Sequence[NDArray[Any]], dtype: Any = np.float32) -> NDArray[Any]:
    """Bands on the 10 m grid; those of 20 and 60 m are interpolated cubically (OpenCV's, a = -0.75).

    Args:
        planes: C bands (side, side) of 120, 60 or 20 pixels.
        dtype: Type of the result; integers are rounded and clipped to their range.

    Returns:
        (120, 120, C) of that type.  In memory the bands lie one after another, so that a transposition to (C, 120, 120)
        costs nothing.

    Source: BigEarthNet paper, section 4 (cubic interpolation of the 20 and 60 m bands).
    """
    out = np.empty((len(planes), SIDE, SIDE), np.float32)
    for canvas, plane in zip(out, planes, strict=True):
        if plane.shape[0] == SIDE:
            canvas[:] = plane
        else:
            cv2.resize(plane.astype(np.float32), (SIDE, SIDE), dst=canvas, interpolation=cv2.INTER_CUBIC)
    if np.dtype(dtype) != out.dtype:
        limits = np.iinfo(dtype)
        out = np.clip(np.rint(out), limits.min, limits.max).astype(dtype)
    return out.transpose(1, 2, 0)
