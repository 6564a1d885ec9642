"""What all files of polygons have in common that pyogrio writes: one fixed date, quiet logs, known errors."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["DATE", "GPKG_VERSION", "fixed_date", "write_errors"]

DATE = "2000-01-01T00:00:00Z"
"""Always the same moment, so that the same content gives the same bytes."""
GPKG_VERSION = "1.2"
"""Of GeoPackages: programs older than GDAL 3.7, as in QGIS 3.22, warn of newer ones."""


def write_errors() -> tuple[type[Exception], ...]:
    """Errors of pyogrio, which is imported where it writes: with pyarrow it takes a quarter of a second."""
    from pyogrio.errors import CRSError, DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError

    return CRSError, DataLayerError, DataSourceError, FeatureError, FieldError, GeometryError


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
