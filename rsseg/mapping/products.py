"""What is made from a finished map: areas, polygons, accuracy.  Each file is whole or not there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rasterio

from rsseg.mapping.areas import row_areas
from rsseg.mapping.layers import LAYERS
from rsseg.mapping.results import Reference, check_reference, measure_accuracy, measure_areas
from rsseg.mapping.vectors import polygons
from rsseg.metainfo import ClassTable

__all__ = ["Products", "check_products", "make_products"]

_log = logging.getLogger("rsseg")


@dataclass(frozen=True)
class Products:
    """What to make besides the map and its areas.

    Attributes:
        vectors: File for polygons (``.gpkg`` or ``.geojson``), or only the suffix, for a file beside the map.
        min_area: Smallest polygon in square metres (pixels, where they have no size).
        tolerance: Pixels by which outlines may be moved to need fewer points.
        reference: Labels to compare the map with.

    Raises:
        ValueError: There is no such format of polygons.
    """

    vectors: str | None = None
    min_area: float = 0
    tolerance: float = 0
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if self.vectors is not None and self.vectors.rpartition(".")[2] not in LAYERS:
            raise ValueError(f"--vectors {self.vectors}: polygons are written as {' or '.join(LAYERS)}")

    def layer(self, target: Path) -> Path | None:
        """File for the polygons of a map."""
        if self.vectors is None:
            return None
        return target.with_name(f"{target.stem}.{self.vectors}") if self.vectors in LAYERS else Path(self.vectors)


def check_products(target: Path, wanted: Products, grid: Any) -> None:
    """See before the work whether the products of a map can be made.

    Args:
        target: The map.
        wanted: What to make.
        grid: Has the map's ``shape``, ``crs`` and ``transform``.

    Raises:
        OSError: The folder of the polygons is not there, or the reference cannot be read.
        ValueError: The reference does not go with the map.
    """
    layer = wanted.layer(target)
    if layer is not None and layer.parent != target.parent and not layer.parent.is_dir():
        raise FileNotFoundError(f"{layer}: there is no folder {layer.parent}")
    if wanted.reference is not None:
        check_reference(wanted.reference.path, grid)


def make_products(target: Path, table: ClassTable, wanted: Products) -> None:
    """Write ``<map>_areas.csv`` and what is wanted, and show areas and accuracy.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The reference does not go with the map.
    """
    areas = measure_areas(target, table)
    _replace(target.with_name(f"{target.stem}_areas.csv"), areas.write)
    _log.info("%s\n%s", target, areas)
    if wanted.reference is not None:
        accuracy = measure_accuracy(target, wanted.reference, table)
        _replace(target.with_name(f"{target.stem}_accuracy.csv"), accuracy.write)
        _log.info("%s against %s\n%s", target, wanted.reference.path, accuracy)
    layer = wanted.layer(target)
    if layer is not None:
        _write_layer(target, layer, table, wanted)


def _write_layer(target: Path, layer: Path, table: ClassTable, wanted: Products) -> None:
    with rasterio.open(target) as file:
        crs, transform, size = file.crs, file.transform, file.shape
    found = polygons(target, row_areas(crs, transform, size)[0], wanted.min_area, wanted.tolerance)
    count = [0]

    def write(path: Path) -> None:
        count[0] = LAYERS[layer.suffix[1:]](path, found, table, crs, transform)

    _replace(layer, write)
    _log.info("%s: %d polygons", layer, count[0])


def _replace(path: Path, write: Callable[[Path], None]) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
