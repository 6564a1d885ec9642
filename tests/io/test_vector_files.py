"""Files that pyogrio writes: whole or not there, whatever they are called."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import shapely
from pyogrio.errors import DataSourceError

from rsseg.io.vector_files import building


@pytest.mark.parametrize("name", ["a.gpkg", "a;b,c!.GPKG", "new\nline.fgb", "back\\slash.fgb", "a?b#%41 é.geojson"])
def test_files_of_any_name(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "in! a;\nb"
    folder.mkdir()
    path, driver = folder / name, {"gpkg": "GPKG", "fgb": "FlatGeobuf", "geojson": "GeoJSON"}
    with building(path) as made:
        pyogrio.raw.write(made, shapely.to_wkb(np.array([shapely.box(0, 0, 1, 1)])), [], [], geometry_type="Polygon",
                          driver=driver[made.suffix[1:]], crs="EPSG:4326")  # fmt: skip
    assert list(folder.iterdir()) == [path]
    shutil.copy(path, tmp_path / f"plain{made.suffix}")
    assert pyogrio.read_info(tmp_path / f"plain{made.suffix}", force_feature_count=True)["features"] == 1


@pytest.mark.parametrize(
    "error, reason",
    [
        (DataSourceError("no such driver"), "no such driver"),
        (sqlite3.OperationalError("disk I/O error"), "disk I/O error"),
        (OSError(28, "No space left on device"), "No space left on device"),
    ],
)
def test_what_fails_leaves_the_file_as_it_was(error: Exception, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "a.gpkg"
    path.write_bytes(b"before")
    (tmp_path / ".a.gpkg.tmp").mkdir()
    (tmp_path / ".a.gpkg.tmp" / "layer.gpkg").write_bytes(b"of a killed process")
    with pytest.raises(OSError, match=f"cannot write {path}: {reason}"), building(path) as made:
        assert not made.exists()
        made.write_bytes(b"half")
        raise error
    assert path.read_bytes() == b"before" and list(tmp_path.iterdir()) == [path]
