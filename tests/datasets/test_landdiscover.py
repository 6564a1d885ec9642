"""LandDiscover50K from small sources in their real layouts: ids by hand, links, what is missing, lists, going on."""

from __future__ import annotations

import csv
import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from mmengine.config import Config
from mmseg.registry import DATASETS
from PIL import Image

from rsseg.datasets.landdiscover import SOURCES, Built, build_landdiscover, find_items, list_pairs, write_subsets
from rsseg.errors import JobError
from rsseg.metainfo import load_metainfo

pytestmark = pytest.mark.usefixtures("mmseg_scope")

# What the values 0, 1, 2 ... of each source's labels become, in the published ids.
# Source: GSNet release (ids), names of the sources' classes (facts of the merge).
OPENEARTHMAP = [0, 1, 2, 3, 4, 5, 6, 7, 8]
LOVEDA = [0, 0, 8, 4, 6, 10, 9, 7]
SOTA = [12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]
SIOR = [16, 28, 22, 19, 15, 30, 31, 32, 33, 34, 20, 26, 35, 17, 36, 25, 23, 37, 38, 39]
COLOURS = {(0, 0, 0): 0, (0, 255, 255): 11, (255, 255, 0): 7, (255, 0, 255): 2, (0, 255, 0): 9, (0, 0, 255): 6}
COLOURS[255, 255, 255] = 10


