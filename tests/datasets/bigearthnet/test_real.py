"""Real patches of v1.0 and v2.0."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio
from mmengine.registry import init_default_scope

from rsseg.datasets.bigearthnet import BigEarthNet, read_reference_map
from rsseg.datasets.bigearthnet.band_table import load_bands

OPTICAL = [name for name, band in load_bands().items() if not band.radar]
# Ids among the 43, the 15, the 5 and the 19, worked out by hand from the names in the patches' JSON files.
EXPECTED = {
    "S2A_MSIL2A_20170617T113321_36_85": ([11, 17], [4, 6], [1], [2, 4]),
    "S2A_MSIL2A_20171221T112501_56_35": ([19, 20, 22, 28], [7, 8, 9], [1, 2], [5, 6, 8, 13]),
    "S2B_MSIL2A_20170914T093029_32_39": ([11, 20, 22], [4, 7, 8], [1, 2], [2, 6, 8]),
    "S2B_MSIL2A_20170924T93021_41_29": ([22, 24], [8], [2], [8, 10]),
    "S2B_MSIL2A_20180421T114349_41_4": ([11, 17, 22], [4, 6, 8], [1, 2], [2, 4, 8]),
    "S2B_MSIL2A_20180502T093039_43_14": ([19, 20, 22, 28], [7, 8, 9], [1, 2], [5, 6, 8, 13]),
}


@pytest.fixture(autouse=True)
def scope():
    """Names in pipelines mean mmpretrain's transforms, as under its configs."""
    init_default_scope("mmpretrain")
    yield
    init_default_scope("mmseg")


@pytest.mark.parametrize(("labels", "column"), [("level3", 0), ("level2", 1), ("level1", 2), ("nineteen", 3)])
def test_six_patches_of_v1(samples, labels, column):
    root = samples / "bigearthnet_v1"
    data = BigEarthNet(str(root), split=None, bands=OPTICAL, labels=labels, pipeline=[dict(type="LoadBands")])
    rows = [data.get_data_info(i) for i in range(len(data))]
    assert {row["patches"][0]: row["gt_label"] for row in rows} == {name: row[column] for name, row in EXPECTED.items()}
    for sample in data if column == 0 else ():
        assert sample["img"].shape == (120, 120, 12)
        name = sample["patches"][0]
        with rasterio.open(root / name / f"{name}_B03.tif") as file:
            assert np.array_equal(sample["img"][..., 2], file.read(1))
        with rasterio.open(root / name / f"{name}_B8A.tif") as file:
            assert abs(sample["img"][..., 8].mean() - file.read(1).mean()) < 2


def test_a_patch_of_v2_with_radar(samples, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    for part in ("BigEarthNet-S1", "BigEarthNet-S2"):
        shutil.copytree(samples / "bigearthnet_v2" / part, tmp_path / part)
    row = {"patch_id": "S2A_MSIL2A_20170613T101031_N9999_R022_T33UUP_75_43", "labels": ["Pastures", "Arable land"]}
    row |= {"split": "train", "s1_name": "S1A_IW_GRDH_1SDV_20170613T165043_33UUP_70_48"}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "metadata.parquet")
    load = [dict(type="LoadBands")]
    data = BigEarthNet(str(tmp_path), "v2", bands=[*OPTICAL, "VV", "VH"], labels="nineteen", pipeline=load)
    sample = data[0]
    assert sample["gt_label"] == [2, 4]
    assert sample["img"].shape == (120, 120, 14)
    assert sample["img"][..., :12].max() > 1000 and sample["img"][..., 12:].mean() < 0
    with rasterio.open(next(tmp_path.glob("BigEarthNet-S1/*/*/*_VV.tif"))) as file:
        assert np.array_equal(sample["img"][..., 12], file.read(1))


def test_a_reference_map(samples):
    path = next((samples / "bigearthnet_v2").glob("Reference_Maps/*/*/*_reference_map.tif"))
    ids = read_reference_map(str(path))
    assert ids.shape == (120, 120)
    assert np.unique(ids).tolist() == [2, 4, 8, 10]  # codes 211, 231, 311 and 313
