"""BigEarthNet as a data set: labels, bands and splits of both versions, GeoTIFFs and packed."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.registry import init_default_scope
from mmpretrain.structures import DataSample
from mmseg.structures import SegDataSample
from torch.utils.data import DataLoader

from rsseg.datasets import SeededIndex
from rsseg.datasets.bigearthnet import BigEarthNet, BigEarthNetMaps, find_patches, pack_archive, read_bands, stack_bands
from rsseg.datasets.bigearthnet.bands import check_bands

LOAD = [dict(type="LoadBands")]
PACK = [*LOAD, dict(type="PackInputs")]
LABELS = [
    ["Continuous urban fabric", "Airports"],
    ["Water bodies", "Sea and ocean", "Peatbogs"],
    ["Bare rock"],  # none of the 19
    ["Discontinuous urban fabric", "Continuous urban fabric"],
    ["Transitional woodland/shrub"],
]


@pytest.fixture(autouse=True)
def scope():
    """Names in pipelines mean mmpretrain's transforms, as under its configs."""
    init_default_scope("mmpretrain")
    yield
    init_default_scope("mmseg")


@pytest.mark.parametrize(
    ("labels", "classes", "expected"),
    [
        ("level3", 43, [[0, 5], [34, 39, 42], [30], [0, 1], [28]]),
        ("level2", 15, [[0, 1], [11, 13, 14], [10], [0], [9]]),
        ("level1", 5, [[0], [3, 4], [2], [0], [2]]),
        ("nineteen", 19, [[0], [15, 17, 18], [0], [13]]),
    ],
)
def test_labels_of_v1(archive_v1, labels, classes, expected):
    data = BigEarthNet(str(archive_v1(LABELS)), split=None, labels=labels, pipeline=PACK)
    assert len(data.metainfo["classes"]) == classes
    assert [data.get_data_info(i)["gt_label"] for i in range(len(data))] == expected
    assert [data[i]["data_samples"].gt_label.tolist() for i in range(len(data))] == expected
    assert data.get_cat_ids(0) == expected[0]


def test_splits_of_v1_are_drawn_once_and_cover_all(archive_v1):
    root = archive_v1(LABELS)
    parts = [BigEarthNet(str(root), split=split) for split in ("train", "val", "test")]
    assert [len(part) for part in parts] == [3, 1, 1]
    names = [part.get_data_info(i)["patches"][0] for part in parts for i in range(len(part))]
    assert sorted(names) == find_patches(root, "v1")
    assert (root / "splits" / "splits.sha256").is_file()


def test_bands_in_their_order_with_radar(archive_v1):
    root, bands = archive_v1(LABELS[:2], radar=True), ("B12", "VH", "B02", "VV")
    data = BigEarthNet(str(root), split=None, bands=bands, pipeline=LOAD)
    assert data.metainfo["bands"] == bands
    sample = data[1]
    optical, radar = (root / part for part in ("BigEarthNet-v1.0", "BigEarthNet-S1-v1.0"))
    s2, s1 = "S2A_MSIL2A_20170617T113321_0_1", "S1A_IW_GRDH_1SDV_20170613T165043_29UPU_0_1"
    b12, b02 = read_bands(optical / s2, s2, check_bands(["B12", "B02"]))
    vh, vv = read_bands(radar / s1, s1, check_bands(["VH", "VV"]))
    assert np.array_equal(sample["img"], stack_bands([b12, vh, b02, vv]))
    data = BigEarthNet(str(root), split=None, bands=bands, pipeline=[dict(type="LoadBands", dtype="uint16")])
    with pytest.raises(ValueError, match="Sentinel-1 is in decibels"):
        data[1]
    assert sample["img_path"].endswith(s2) and sample["img_shape"] == (120, 120)