def pair(image, label, values, lossy=False):
    """An image and a label with one row of values, or with a picture (H, W, 3)."""
    values = np.asarray(values, np.uint8)
    values = values if values.ndim == 3 else values[None]
    for path in (image, label):
        path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(values.size).integers(0, 256, (*values.shape[:2], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(image, **({"quality": 95} if lossy else {}))
    Image.fromarray(values).save(label)
    return pixels


def openearthmap(root):
    return pair(root / "aachen/images/aachen_1.tif", root / "aachen/labels/aachen_1.tif", range(9))


def loveda(root):
    for part, name in (("Train/Urban", "1366"), ("Val/Rural", "2522")):
        pair(root / part / f"images_png/{name}.png", root / part / f"masks_png/{name}.png", range(8))
    (root / "Test/Urban/images_png").mkdir(parents=True)
    Image.new("RGB", (4, 4)).save(root / "Test/Urban/images_png/4191.png")  # its label is not public


def deepglobe(root):
    picture = np.array([[*COLOURS, (127, 128, 255)]], np.uint8)
    pair(root / "land-train/6399_sat.jpg", root / "land-train/6399_mask.png", picture, lossy=True)
    (root / "land-valid").mkdir()
    Image.new("RGB", (4, 4)).save(root / "land-valid/1_sat.jpg")


def sior(root):
    for folder, name in (("JPEGImages-trainval", "00001"), ("JPEGImages-test", "11726")):
        labels = root / "hbox_segs_trainvaltest_init"
        pair(root / folder / f"{name}.jpg", labels / f"gray/{name}.png", [*range(20), 255], lossy=True)
        (labels / "ins").mkdir(exist_ok=True)


@pytest.fixture
def folders(tmp_path, converted_set):
    """Folders of all sources, in the layouts in which they come."""
    for name, write in dict(openearthmap=openearthmap, loveda=loveda, deepglobe=deepglobe, sior=sior).items():
        (tmp_path / name).mkdir()
        write(tmp_path / name)
    converted_set(tmp_path / "sota", 18, count=2, size=32)
    pair(tmp_path / "sota/images/t0.png", tmp_path / "sota/gray/t0.png", [*range(18), 255])
    return {name: [tmp_path / name] for name in SOURCES}


def label_of(out, name):
    with Image.open(out / "GT_ID" / f"{name}.png") as image:
        return np.asarray(image)


def test_classes_meet_by_name(folders, tmp_path):
    out = tmp_path / "out"
    built = build_landdiscover(folders, out, workers=2)
    assert (built.written, built.failures, built.error_summary) == (8, [], None)
    assert label_of(out, "openearthmap__aachen_1").tolist() == [OPENEARTHMAP]
    assert label_of(out, "loveda__1366").tolist() == label_of(out, "loveda__2522").tolist() == [LOVEDA]
    # the last colour is cut at 128 to green and blue
    assert label_of(out, "deepglobe__6399__0_0").tolist() == [[*COLOURS.values(), 11]]
    assert label_of(out, "sota__t0").tolist() == [[*SOTA, 0]]
    assert label_of(out, "sior__00001").tolist() == label_of(out, "sior__11726").tolist() == [[*SIOR, 0]]
    assert len(list((out / "TR_Image").iterdir())) == len(list((out / "GT_ID").iterdir())) == 8
    assert (out / "TR_Image/sior__11726.jpg").resolve() == tmp_path / "sior/JPEGImages-test/11726.jpg"
    assert built.pixels["loveda"].tolist()[:11] == [4, 0, 0, 0, 2, 0, 2, 2, 2, 2, 2]
    assert built.images["loveda"].tolist()[:11] == [2, 0, 0, 0, 2, 0, 2, 2, 2, 2, 2]
    with (out / "counts.csv").open() as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert [rows["road"][key] for key in ("openearthmap", "loveda", "sota", "pixels", "images")] == [
        "1",
        "2",
        "0",
        "3",
        "3",
    ]


def test_the_account_says_what_lacks(folders, tmp_path):
    account = build_landdiscover(folders, tmp_path / "out").account
    assert "loveda: 2 of 4191 pairs, 4189 are missing" in account
    assert account.endswith("all: 8 of 51846 pairs, not the whole set")
    whole = Built(pairs={name: [name] * source.count for name, source in SOURCES.items()})
    assert whole.account.endswith("all: 51846 of 51846 pairs, complete, as published")
    assert "sior: 23463 of 23463 pairs, complete" in whole.account
    whole.pairs["sota"].append("one")
    assert "sota: 17481 of 17480 pairs, 1 more than published" in whole.account


def test_large_images_of_deepglobe_become_four(tmp_path):
    picture = np.zeros((2448, 2448, 3), np.uint8)
    picture[:1224, 1224:] = 0, 255, 0
    pair(tmp_path / "land/1_sat.jpg", tmp_path / "land/1_mask.png", picture, lossy=True)
    build_landdiscover({"deepglobe": [tmp_path / "land"]}, tmp_path / "out")
    values = {
        (x, y): np.unique(label_of(tmp_path / "out", f"deepglobe__1__{x}_{y}")).tolist()
        for x in (0, 1224)
        for y in (0, 1224)
    }
    assert values == {(0, 0): [0], (0, 1224): [0], (1224, 0): [9], (1224, 1224): [0]}
    with (
        Image.open(tmp_path / "land/1_sat.jpg") as whole,
        Image.open(tmp_path / "out/TR_Image/deepglobe__1__1224_0.png") as part,
    ):
        assert part.size == (1224, 1224)
        np.testing.assert_array_equal(np.asarray(part), np.asarray(whole)[:1224, 1224:])


def test_it_goes_on_where_it_stopped(folders, tmp_path):
    out = tmp_path / "out"
    build_landdiscover(folders, out)
    before = {path: path.read_bytes() for path in out.glob("GT_ID/*")}
    (out / "TR_Image/sior__00001.jpg").unlink()
    (out / "GT_ID/loveda__1366.png").unlink()
    (out / "GT_ID/.tmp-file-00000000-1-abcdef01").write_bytes(b"half")
    (tmp_path / "openearthmap").rename(tmp_path / "moved")
    folders["openearthmap"] = [tmp_path / "moved"]
    again = build_landdiscover(folders, out)
    assert again.written == 3
    assert {path: path.read_bytes() for path in out.glob("GT_ID/*.png")} == before
    assert (out / "TR_Image/openearthmap__aachen_1.tif").resolve() == tmp_path / "moved/aachen/images/aachen_1.tif"
    # what earlier calls built is counted, also where its source is not given
    only = build_landdiscover({"sior": folders["sior"]}, out)
    assert (only.written, only.account) == (0, again.account)
    assert {name: own.tolist() for name, own in only.pixels.items()} == {n: o.tolist() for n, o in again.pixels.items()}
    with pytest.raises(ValueError, match=r"images was 'links', now 'copies'\. Go on so"):
        build_landdiscover(folders, out, copy=True)


def test_changed_labels_are_an_error_and_an_update_is_a_fresh_build(folders, tmp_path):
    """Of the sources that are given; the others stay as they are."""
    out = tmp_path / "out"
    build_landdiscover(folders, out)
    kept = (out / "GT_ID/loveda__2522.png").stat().st_mtime_ns
    mended = next(tmp_path.glob("loveda/**/masks_png/1366.png"))
    Image.fromarray(np.asarray(Image.open(mended))[:, ::-1]).save(mended)
    (tmp_path / "sior/JPEGImages-test/11726.jpg").unlink()
    next(tmp_path.glob("sior/**/gray/11726.png")).unlink()
    some = {name: folders[name] for name in ("loveda", "sior")}
    with pytest.raises(JobError, match=r"1 label file changed \(1366\.png\); 1 image or its label"):
        build_landdiscover(some, out)
    assert build_landdiscover({"sota": folders["sota"]}, out).written == 0  # those have not changed
    again = build_landdiscover(some, out, update=True)
    assert again.written == 1 and (out / "GT_ID/loveda__2522.png").stat().st_mtime_ns == kept
    build_landdiscover(folders, tmp_path / "fresh")
    names = [path.relative_to(out) for path in sorted(out.rglob("*")) if path.is_file()]
    assert names == [p.relative_to(tmp_path / "fresh") for p in sorted((tmp_path / "fresh").rglob("*")) if p.is_file()]
    assert all((out / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes() for name in names)


def test_several_build_at_once(tmp_path):
    town = tmp_path / "loveda/Train/Urban"
    for i in range(100):
        pair(town / f"images_png/{i}.png", town / f"masks_png/{i}.png", [i % 8])
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(build_landdiscover, {"loveda": [tmp_path / "loveda"]}, tmp_path / "out") for _ in range(4)]
    assert {call.result().account.splitlines()[1] for call in calls} == {"loveda: 100 of 4191 pairs, 4091 are missing"}
    for kind in ("TR_Image", "GT_ID"):
        assert len(list((tmp_path / "out" / kind).iterdir())) == 100
    assert all(
        (tmp_path / f"out/TR_Image/loveda__{i}.png").resolve() == town / f"images_png/{i}.png"
        and label_of(tmp_path / "out", f"loveda__{i}").tolist() == [[LOVEDA[i % 8]]]
        for i in range(100)
    )


def test_images_without_labels_are_counted(folders, tmp_path, caplog):
    with caplog.at_level("INFO", "rsseg"):
        find_items("loveda", folders["loveda"])
        pair(tmp_path / "loveda/Test/Rural/images_png/5.png", tmp_path / "rest.png", [0])
        find_items("loveda", folders["loveda"])
    said = [record.getMessage().split(" in ")[0] for record in caplog.records]
    assert said == ["1 images", "2 images"]


def test_copies_have_the_pixels(folders, tmp_path):
    pixels = openearthmap(tmp_path / "openearthmap")
    build_landdiscover({"openearthmap": folders["openearthmap"]}, tmp_path / "out", copy=True)
    path = tmp_path / "out/TR_Image/openearthmap__aachen_1.png"
    assert not path.is_symlink()
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), pixels)


