"""What is made from a finished map: areas, polygons, accuracy, a STAC item.  Each file is whole or not there."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from rsseg.errors import ConfigError
from rsseg.io.files import replacing
from rsseg.io.georeference import GeoReference
from rsseg.mapping.item_writer import write_item
from rsseg.mapping.layers import FORMATS, check_format, write_layer
from rsseg.mapping.plan import recorded
from rsseg.mapping.reference import ReferenceLabels
from rsseg.mapping.results import Reference, measure_accuracy, measure_areas
from rsseg.mapping.styles import attribute_table, qgis_style
from rsseg.mapping.vectors import polygons
from rsseg.metainfo import ClassTable

__all__ = ["Products", "check_products", "make_products", "style_files", "warn_of_coordinates"]

_log = logging.getLogger("rsseg")


@dataclass(frozen=True)
class Products:
    """What to make besides the map and its areas.

    Attributes:
        vectors: File for polygons (``.gpkg``, ``.geojson``, ``.fgb``, ``.parquet``), or only the suffix, for a file
            beside the map.
        min_area: Smallest polygon in square metres (pixels, where they have no size).
        tolerance: Pixels by which outlines may be moved to need fewer points.
        reference: Labels to compare the map with.

    Raises:
        ConfigError: There is no such format of polygons, or a package is missing.
    """

    vectors: str | None = None
    min_area: float = 0
    tolerance: float = 0
    reference: Reference | None = None

    def __post_init__(self) -> None:
        if self.vectors is not None:
            try:
                check_format(self.vectors.rpartition(".")[2].lower())
            except ConfigError as error:
                raise ConfigError(f"--vectors {self.vectors}: {error}") from error

    def layer(self, target: Path) -> Path | None:
        """File for the polygons of a map."""
        if self.vectors is None:
            return None
        return target.with_name(f"{target.stem}.{self.vectors}") if self.vectors in FORMATS else Path(self.vectors)


def check_products(target: Path, products: Products, grid: GeoReference, source: GeoReference | None = None) -> None:
    """See before the work whether the products of a map can be made.

    Args:
        target: The map.
        products: What to make.
        grid: Where the map lies.
        source: Where the mapped raster lies, if it has other pixels.

    Raises:
        OSError: The folder of the polygons is not there, or the reference cannot be read.
        DataError: The reference does not go with the map, or pixels have no coordinates.
    """
    layer = products.layer(target)
    if layer is not None and layer.parent != target.parent and not layer.parent.is_dir():
        raise FileNotFoundError(f"{layer}: there is no folder {layer.parent}")
    if layer is not None:
        grid.coordinates(0, 0)
    if products.reference is not None:
        with ReferenceLabels(products.reference.path, grid, source):
            pass


def style_files(target: Path, products: Products) -> list[Path]:
    """Files from which GIS programs take names and colours: GDAL's and QGIS's beside a GeoTIFF, QGIS's beside polygons.

    A PNG has none, and a GeoPackage has its style inside.
    """
    layer, files = products.layer(target), []
    if target.suffix.lower() != ".png":
        files = [target.with_name(f"{target.name}.aux.xml"), target.with_name(f"{target.stem}.qml")]
    if layer is not None and layer.suffix.lower() != ".gpkg":
        files.append(layer.with_name(f"{layer.stem}.qml"))
    return list(dict.fromkeys(files))


def make_products(target: Path, table: ClassTable, products: Products, source: GeoReference | None = None) -> None:
    """Write ``<map>_areas.csv``, the class names for GIS programs and what is requested; show areas and accuracy.

    The last file is the map's STAC item, which lists all others.  Names and colours that lie beside the map already
    stay: the user may have changed the style in QGIS.

    Args:
        target: The map.
        table: Its classes.
        products: What to make.
        source: Where the mapped raster lies, if it has other pixels.

    Raises:
        OSError: A file cannot be read or written.
        ValueError: The reference does not go with the map.
    """
    areas = measure_areas(target, table)
    areas.write(target.with_name(f"{target.stem}_areas.csv"))
    for path in style_files(target, products):
        if not path.exists():
            with replacing(path) as file:
                is_style = path.suffix == ".qml"
                file.write(qgis_style(table) if is_style else attribute_table(table, areas.pixels.tolist()))
    _log.info("%s\n%s", target, areas)
    if products.reference is not None:
        accuracy = measure_accuracy(target, products.reference, table, source)
        accuracy.write(target.with_name(f"{target.stem}_accuracy.csv"))
        _log.info("%s against %s\n%s", target, products.reference.path, accuracy)
    layer = products.layer(target)
    if layer is not None:
        _write_layer(target, layer, table, products)
    made = {"min_area": products.min_area, "simplify": products.tolerance}
    extra = {"polygons": {f"rsseg:{key}": value for key, value in made.items()}}
    write_item(target, table, areas, _files(target, products), extra)


def _files(target: Path, products: Products) -> dict[str, Path]:
    """The files of a finished map by the keys of their assets in the item."""
    layer = products.layer(target)
    ends = {"probabilities": "_probabilities.tif", "areas": "_areas.csv"}
    ends |= {} if products.reference is None else {"accuracy": "_accuracy.csv"}
    files = {"map": target, **{key: target.with_name(f"{target.stem}{end}") for key, end in ends.items()}}
    if recorded("probabilities", target) is None:
        del files["probabilities"]
    files |= {} if layer is None else {"polygons": layer}
    for path in style_files(target, products):
        own = "names" if path.suffix == ".xml" else "style" if path.stem == target.stem else "polygons_style"
        files[own] = path
    return files


def _write_layer(target: Path, layer: Path, table: ClassTable, products: Products) -> None:
    georeference = GeoReference.of(target)
    warn_of_coordinates(layer, georeference)
    found = polygons(target, georeference.row_areas, products.min_area, products.tolerance)
    _log.info("%s: %d polygons", layer, write_layer(layer, found, table, georeference))


def warn_of_coordinates(layer: Path, georeference: GeoReference) -> None:
    """Warn of coordinates of polygons that are none on Earth."""
    if not georeference.has_coordinates:
        _log.warning(
            "%s: the coordinates are pixels of the map (x to the right, y downwards) and areas are in pixels "
            "(area_px), because the raster has %s", layer,
            "no georeference" if georeference.is_empty else georeference.no_metres,
        )  # fmt: skip
    elif georeference.crs is None:
        take = ", and GeoJSON readers take the coordinates for degrees" if layer.suffix == ".geojson" else ""
        _log.warning(
            "%s: has no CRS, because the raster has none: coordinates are those of its transform, areas are in pixels "
            "(area_px)%s; assign a CRS (rio edit-info --crs EPSG:... RASTER) and map it again", layer, take,
        )  # fmt: skip
