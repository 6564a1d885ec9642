"""The released sets' ``ins/<image>.pkl``: reading (nothing in them is ever run) and writing.

A file is a list with one dict per box, in the order of the label file:

==========  ================================================================================================
mask        {"size": [H, W], "counts": ASCII str}, the whole mask as compressed COCO RLE
bbox        SOTA, SIOR: (4,) float x1 y1 x2 y2, the box the mask model was asked with, tile pixels, not clipped
rbox        FAST, SOTA-RBB instead of bbox: (4, 2) float64, the corners of the rotated box ...
rhbox       ... and (4,) float64 x1 y1 x2 y2, its horizontal hull, with which the model was asked
category    class name
label       class id, int, 0-based
size        pixels of the mask, numpy.int64; 0 where the model found nothing
==========  ================================================================================================

Source: SAMRS release, main_sam_hbox_semantic.py and main_sam_rhbox_semantic.py.
"""

from __future__ import annotations

import pickle
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.io.unpickling import load_plain
from rsseg.structures.runs import rle_to_runs

__all__ = ["PickledObject", "pack_objects", "read_objects"]

_LONGEST_SIDE = 100_000


@dataclass(frozen=True, eq=False)
class PickledObject:
    """One entry of the list.

    Attributes:
        rle: Compressed COCO RLE of the mask.
        category: Class name; ``None`` in files from before names were stored.
        label: Class id, 0-based.
        area: Pixels of the mask.
        hbox: (4,) float x1 y1 x2 y2 of the prompt, tile pixels.
        qbox: (4, 2) float64 corners x y where the box is rotated.
    """

    rle: dict[str, Any]
    category: str | None
    label: int
    area: int
    hbox: NDArray[np.floating]
    qbox: NDArray[np.float64] | None = None


def pack_objects(objects: Sequence[PickledObject]) -> bytes:
    """The pickle of a list of objects, which plain ``pickle`` reads with any NumPy since 1.7.

    Objects with a ``qbox`` get FAST's keys, the others those of SOTA and SIOR.
    """
    rows = []
    for item in objects:
        # Equal content must give equal bytes, and pickle goes by identity: hence interned names, NumPy's own dtypes.
        hbox = np.array(item.hbox.tolist(), np.float32 if item.hbox.dtype.itemsize == 4 else np.float64)
        boxes = {"bbox": hbox}
        if item.qbox is not None:
            boxes = {"rbox": np.array(item.qbox.tolist(), np.float64), "rhbox": hbox}
        mask = {"size": [int(v) for v in item.rle["size"]], "counts": str(item.rle["counts"])}
        category = None if item.category is None else sys.intern(item.category)
        named = {"category": category, "label": item.label, "size": np.int64(item.area)}
        rows.append({"mask": mask, **boxes, **named})
    # NumPy 2 writes names that older versions lack, but reads the old ones; protocol 3 has no lengths to mend.
    return pickle.dumps(rows, protocol=3).replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def read_objects(path: Path) -> list[PickledObject]:
    """The objects of one ``.pkl`` file; nothing in it is run.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is damaged, asks for something to be run, or holds no labels; the message names file and entry.
    """
    try:
        rows = load_plain(path.read_bytes())
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error
    if not isinstance(rows, list):
        raise DataError(f"{path}: contains a {type(rows).__name__}, expected a list of objects")
    objects = []
    for number, row in enumerate(rows):
        try:
            objects.append(_object(row))
        except KeyError as error:
            raise DataError(f"{path}, object {number}: lacks {error}") from error
        except (TypeError, ValueError) as error:
            raise DataError(f"{path}, object {number}: {error}") from error
    sizes = {tuple(item.rle["size"]) for item in objects}
    if len(sizes) > 1:
        raise DataError(f"{path}: masks of different sizes {sorted(sizes)}")
    return objects


def _object(row: dict[str, Any]) -> PickledObject:
    if not isinstance(row, dict):
        raise DataError(f"is a {type(row).__name__}, not a dict")
    rle = _mask(row["mask"])
    first, after = rle_to_runs(rle)
    area = int((after - first).sum())
    if int(row["size"]) != area:
        raise DataError(f"says size {int(row['size'])}, but its mask has {area} pixels")
    category = row["category"]
    # Files from before the release's script.py hold the id where the name belongs.
    label = int(row["label"]) if "label" in row else int(category)
    rotated = "rhbox" in row
    return PickledObject(
        rle=rle,
        category=category if isinstance(category, str) else None,
        label=label,
        area=area,
        hbox=_numbers(row["rhbox" if rotated else "bbox"], (4,)),
        qbox=_numbers(row["rbox"], (4, 2)).astype(np.float64) if rotated else None,
    )


def _mask(mask: dict[str, Any]) -> dict[str, Any]:
    height, width = (int(v) for v in mask["size"])
    if not (0 < height <= _LONGEST_SIDE and 0 < width <= _LONGEST_SIDE):
        raise DataError(f"mask of size {height} x {width}")
    counts = mask["counts"]
    return {"size": [height, width], "counts": counts.decode("ascii") if isinstance(counts, bytes) else str(counts)}


def _numbers(values: Any, shape: tuple[int, ...]) -> NDArray[np.floating]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or array.shape != shape or not np.isfinite(array).all():
        raise DataError(f"box {array.tolist()} is not {shape} finite numbers")
    return array if array.dtype.kind == "f" else array.astype(np.float64)
