"""What all files of polygons have in common that pyogrio writes: one fixed date, quiet logs, never half a file."""

from __future__ import annotations

import logging
import os
import shutil
import sqlite3
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["DATE", "GPKG_VERSION", "building", "fixed_date"]

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