def test_what_cannot_be_used_is_named_and_the_rest_goes_on(folders, tmp_path):
    pair(tmp_path / "loveda/Train/Urban/images_png/5.png", tmp_path / "loveda/Train/Urban/masks_png/5.png", [0, 8])
    pair(tmp_path / "openearthmap/a/images/a_1.tif", tmp_path / "openearthmap/a/labels/a_1.tif", range(3))
    (tmp_path / "openearthmap/a/images/a_1.tif").unlink()
    Image.new("RGB", (3, 3)).save(tmp_path / "sota/images/t1.png")
    (tmp_path / "sior/hbox_segs_trainvaltest_init/gray/00001.png").write_bytes(b"no image")
    built = build_landdiscover(folders, tmp_path / "out")
    assert built.written == 6
    error_summary = built.error_summary
    assert error_summary is not None and error_summary.startswith("4 files could not be used")
    for part in (
        "5.png: value 8 is not a label value of LoveDA",
        "a_1.tif: its image is missing",
        "t1.png: is (32, 32) high",
        "00001.png",
    ):
        assert part in error_summary
    assert error_summary.endswith("rsseg fill-xbd adds them.")


@pytest.mark.parametrize("copy", [False, True])
def test_images_that_are_cut_short_are_named(tmp_path, copy):
    """Also where they would only be linked."""
    town = tmp_path / "loveda/Train/Urban"
    for name in ("1", "2"):
        pair(town / f"images_png/{name}.png", town / f"masks_png/{name}.png", np.ones(64))
    pair(tmp_path / "land/3_sat.jpg", tmp_path / "land/3_mask.png", np.zeros((64, 64, 3), np.uint8), lossy=True)
    for path in (town / "images_png/1.png", tmp_path / "land/3_sat.jpg"):
        path.write_bytes(path.read_bytes()[:-60])
    folders = {"loveda": [tmp_path / "loveda"], "deepglobe": [tmp_path / "land"]}
    built = build_landdiscover(folders, tmp_path / "out", copy=copy)
    for line, path in zip(built.failures, (tmp_path / "land/3_sat.jpg", town / "images_png/1.png"), strict=True):
        assert f"{path}: image is broken or cut short" in line
    assert list(built.pairs) == ["loveda"] and built.pairs["loveda"] == ["loveda__2"]
    assert [path.stem for path in (tmp_path / "out/TR_Image").iterdir()] == ["loveda__2"]


