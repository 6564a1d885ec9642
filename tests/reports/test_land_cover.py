"""Land-cover statistics: segments by hand, tables, groups; t-SNE; the command on a small world."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from rasterio import Affine
from scipy.ndimage import label as connected

import rsseg.datasets.checking.counts
from rsseg.datasets.checking.counts import count_segments, count_set, labelled_parts
from rsseg.datasets.openearthmap.groups import groups_of
from rsseg.engine.features import encoder_features, load_encoder
from rsseg.io.chunks import CHUNKS
from rsseg.io.shards import Shard
from rsseg.reports.land_cover.report import draw_similarity, report_sets
from rsseg.reports.land_cover.similarity import project_features
from rsseg.reports.land_cover.tables import class_text

pytestmark = pytest.mark.usefixtures("mmseg_scope")
REGIONS = ("aachen", "kyoto", "houston", "accra", "tonga", "lima")


def test_segments_by_hand():
    ids = np.array([[0, 0, 0, 1],
                    [0, 1, 0, 255],
                    [0, 0, 0, 2],
                    [1, 0, 2, 1]], np.uint8)  # fmt: skip
    segments, holes = count_segments(ids, 4)
    # class 0 is a ring with a tail around one pixel of class 1; the 2s touch at a corner; 255 and class 3 count nothing
    assert segments.tolist() == [1, 4, 1, 0]
    assert holes.tolist() == [1, 0, 0, 0]


def test_an_island_in_a_hole_is_a_segment():
    ids = np.zeros((7, 7), np.uint8)
    ids[1:6, 1:6], ids[2:5, 2:5], ids[3, 3] = 1, 0, 1
    segments, holes = count_segments(ids, 2)
    assert (segments.tolist(), holes.tolist()) == ([2, 2], [2, 1])


def test_segments_are_connected_components():
    ids = np.random.default_rng(0).integers(0, 4, (40, 50)).astype(np.uint8)
    expected = [connected(ids == i, np.ones((3, 3)))[1] for i in range(4)]
    assert count_segments(ids, 4)[0].tolist() == expected


def write_world(root: Path, regions=REGIONS) -> dict:
    """Two 8 x 8 images a region: upper half rangeland, lower half road, one corner unlabelled; the second all water."""
    root.mkdir()
    for i, region in enumerate(regions):
        for kind in ("images", "labels"):
            (root / region / kind).mkdir(parents=True)
        mixed = np.repeat(np.array([2, 4], np.uint8), 4)[:, None].repeat(8, 1)
        mixed[0, 0] = 0
        for n, values in enumerate((mixed, np.full((8, 8), 6, np.uint8)), 1):
            cv2.imwrite(str(root / region / "labels" / f"{region}_{n}.tif"), values)
            pixels = np.full((8, 8, 3), (30 * i + n) % 256, np.uint8)
            cv2.imwrite(str(root / region / "images" / f"{region}_{n}.tif"), pixels)
    (root / "train.txt").write_text("".join(f"{region}_{n}.tif\n" for region in regions for n in (1, 2)))
    load = [dict(type="LoadImage"), dict(type="LoadLabels")]
    dataset = dict(type="OpenEarthMapDataset", table="openearthmap", data_root=str(root), ann_file="train.txt")
    loader = dict(dataset=dict(**dataset, pipeline=load))
    return dict(train_dataloader=loader, val_dataloader=loader)


def rows_of(path: Path) -> list[dict]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_tables_by_hand(tmp_path):
    config = write_world(tmp_path / "oem")
    (counts,) = report_sets([config], tmp_path / "out", workers=2)
    assert len(counts.files) == 12  # the validation set has the same files
    classes = {row["class"]: row for row in rows_of(tmp_path / "out" / "classes.csv")}
    # of 63 + 64 labelled pixels per region, 31 are rangeland, 32 road and 64 water
    found = [
        (classes[c]["pixels"], classes[c]["percent"], classes[c]["segments"]) for c in ("rangeland", "road", "water")
    ]
    assert found == [("186", "24.4094", "6"), ("192", "25.1969", "6"), ("384", "50.3937", "6")]
    assert classes["bareland"]["pixels_per_segment"] == ""
    image = rows_of(tmp_path / "out" / "images_openearthmap.csv")[0]
    assert (image["image"], image["region"], image["continent"]) == ("aachen_1.tif", "aachen", "EU")
    assert (image["unlabelled"], image["segments"], image["road pixels"]) == ("1", "2", "32")
    groups = {row["name"]: row for row in rows_of(tmp_path / "out" / "groups_openearthmap.csv")}
    assert (groups["houston"]["images"], groups["houston"]["images_of_xbd"], groups["houston"]["water %"]) == (
        "2", "2", "50.3937")  # fmt: skip
    assert (groups["EU"]["continent"], groups["EU"]["segments_per_image"]) == ("Europe", "1.5")
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert names == {"class_shares.png", "segments.png", "continents_openearthmap.png", "mix_region_openearthmap.png",
                     "mix_continent_openearthmap.png"}  # fmt: skip
    with pytest.raises(ValueError, match="the same dataset"):
        report_sets([config, config], tmp_path / "out")


def test_jobs_that_share_the_work_write_what_one_writes(tmp_path, monkeypatch):
    """Of twelve labels, in chunks of two: a job that runs twice, another number of jobs, a label that has changed."""
    monkeypatch.setattr(rsseg.datasets.checking.counts, "_CHUNK", 2)
    config, out = write_world(tmp_path / "oem"), tmp_path / "shared"
    broken = tmp_path / "oem" / "kyoto" / "labels" / "kyoto_2.tif"
    broken.write_bytes(broken.read_bytes()[:40])
    report_sets([config], tmp_path / "alone")
    assert not (tmp_path / "alone" / CHUNKS).exists()
    chunks = out / CHUNKS / "openearthmap"
    for rank, count in ((2, 2), (2, 2), (0, 4)):  # six chunks: 2 and 5, then 0 and 3
        assert report_sets([config], out, shard=Shard(rank, 3, True)) == []
        assert len(list(chunks.iterdir())) == count and not (out / "classes.csv").exists()
    (counts,) = report_sets([config], out, shard=Shard(0, 2, True)) or report_sets([config], out, shard=Shard(1, 2))
    assert len(counts.files) == 11 and "kyoto_2.tif" in counts.problems[0]
    for _ in range(2):  # once more, by a job that comes late
        written = {path.name: path.read_bytes() for path in out.iterdir() if path.name != CHUNKS}
        assert written == {path.name: path.read_bytes() for path in (tmp_path / "alone").iterdir()}
        assert report_sets([config], out, shard=Shard(1, 3))
    cv2.imwrite(str(broken), np.full((8, 8), 6, np.uint8))
    assert report_sets([config], out, shard=Shard(0, 3)) == []  # its own chunks are as they were
    assert any(report_sets([config], out, shard=Shard(rank, 3)) for rank in (1, 2)) and len(list(chunks.iterdir())) == 6
    assert not (out / "left_out_openearthmap.txt").exists()


def test_ground_and_origin_by_hand(tmp_path):
    config = write_world(tmp_path / "oem")
    for i, (region, n) in enumerate((region, n) for region in REGIONS for n in (1, 2)):
        path = tmp_path / "oem" / region / "labels" / f"{region}_{n}.tif"
        values = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        place = dict(crs="EPSG:32631", transform=Affine(0.5, 0, 5e5, 0, -0.5, 5e6 + 1000 * i))
        with rasterio.open(path, "w", driver="GTiff", height=8, width=8, count=1, dtype="uint8", **place) as raster:
            raster.write(values, 1)
    (counts,) = report_sets([config], tmp_path / "out")
    np.testing.assert_allclose(counts.metres, 16)  # 64 pixels of 0.5 m
    assert class_text(counts).endswith("per image, 0.000192 km2")
    origins = {row["origin"]: row for row in rows_of(tmp_path / "out" / "origins_openearthmap.csv")}
    # aachen: GeoNRW, houston: xBD, accra: Open Cities AI; kyoto, tonga and lima are open data, which comes last
    assert list(origins) == ["GeoNRW", "Open Cities AI", "xBD", "open data"]
    row = origins["open data"]
    assert (row["regions"], row["images"], row["km2"]) == ("3", "6", "9.6e-05")
    assert (row["Asia"], row["Oceania"], row["South America"], row["Europe"]) == ("2", "2", "2", "0")
    image = rows_of(tmp_path / "out" / "images_openearthmap.csv")[0]
    assert (image["origin"], image["km2"]) == ("GeoNRW", "1.6e-05")


def test_ground_is_empty_where_one_image_says_no_place(tmp_path):
    (counts,) = report_sets([write_world(tmp_path / "oem")], tmp_path / "out")
    assert counts.square_kilometres() is None and "km2" not in class_text(counts)
    assert rows_of(tmp_path / "out" / "origins_openearthmap.csv")[0]["km2"] == ""


def test_broken_labels_are_left_out(tmp_path):
    config = write_world(tmp_path / "oem")
    folder = tmp_path / "oem" / "kyoto" / "labels"
    cv2.imwrite(str(folder / "kyoto_1.tif"), np.full((8, 8), 9, np.uint8))
    (folder / "kyoto_2.tif").write_bytes(b"II*\0")
    counts = count_set(labelled_parts(config, ("train",)))
    assert len(counts.files) == 10 == len(counts.pixels)
    assert "kyoto_1.tif: value 9 is neither a class" in counts.problems[0]
    assert "kyoto_2.tif: not a raster that GDAL can open" in counts.problems[1]


def test_other_names_have_no_groups():
    assert groups_of([Path("aachen_1.tif"), Path("0.png")]) == []
    assert groups_of([Path("atlantis_1.tif")]) == []


def test_similar_features_lie_together():
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(3), 12)
    features = rng.normal(size=(3, 20))[groups] * 20 + rng.normal(size=(36, 20))
    out = project_features(features)
    assert out.shape == (36, 2) and out.dtype == np.float64
    np.testing.assert_array_equal(out, project_features(features))
    distances = np.linalg.norm(out[:, None] - out[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    nearest = np.argsort(distances, axis=1)[:, :5]
    assert (groups[nearest] == groups[:, None]).all()


@pytest.mark.parametrize("features", [np.eye(4), np.ones((5, 3)), np.arange(6.0)[:, None], np.eye(4, 2)])
def test_few_or_equal_features_have_finite_positions(features):
    assert np.isfinite(project_features(features)).all()


def test_features_that_cannot_be_projected():
    for features in (np.eye(3), np.full((5, 2), np.nan)):
        with pytest.raises(ValueError, match="at least 4 vectors of finite features"):
            project_features(features)


def test_without_scikit_learn_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.manifold", None)
    with pytest.raises(ImportError, match=r't-SNE needs scikit-learn: pip install "rsseg\[optional\]"'):
        project_features(np.eye(4))


class Mean(torch.nn.Module):
    """Two maps: the image as it is, and the smaller one that counts, its doubled quarter."""

    def forward(self, inputs):
        return inputs, 2 * inputs[:, :2, ::2, ::2]


def test_features_are_means_of_the_deepest_map(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (6, 4, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), pixels)
    model = torch.nn.Module()
    model.backbone = Mean()
    model.data_preprocessor = MODELS.build(
        dict(type="SegDataPreProcessor", bgr_to_rgb=True, mean=[1, 2, 3], std=[2, 2, 2])
    )
    out = encoder_features(model, [tmp_path / "a.png"])
    red_green = (pixels[::2, ::2, ::-1].reshape(-1, 3).mean(0) - [1, 2, 3])[:2]
    np.testing.assert_allclose(out, [red_green], rtol=1e-5)


def test_regions_are_drawn_by_a_real_model(tmp_path, caplog):
    head = dict(type="FCNHead", in_channels=8, channels=8, num_convs=1, num_classes=8, in_index=-1, concat_input=False)
    model = dict(
        type="EncoderDecoder",
        data_preprocessor=dict(type="SegDataPreProcessor", mean=[0] * 3, std=[1] * 3, bgr_to_rgb=True),
        backbone=dict(type="ResNet", depth=18, base_channels=4, stem_channels=4, norm_cfg=dict(type="BN")),
        decode_head=dict(**head, norm_cfg=dict(type="BN")),
    )  # fmt: skip
    model["decode_head"]["in_channels"] = 32
    torch.save(MODELS.build(model).state_dict(), tmp_path / "model.pth")
    out = tmp_path / "out"
    (counts,) = report_sets([write_world(tmp_path / "oem")], out)
    encoder = load_encoder(Config(dict(model=model)), tmp_path / "model.pth")
    draw_similarity(encoder, counts, out, size=32)
    rows = rows_of(out / "regions.csv")
    assert [row["region"] for row in rows] == ["accra", "kyoto", "aachen", "houston", "tonga", "lima"]
    assert len({(row["x"], row["y"]) for row in rows}) == 6 and (out / "regions.png").stat().st_size > 1000
    (few,) = report_sets([write_world(tmp_path / "few", REGIONS[:3])], out)
    with pytest.raises(ValueError, match="has images of 3 of OpenEarthMap's regions"):
        draw_similarity(encoder, few, out)
    with pytest.raises(ValueError, match="config of the encoder has no 'model'"):
        load_encoder({}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match="device 'fpga:9' is not available"):
        load_encoder(Config(dict(model=model)), tmp_path / "model.pth", "fpga:9")
    # as the release comes, without xBD's images
    for path in (tmp_path / "oem" / "houston" / "images").iterdir():
        path.unlink()
    (tmp_path / "oem" / "lima" / "images" / "lima_2.tif").unlink()
    draw_similarity(encoder, counts, out, size=32)
    found = [(row["region"], row["images"]) for row in rows_of(out / "regions.csv")]
    assert found == [("accra", "2"), ("kyoto", "2"), ("aachen", "2"), ("tonga", "2"), ("lima", "1")]
    assert "3 of 12 images are missing" in caplog.text


TRAINED = """
_base_ = ["{bases}/datasets/openearthmap.py", "{bases}/default_runtime.py"]
norm = dict(type="SyncBN")
model = dict(
    type="Segmentor",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[99] * 3, std=[50] * 3, bgr_to_rgb=True, size_divisor=1),
    backbone=dict(type="ResNet", depth=18, base_channels=4, stem_channels=4, norm_cfg=norm),
    decode_head=dict(
        type="FCNHead", in_channels=32, channels=4, num_convs=1, num_classes=8, concat_input=False, norm_cfg=norm
    ),
    test_cfg=dict(mode="whole"),
)
set = dict(data_root="{root}", pipeline={{{{_base_.train_pipeline_128}}}})
train_dataloader = dict(batch_size=2, num_workers=0, persistent_workers=False, dataset=set)
val_dataloader, val_cfg, val_evaluator = None, None, None
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1))
train_cfg = dict(type="IterBasedTrainLoop", max_iters=2)
"""


def test_a_map_of_regions_by_a_model_trained_here(tmp_path, run_tool, repo):
    write_world(tmp_path / "oem")
    config, work = tmp_path / "config.py", tmp_path / "work"
    config.write_text(TRAINED.format(bases=repo / "configs" / "_base_", root=tmp_path / "oem"))
    done = run_tool("train", config, "--work-dir", work)
    assert done.returncode == 0, done.stderr
    encoder = ("--encoder", config, work / "iter_2.pth", "--size", 32)
    done = run_tool("label_statistics", tmp_path / "out", config, "--splits", "train", *encoder)
    assert done.returncode == 0, done.stderr
    rows = rows_of(tmp_path / "out" / "regions.csv")
    assert len(rows) == 6 and (tmp_path / "out" / "regions.png").is_file()
    gone = run_tool("label_statistics", tmp_path / "gone", config, "--encoder", config, work / "iter_3.pth")
    assert gone.returncode == 1 and "iter_3.pth: no such checkpoint" in gone.stderr
    assert not (tmp_path / "gone").exists()  # before anything is counted


def test_as_a_command(tmp_path, run_tool):
    loader = write_world(tmp_path / "oem")["train_dataloader"]
    (tmp_path / "config.py").write_text(f"train_dataloader = {loader!r}\n")
    (tmp_path / "oem" / "lima" / "labels" / "lima_2.tif").write_bytes(b"")
    done = run_tool("label_statistics", tmp_path / "out", tmp_path / "config.py")
    assert done.returncode == 1
    assert (
        "1 labels could not be used" in done.stderr
        and sum("lima_2.tif" in line for line in done.stderr.splitlines()) == 1
    )
    assert "lima_2.tif: " in (tmp_path / "out" / "left_out_openearthmap.txt").read_text()
    assert "11 images, 17 segments, 1.5 per image" in done.stderr