def test_radar_is_paired_by_the_authors_lists(archive_v1):
    root = archive_v1(LABELS[:2], radar=True)
    optical, radar = "S2A_MSIL2A_20170617T113321_0", "S1A_IW_GRDH_1SDV_20170613T165043_29UPU_0"
    swapped = f"{optical}_0,{radar}_1\n{optical}_1,{radar}_0\n"
    (root / "splits").mkdir()
    longer = f"s1_name,s2_name,country,season\n{radar}_1,{optical}_0,Ireland,Fall\n{radar}_0,{optical}_1,Ireland,Fall\n"
    for name, text in (("s1_s2_name_country_season", longer), ("s1_s2_mapping", swapped)):
        (root / "splits" / f"{name}.csv").write_text(text)
        data = BigEarthNet(str(root), split=None, bands=["VV"])
        assert [data.get_data_info(i)["patches"][1][-3:] for i in (0, 1)] == ["0_1", "0_0"]
        (root / "splits" / f"{name}.csv").unlink()
    (root / "splits" / "train.csv").write_text(swapped.splitlines()[1])
    data = BigEarthNet(str(root), split="train", bands=["VV"])
    assert [row[-3:] for row in data.get_data_info(0)["patches"]] == ["0_1", "0_0"]


def test_v2_splits_by_its_table_and_leaves_snow_out(archive_v2):
    rows = [(["Arable land"], "train", False), (["Marine waters", "Pastures"], "validation", False)]
    root = archive_v2([*rows, (["Urban fabric"], "train", True), (["Mixed forest"], "test", False)])
    expected = {"train": [[2]], "val": [[4, 18]], "test": [[10]], None: [[2], [4, 18], [10]]}
    for split, labels in expected.items():
        data = BigEarthNet(str(root), "v2", split, bands=["B02", "VV"], labels="nineteen", pipeline=LOAD)
        assert [data.get_data_info(i)["gt_label"] for i in range(len(data))] == labels
    image = data[2]["img"]
    assert image.shape == (120, 120, 2)
    assert not (root / "splits").exists()
    pack_archive(root, root / "packed", "v2", radar=True)
    (root / "packed" / "patches.csv").unlink()  # as rico-hdl leaves it
    for part in ("BigEarthNet-S1", "BigEarthNet-S2"):
        (root / part).rename(root / f"no {part}")
    more = dict(packed=str(root / "packed"), bands=["B02", "VV"], labels="nineteen", pipeline=LOAD)
    assert np.array_equal(BigEarthNet(str(root), "v2", None, **more)[2]["img"], image)
    with pytest.raises(ValueError, match="v2 has the 19 classes only"):
        BigEarthNet(str(root), "v2")
    (root / "metadata.parquet").unlink()
    with pytest.raises(FileNotFoundError, match=r"metadata.parquet: no such table"):
        BigEarthNet(str(root), "v2", labels="nineteen")
    (root / "metadata.parquet").write_bytes(b"PAR1 no table PAR1")
    with pytest.raises(ValueError, match=r"metadata.parquet: no parquet table"):
        BigEarthNet(str(root), "v2", labels="nineteen")


