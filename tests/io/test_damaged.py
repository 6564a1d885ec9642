"""Damage that GDAL only warns of is an error as well."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import rasterio

from rsseg.errors import UnreadableFileError
from rsseg.io.rasters import read_image


def _warns(path: Path, records: list[logging.LogRecord]) -> bool:
    """Whether GDAL reads the file, and libjpeg only warns of damage in it."""
    records.clear()
    try:
        with rasterio.open(path) as file:
            file.read()
    except rasterio.errors.RasterioError:
        return False
    return any("JPEGLib:" in record.getMessage() for record in records)


def test_damaged_jpeg_in_a_tiff_is_an_error(tmp_path: Path) -> None:
    """libtiff fills up what it cannot decode, and warns; a map of it would be wrong in silence."""
    ramp = (np.indices((64, 64)).sum(0) * 2).astype(np.uint8)
    path, options = tmp_path / "a.tif", dict(compress="jpeg", photometric="ycbcr")
    profile = dict(driver="GTiff", count=3, height=64, width=64, dtype="uint8") | options
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.stack([ramp, ramp.T, 255 - ramp]))
    records: list[logging.LogRecord] = []
    logger, whole = logging.getLogger("rasterio._err"), path.read_bytes()
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logger.addHandler(handler)
    try:
        for at in range(len(whole) - 10, len(whole) - 400, -1):
            path.write_bytes(whole[:at] + b"\xfe" + whole[at + 1 :])
            if _warns(path, records):
                break
        else:
            pytest.skip("this libjpeg warns of no damage")
    finally:
        logger.removeHandler(handler)
    with pytest.raises(UnreadableFileError, match=r"a\.tif: cannot be read at .*the JPEG data in it is damaged"):
        read_image(path)
    path.write_bytes(whole)
    assert read_image(path)[0].shape == (64, 64, 3)


@pytest.mark.parametrize("debug", [False, True])
def test_the_log_shows_steps_of_gdal_to_who_asks_for_them(debug: bool) -> None:
    code = (
        "import logging; logging.basicConfig(level=logging.DEBUG); import rsseg.io.damaged; "
        "print(logging.getLogger('rasterio._env').isEnabledFor(logging.DEBUG))"
    )
    environment = {key: value for key, value in os.environ.items() if key != "CPL_DEBUG"}
    environment |= {"CPL_DEBUG": "ON"} if debug else {}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(debug)