def test_wrong_folders_are_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    for name in ("openearthmap", "loveda", "deepglobe", "sior"):
        with pytest.raises(FileNotFoundError, match=str(tmp_path / "empty")):
            find_items(name, [tmp_path / "empty"])
    with pytest.raises(FileNotFoundError, match="no folder"):
        find_items("sota", [tmp_path / "nowhere"])
    with pytest.raises(ValueError, match="have one name, t0; give one of them"):
        (tmp_path / "twice").mkdir()
        find_items("sota", [*folders["sota"], *folders["sota"]])
    with pytest.raises(ValueError, match="'nwpu' of LandDiscover50K; expected one of: openearthmap, loveda"):
        build_landdiscover({"nwpu": [tmp_path]}, tmp_path / "out")


def test_lists_of_sources_and_shares(folders, tmp_path, repo):
    out = tmp_path / "out"
    build_landdiscover(folders, out)
    pairs = list_pairs(out)
    assert pairs["loveda"] == ["loveda__1366", "loveda__2522"] and sum(map(len, pairs.values())) == 8
    lists = write_subsets(pairs, out / "lists", [3, 6, 1000], [0, 1])
    assert sorted(path.name for path in lists) == sorted(
        [f"{name}.txt" for name in SOURCES] + [f"{size}_seed{seed}.txt" for size in (3, 6) for seed in (0, 1)]
    )
    drawn = {path.stem: path.read_text().split() for path in lists}
    assert len(drawn["3_seed0"]) == 3 and set(drawn["3_seed0"]) < set(drawn["6_seed0"])
    assert drawn["6_seed0"] != drawn["6_seed1"]
    for line in (out / "lists/lists.sha256").read_text().splitlines():
        digest, name = line.split()
        assert hashlib.sha256((out / "lists" / name).read_bytes()).hexdigest() == digest
    cfg = Config.fromfile(repo / "configs/_base_/datasets/landdiscover.py").train_dataloader.dataset
    data = DATASETS.build({**cfg, "data_root": str(out), "subset": str(out / "lists/loveda.txt"), "pipeline": []})
    assert len(data) == 2


def test_training_sees_it_as_the_release_does(folders, tmp_path, repo, caplog):
    out = tmp_path / "out"
    build_landdiscover(folders, out)
    for name, side in (("landdiscover", 384), ("landdiscover_crop", 384), ("landdiscover_640", 640)):
        cfg = Config.fromfile(repo / f"configs/_base_/datasets/{name}.py").train_dataloader.dataset
        data = DATASETS.build({**cfg, "data_root": str(out)})
        assert len(data) == 8 and "8 of the 51846 published pairs were built" in caplog.text
        for sample in data:
            assert sample["inputs"].shape == (3, side, side)
            values = set(np.unique(sample["data_samples"].gt_sem_seg.data))
            assert 0 not in values and values <= {255, *range(1, 40)}
    labels = load_metainfo("landdiscover").encode(label_of(out, "loveda__1366"))
    assert labels.tolist() == [[255, 255, 8, 4, 6, 10, 9, 7]]


def test_the_published_archive_is_read(tmp_path, repo):
    cfg = Config.fromfile(repo / "configs/_base_/datasets/landdiscover.py").train_dataloader.dataset
    with pytest.raises(FileNotFoundError, match="7z x LD50KSplit"):
        DATASETS.build({**cfg, "data_root": str(tmp_path)})
    for i in range(3):
        pair(tmp_path / f"LandDiscover50K/TR_Image/P{i}.png", tmp_path / f"LandDiscover50K/GT_ID/P{i}.png", range(40))
    options = {**cfg, "data_root": str(tmp_path), "pipeline": [dict(type="LoadLabels")]}
    with pytest.raises(FileNotFoundError, match=r"has 3 of the 51846 published pairs.* LD50KSplit.zip is one archive"):
        DATASETS.build(options)
    data = DATASETS.build({**options, "count": None})
    assert data[0]["gt_seg_map"].tolist() == [[255, *range(1, 40)]]
    assert list_pairs(tmp_path) == {"": ["P0", "P1", "P2"]}
    assert [path.name for path in write_subsets(list_pairs(tmp_path), tmp_path / "lists", [2], [0])] == ["2_seed0.txt"]
    with pytest.raises(FileNotFoundError, match="no TR_Image/ and GT_ID/"):
        list_pairs(tmp_path / "lists")