def test_packed_patches_are_the_same_also_in_workers(archive_v1, tmp_path):
    pytest.importorskip("lmdb")
    root, bands = archive_v1(LABELS, radar=True), ["VV", "B01", "B05", "B04"]
    pack_archive(root, tmp_path / "packed", radar=True)
    plain = BigEarthNet(str(root), split=None, bands=bands, pipeline=PACK)
    data = BigEarthNet(str(root), split=None, bands=bands, pipeline=PACK, packed=str(tmp_path / "packed"))
    data[0]  # opened before workers are forked
    loader = DataLoader(data, batch_size=1, num_workers=2, collate_fn=pseudo_collate, multiprocessing_context="fork")
    batches = list(loader)
    for i, batch in enumerate(batches):
        assert torch.equal(batch["inputs"][0], plain[i]["inputs"])
        assert batch["data_samples"][0].gt_label.tolist() == plain[i]["data_samples"].gt_label.tolist()
    assert len(batches) == 5
    pack_archive(root, tmp_path / "packed", radar=True)  # while it is open for reading
    (root / "BigEarthNet-v1.0" / "S2A_MSIL2A_20170617T113321_9_9").mkdir()
    (tmp_path / "packed" / "patches.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"_9_9_labels_metadata.json"):
        BigEarthNet(str(root), split=None, packed=str(tmp_path / "packed"))


@pytest.mark.parametrize(
    "transform",
    [
        dict(type="RandomFlip", prob=1.0, direction="horizontal"),
        dict(type="RandomFlip", prob=1.0, direction="vertical"),
        dict(type="mmseg.RandomRotate90", prob=1.0),
        dict(type="RandomResizedCrop", scale=96, interpolation="bicubic"),
        dict(type="RandomCrop", crop_size=96),
    ],
    ids=lambda transform: "-".join(map(str, transform.values())),
)
def test_augmentations_do_the_same_to_all_bands(archive_v1, transform):
    root = archive_v1([["Pastures"]])
    every = ["B02", "B03", "B04", "B08", "B05", "B06", "B07", "B8A", "B11", "B12", "B01", "B09"]
    data = BigEarthNet(str(root), split=None, bands=every, pipeline=[*LOAD, transform, dict(type="PackInputs")])
    rgb = BigEarthNet(str(root), split=None, bands=every[:3], pipeline=[*LOAD, transform, dict(type="PackInputs")])
    one, same, three = (d[SeededIndex(0, 5)]["inputs"] for d in (data, data, rgb))
    assert one.shape[0] == 12 and one.dtype == torch.float32
    assert torch.equal(one, same)
    assert torch.allclose(one[:3], three, atol=0.01)
    untouched = BigEarthNet(str(root), split=None, bands=every, pipeline=PACK)[0]["inputs"]
    assert one.shape != untouched.shape or not torch.equal(one, untouched)


@pytest.mark.parametrize("scope", ["mmpretrain", "mmseg"])
def test_preprocessors_know_mean_and_deviation(scope):
    registry = importlib.import_module(f"{scope}.registry").MODELS
    more = dict(size_divisor=1) if scope == "mmseg" else {}
    preprocessor = registry.build(dict(type="BandPreprocessor", bands=["B12", "VV"], version="v1", **more))
    image = torch.tensor([1009.3273 + 818.8675, -12.62 - 5.12]).view(2, 1, 1).expand(2, 8, 8)
    sample = SegDataSample() if scope == "mmseg" else DataSample()
    found = preprocessor({"inputs": [image.contiguous()], "data_samples": [sample]})["inputs"]
    assert torch.allclose(found[0], torch.tensor([1.0, -1.0]).view(2, 1, 1).expand(2, 8, 8), atol=1e-5)


@pytest.mark.parametrize("scope", ["mmpretrain", "mmseg"])
def test_preprocessors_refuse_other_bands(scope):
    registry = importlib.import_module(f"{scope}.registry").MODELS
    more = dict(size_divisor=1) if scope == "mmseg" else {}
    preprocessor = registry.build(dict(type="BandPreprocessor", bands=["B04", "B03"], **more))
    kind = SegDataSample if scope == "mmseg" else DataSample
    cases = {("B04", "B03"): 2, ("B03", "B04"): 2, ("B04", "B03", "B02"): 3}
    for names, count in cases.items():
        data = {"inputs": [torch.zeros(count, 8, 8)], "data_samples": [kind(metainfo={"band_names": names})]}
        if names == ("B04", "B03"):
            assert preprocessor(data)["inputs"].shape == (1, 2, 8, 8)
        else:
            message = rf"images have {', '.join(names)}, but data_preprocessor.bands are B04, B03; give the data sets"
            with pytest.raises(ValueError, match=message):
                preprocessor(data)
    with pytest.raises(ValueError, match=r"images have 3 bands, but data_preprocessor.bands are B04, B03"):
        preprocessor({"inputs": torch.zeros(1, 3, 8, 8)})


def test_what_is_missing_is_named(archive_v1, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no S2 patches of BigEarthNet v1; looked for .*BigEarthNet-v1.0"):
        BigEarthNet(str(tmp_path))
    root = archive_v1(LABELS)
    (root / "splits").mkdir()
    (root / "splits" / "train.txt").write_text("S2A_MSIL2A_20170617T113321_7_7\n")
    with pytest.raises(FileNotFoundError, match=r"patch S2A_MSIL2A_20170617T113321_7_7: no file"):
        BigEarthNet(str(root))
    with pytest.raises(FileNotFoundError, match="no S1 patches of BigEarthNet v1"):
        BigEarthNet(str(root), split=None, bands=["VV"])
    path = next(root.glob("*/*_0_0/*.json"))
    path.write_text('{"labels": ["Pastures"')
    with pytest.raises(ValueError, match=r"patch S2A_MSIL2A_20170617T113321_0_0: .* cannot be read as"):
        BigEarthNet(str(root), split=None)
    for text, found in (
        ('{"labels": "Pastures"}', "its labels are 'Pastures', not a list"),
        ('{"labels": ["Pastures"], "coordinates": {"ulx": 1}}', "'uly'"),
        ('{"labels": ["Pastures"], "coordinates": [1]}', "list indices"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=rf"20170617T113321_0_0: .* cannot be read as .*\({found}"):
            BigEarthNet(str(root), split=None)
    path.write_text('{"labels": ["Meadow"]}')
    with pytest.raises(ValueError, match=r"patch S2A_MSIL2A_20170617T113321_0_0: 'Meadow' is not a label of level3"):
        BigEarthNet(str(root), split=None)


def test_reference_maps_for_segmentation(archive_v2):
    init_default_scope("mmseg")
    root = archive_v2([(["Arable land"], "train", False), (["Pastures"], "test", False)])
    pipeline = [*LOAD, dict(type="LoadReferenceMap"), dict(type="RandomFlip", prob=0.0), dict(type="PackSegInputs")]
    data = BigEarthNetMaps(str(root), bands=["B02", "B05"], pipeline=pipeline)
    sample = data[0]
    assert len(data) == 1 and len(data.metainfo["classes"]) == 19
    labels = sample["data_samples"].gt_sem_seg.data[0]
    # 211 is arable land, 124 (airports) and 999 carry no label, 311 is broad-leaved forest
    assert [int(labels[row, 0]) for row in (0, 59, 60, 70, 80)] == [2, 2, 255, 255, 8]
    assert sample["inputs"].shape == (2, 120, 120)
    next(root.glob("Reference_Maps/*/*_26_0/*.tif")).unlink()
    with pytest.raises(FileNotFoundError, match="no such reference map"):
        data[0]


def test_patches_without_files_of_labels(archive_v1):
    root = archive_v1(LABELS)
    for path in root.rglob("*.json"):
        path.unlink()
    unlabelled = dict(split=None, labels="level2", labelled=False)
    data = BigEarthNet(str(root), **unlabelled, pipeline=PACK)
    assert len(data) == 5 and len(data.metainfo["classes"]) == 15
    assert "gt_label" not in data[0]["data_samples"] and not (root / "splits").exists()
    with pytest.raises(ValueError, match="no list of test; set split=None"):
        BigEarthNet(str(root), **{**unlabelled, "split": "test"})
    (root / "splits").mkdir()
    (root / "splits" / "test.txt").write_text("S2A_MSIL2A_20170617T113321_0_3\n")
    data = BigEarthNet(str(root), **{**unlabelled, "split": "test"})
    assert [row["img_path"][-3:] for row in (data.get_data_info(i) for i in range(len(data)))] == ["0_3"]
    with pytest.raises(ValueError, match="labelled=False beside it"):
        BigEarthNet(str(root), labels=False)
