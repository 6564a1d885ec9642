"""Files of polygons: what all that pyogrio writes have in common, and GeoParquet, which it does not read everywhere."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rsseg.errors import DataError, MissingPackageError

if TYPE_CHECKING:
    from rasterio.crs import CRS

__all__ = ["DATE", "GPKG_VERSION", "building", "fixed_date", "read_geoparquet"]

DATE = "2000-01-01T00:00:00Z"
"""Always the same moment, so that the same content gives the same bytes."""
GPKG_VERSION = "1.2"
"""Of GeoPackages: programs older than GDAL 3.7, as in QGIS 3.22, warn of newer ones."""


@contextmanager
def building(path: Path) -> Iterator[Path]:
    """A path to write to, whose file takes its place under its real name when the block ends without an error.

    It leads by a link into a hidden folder beside, since pyogrio takes ``!``, ``;`` and others in names of files and
    folders for signs of addresses; what a killed process has left there is removed.

    Args:
        path: The file; one process at a time may write it.

    Raises:
        OSError: Writing failed, for example on a full disk; the message names the file.
    """
    folder, name = path.with_name(f".{path.name}.tmp"), f"layer{path.suffix.lower()}"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        folder.mkdir()
        with tempfile.TemporaryDirectory() as plain:
            link = Path(plain) / "folder"
            link.symlink_to(folder.resolve())
            yield link / name
        os.replace(folder / name, path)
    except _errors() as error:
        raise OSError(f"cannot write {path}: {error}") from error
    except OSError as error:
        raise OSError(error.errno, f"cannot write {path}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _errors() -> tuple[type[Exception], ...]:
    """Of pyogrio, which is imported where it writes: with pyarrow it takes a quarter of a second."""
    from pyogrio.errors import CRSError, DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

    return CRSError, DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError, sqlite3.Error


@contextmanager
def fixed_date() -> Iterator[None]:
    """Write one fixed date, and no line per batch; files without a CRS are nothing to warn of."""
    import pyogrio

    before, log = pyogrio.get_gdal_config_option("OGR_CURRENT_DATE"), logging.getLogger("pyogrio")
    level = log.level
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": DATE})
    log.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "'crs' was not provided")
            yield
    finally:
        log.setLevel(level)
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": before})


def read_geoparquet(path: Path) -> tuple[list[bytes | None], CRS | None]:
    """The shapes of a local GeoParquet file as WKB, and their CRS; pyogrio's wheels have no driver for it.

    Raises:
        MissingPackageError: pyarrow is not installed.
        DataError: It is no GeoParquet, or its shapes are not WKB.
        CRSError: Of rasterio; its CRS is unknown.
    """
    from rasterio.crs import CRS

    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            f'{path}: GeoParquet needs the package pyarrow: python -m pip install "rsseg[optional]"'
        ) from error
    try:
        told = json.loads((parquet.read_schema(path).metadata or {})[b"geo"])
        name = told["primary_column"]
        column = told["columns"][name]
        encoding, crs = column["encoding"], column.get("crs", "EPSG:4326")
        shapes = parquet.read_table(path, columns=[name])[name].to_pylist() if encoding == "WKB" else []
    except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as GeoParquet ({error})") from error
    if encoding != "WKB":
        raise DataError(f"{path}: has shapes in the encoding {encoding!r}; expected WKB")
    return shapes, None if crs is None else CRS.from_user_input(crs)
