"""Small archives in the layouts of BigEarthNet v1.0 and v2.0."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

SIDES = dict.fromkeys(("B02", "B03", "B04", "B08"), 120) | dict.fromkeys(("B01", "B09"), 20)
SIDES |= dict.fromkeys(("B05", "B06", "B07", "B8A", "B11", "B12"), 60)
UTM_29 = 'PROJCS["WGS 84 / UTM zone 29N",GEOGCS["WGS 84"],AUTHORITY["EPSG","32629"]]'


def write_tif(path: Path, values: np.ndarray) -> None:
    """A TIFF with one band; without the archive's geographical tags, which are slow to write and not read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values, [cv2.IMWRITE_TIFF_COMPRESSION, 1])


def write_bands(folder: Path, name: str, seed: int) -> None:
    """Twelve bands of random values."""
    rng = np.random.default_rng(seed)
    for band, side in SIDES.items():
        write_tif(folder / name / f"{name}_{band}.tif", rng.integers(0, 5000, (side, side)).astype(np.uint16))


def write_radar(folder: Path, name: str, seed: int) -> None:
    """VV and VH in decibels."""
    rng = np.random.default_rng(1000 + seed)
    for band in ("VV", "VH"):
        write_tif(folder / name / f"{name}_{band}.tif", rng.normal(-15, 4, (120, 120)).astype(np.float32))


@pytest.fixture
def writers() -> SimpleNamespace:
    """``sides`` of the bands, ``bands(folder, name, seed)`` and ``tif(path, values)``."""
    return SimpleNamespace(sides=SIDES, bands=write_bands, tif=write_tif)


@pytest.fixture
def archive_v1(tmp_path: Path) -> Callable[..., Path]:
    """``archive_v1(labels)`` writes a patch for each list of labels, named ..._0_0, ..._0_1; ``radar=True`` adds S1."""

    def write(labels: Sequence[Sequence[str]], radar: bool = False) -> Path:
        root = tmp_path / "bigearthnet_v1"
        for i, names in enumerate(labels):
            name = f"S2A_MSIL2A_20170617T113321_0_{i}"
            write_bands(root / "BigEarthNet-v1.0", name, i)
            corner = {"ulx": 643200 + 1200 * i, "uly": 5798040, "lrx": 644400 + 1200 * i, "lry": 5796840}
            about = {"labels": list(names), "coordinates": corner, "projection": UTM_29}
            about |= {"tile_source": "S2A_T29UPU.SAFE", "acquisition_date": "2017-06-17 11:33:21"}
            (root / "BigEarthNet-v1.0" / name / f"{name}_labels_metadata.json").write_text(json.dumps(about))
            if radar:
                s1 = f"S1A_IW_GRDH_1SDV_20170613T165043_29UPU_0_{i}"
                write_radar(root / "BigEarthNet-S1-v1.0", s1, i)
                about = {
                    "labels": list(names),
                    "acquisition_time": "2017-06-13T16:50:43",
                    "corresponding_s2_patch": name,
                }
                about |= {"coordinates": {**corner, "lly": corner["lry"]}, "scene_source": "S1A"}
                (root / "BigEarthNet-S1-v1.0" / s1 / f"{s1}_labels_metadata.json").write_text(json.dumps(about))
        return root

    return write


@pytest.fixture
def archive_v2(tmp_path: Path) -> Callable[..., Path]:
    """``archive_v2(rows)`` writes a patch for each (labels, split, snow): S2, S1, map, metadata.parquet."""
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    def write(rows: Sequence[tuple[Sequence[str], str, bool]]) -> Path:
        root, table = tmp_path / "bigearthnet_v2", []
        tile, scene = "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP", "S1A_IW_GRDH_1SDV_20170613T165043"
        for i, (labels, split, snow) in enumerate(rows):
            name, s1 = f"{tile}_26_{i}", f"{scene}_33UUP_26_{i}"
            write_bands(root / "BigEarthNet-S2" / tile, name, i)
            write_radar(root / "BigEarthNet-S1" / scene, s1, i)
            codes = np.full((120, 120), 311, np.uint16)
            codes[:60], codes[60:70], codes[70:80] = 211, 124, 999
            write_tif(root / "Reference_Maps" / tile / name / f"{name}_reference_map.tif", codes)
            about = {"patch_id": name, "labels": list(labels), "split": split, "country": "Austria", "s1_name": s1}
            about |= {"s2v1_name": f"S2A_MSIL2A_20170613T101031_26_{i}"}
            table.append(about | {"contains_seasonal_snow": snow, "contains_cloud_or_shadow": False})
        parquet.write_table(pyarrow.Table.from_pylist(table), root / "metadata.parquet")
        return root

    return write
