"""tools/pack_bigearthnet.py and tools/bigearthnet_statistics.py as a user calls them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from rsseg.datasets.bigearthnet.band_table import load_bands


@pytest.fixture
def archive(tmp_path):
    """Three patches of v1, of which the last has a broken band."""
    for i in range(3):
        name = f"S2A_MSIL2A_20170617T113321_0_{i}"
        folder = tmp_path / "archive" / "BigEarthNet-v1.0" / name
        folder.mkdir(parents=True)
        (folder / f"{name}_labels_metadata.json").write_text(json.dumps({"labels": ["Pastures"]}))
        for band in load_bands().values():
            if not band.radar:
                cv2.imwrite(str(folder / f"{name}_{band.name}.tif"), np.full((band.side, band.side), i, np.uint16))
    (folder / f"{name}_B09.tif").write_bytes(b"II*\0")
    return tmp_path / "archive"


def test_pack_and_verify(run_tool, archive, tmp_path):
    pytest.importorskip("lmdb")
    done = run_tool("pack_bigearthnet", archive, tmp_path / "packed", "--workers", 2, "--verify")
    assert done.returncode == 1, done.stderr
    assert "2 patches packed, 0 were packed before" in done.stderr
    assert "pack 3/3" in done.stderr and "verify 3/3" in done.stderr
    assert "2 problems" in done.stderr and "patch S2A_MSIL2A_20170617T113321_0_2, band B09" in done.stderr
    assert "patch S2A_MSIL2A_20170617T113321_0_2: not in" in done.stderr
    assert len((tmp_path / "packed" / "patches.csv").read_text().splitlines()) == 4


def test_statistics(run_tool, archive, tmp_path):
    done = run_tool("bigearthnet_statistics", archive, tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "images                   3" in done.stderr
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "classes.csv",
        "countries.csv",
        "dates.csv",
        "figures",
        "labels_per_image.csv",
        "seasons.csv",
        "totals.json",
    ]
