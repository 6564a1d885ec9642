"""What the command line means: sources, classes, windows, flips."""

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from mmengine.config import Config

from rsseg.engine import Precision
from rsseg.errors import DataError
from rsseg.mapping import class_table, command, views_of, window_of
from rsseg.mapping.mosaic import MADE
from rsseg.mapping.plan import recorded
from rsseg.mapping.segmenting import segmentation_jobs
from rsseg.mapping.sources import sources_of


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def jobs_in(folder, target):
    """Sources and maps of a folder as names relative to it and to the target."""
    found = sources_of(str(folder), target)
    return [
        (Path(source).relative_to(folder).as_posix(), made.relative_to(target).as_posix()) for source, made in found
    ]


def test_a_folder_and_a_list_become_maps_of_the_same_names(tmp_path):
    touch(tmp_path, "b.tif", "a.jp2", "notes.md")
    out = tmp_path / "out"
    expected = [(str(tmp_path / "a.jp2"), out / "a.tif"), (str(tmp_path / "b.tif"), out / "b.tif")]
    assert sources_of(str(tmp_path), out) == expected
    (tmp_path / "list.txt").write_text("\ufeff# two\r\na.jp2\r\n\r\nb.tif\r\n", encoding="utf-8")
    assert sources_of(str(tmp_path / "list.txt"), out) == expected
    assert sources_of(str(tmp_path / "b.tif"), out / "x.tif") == [(str(tmp_path / "b.tif"), out / "x.tif")]
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(DataError, match="the list is empty"):
        sources_of(str(tmp_path / "empty.txt"), out)
    (tmp_path / "none").mkdir()
    with pytest.raises(FileNotFoundError, match="no rasters"):
        sources_of(str(tmp_path / "none"), out)
    with pytest.raises(FileNotFoundError, match="nowhere: there is no such file or folder"):
        sources_of(str(tmp_path / "nowhere"), out)


def test_sub_folders_are_kept(tmp_path):
    touch(tmp_path, "in/x.tif", "in/a/x.tif", "in/b/c/x.tif", "in/b/y.vrt", "in/.hidden/z.tif", "in/a/.z.tif")
    names = [("a/x.tif", "a/x.tif"), ("b/c/x.tif", "b/c/x.tif"), ("b/y.vrt", "b/y.tif"), ("x.tif", "x.tif")]
    assert jobs_in(tmp_path / "in", tmp_path / "out") == names
    # maps of an earlier run in a folder within are no sources; those beside the rasters neither
    touch(tmp_path, "in/maps/x.tif", "in/maps/a/x.tif")
    assert jobs_in(tmp_path / "in", tmp_path / "in" / "maps") == names
    touch(tmp_path, "set/images/x.tif", "set/labels/x.tif", "set/labels/y.tif")
    assert jobs_in(tmp_path / "set", tmp_path / "out") == [("images/x.tif", "images/x.tif")]


@pytest.mark.parametrize(
    "names, message",
    [
        (("a.tif", "a.jp2"), "two rasters would become maps of the same name, a;"),
        (("a.tif", "A.jp2"), "two rasters would become maps of the same name"),
        (("a.tif", "a_probabilities.tif"), "the name of another file of the map of .*a_probabilities.tif"),
    ],
)
def test_names_that_collide_are_known_before_the_work(tmp_path, names, message):
    touch(tmp_path / "in", *names)
    with pytest.raises(DataError, match=message):
        sources_of(str(tmp_path / "in"), tmp_path / "out")
    (tmp_path / "list.txt").write_text("".join(f"in/{name}\n" for name in names))
    with pytest.raises(DataError, match=message):
        sources_of(str(tmp_path / "list.txt"), tmp_path / "out")
    with pytest.raises(DataError, match=message):
        segmentation_jobs([str(tmp_path / "in" / name) for name in names], tmp_path / "out")


def test_rasters_of_two_folders_in_a_list_collide(tmp_path):
    touch(tmp_path, "a/x.tif", "b/x.tif")
    (tmp_path / "list.txt").write_text("a/x.tif\nb/x.tif\n")
    with pytest.raises(DataError, match=r"a.x\.tif and .*b.x\.tif: two rasters would become"):
        sources_of(str(tmp_path / "list.txt"), tmp_path / "out")


def test_no_map_takes_the_place_of_a_raster(tmp_path):
    touch(tmp_path, "a/x.tif", "b/x.tif", "b/x_map.tif", "b/y.jp2")
    (tmp_path / "list.txt").write_text("b/y.jp2\nb/x.tif\n")  # beside each other: another name
    assert [made.name for _, made in sources_of(str(tmp_path / "list.txt"), tmp_path / "b")] == [
        "y_map.tif",
        "x_map.tif",
    ]
    (tmp_path / "list.txt").write_text("b/x_map.tif\nb/x.tif\n")
    with pytest.raises(DataError, match=r"x_map\.tif: the map of \S*x\.tif would replace the raster \S*x_map"):
        sources_of(str(tmp_path / "list.txt"), tmp_path / "b")
    (tmp_path / "list.txt").write_text("a/x.tif\nb/y.jp2\n")  # a map of a's x would lie in b, whose x is none of ours
    assert sources_of(str(tmp_path / "list.txt"), tmp_path / "b")[0][1] == tmp_path / "b" / "x.tif"


def test_classes_come_from_the_dataset_or_the_head(repo):
    single = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_scenes.py")
    assert class_table(single).name == "OpenEarthMap"
    assert class_table(single, override="loveda").num_classes == 7
    with pytest.raises(ValueError, match="--head sota: the model of this config has only one head"):
        class_table(single, "sota")
    several = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_sep_scenes.py")
    assert class_table(several, "sior").num_classes == 20
    with pytest.raises(ValueError, match="has the heads sota, sior, fast"):
        class_table(several)
    with pytest.raises(ValueError, match="--classes"):
        class_table(Config(dict(model={})))


def test_windows_are_those_of_slide_inference_else_of_training():
    crop = dict(type="RandomCrop", crop_size=(128, 160))
    loader = dict(dataset=dict(pipeline=[dict(type="LoadImageFromFile"), crop]))
    slide = dict(test_cfg=dict(mode="slide", crop_size=(512, 256)))
    assert window_of(Config(dict(model=slide, train_dataloader=loader))) == (512, 256)
    assert window_of(Config(dict(model=dict(test_cfg=dict(mode="whole")), train_dataloader=loader))) == (128, 160)
    assert window_of(Config(dict(model={}))) == (1024, 1024)


def test_flips_are_those_of_the_config():
    flip = dict(type="RandomFlip", prob=1.0, direction="horizontal")
    steps = [[dict(type="RandomFlip", prob=0.0), flip], [dict(type="PackSegInputs")]]
    augment = dict(type="TestTimeAug", transforms=steps)
    assert views_of(Config(dict(tta_pipeline=[dict(type="LoadImageFromFile"), augment]))) == ((), (3,))
    scaled = dict(type="TestTimeAug", transforms=[[dict(type="Resize", scale_factor=0.5)]])
    with pytest.raises(ValueError, match="supports flips only"):
        views_of(Config(dict(tta_pipeline=[scaled])))


def test_a_folder_may_hold_its_own_maps(tmp_path):
    touch(tmp_path, "a.tif", "._a.tif", "a_map.tif", "a_map_probabilities.tif", "b_map.tif", "c/d.tif", "c/d_map.tif")
    # b_map.tif is the map of no raster here, so it is one itself
    expected = [("a.tif", "a_map.tif"), ("b_map.tif", "b_map_map.tif"), ("c/d.tif", "c/d_map.tif")]
    assert jobs_in(tmp_path, tmp_path) == expected
    (tmp_path / "a_map_probabilities.tif").unlink()
    assert len(sources_of(str(tmp_path), tmp_path / "elsewhere")) == 5


def test_a_mosaic_of_the_user_is_a_raster_and_that_of_the_maps_is_none(tmp_path):
    touch(tmp_path, "b.tif")
    (tmp_path / "mosaic.vrt").write_text("<VRTDataset/>")
    assert [source for source, _ in jobs_in(tmp_path, tmp_path)] == ["b.tif", "mosaic.vrt"]
    (tmp_path / "mosaic.vrt").write_text(f"<VRTDataset><!-- all maps, {MADE} --></VRTDataset>")
    assert [source for source, _ in jobs_in(tmp_path, tmp_path)] == ["b.tif"]


def test_a_single_map_is_a_tif_or_goes_into_a_folder(tmp_path):
    touch(tmp_path, "own.jp2")
    with pytest.raises(DataError, match=r"out: the name of a map must end in \.tif"):
        sources_of(str(tmp_path / "own.jp2"), tmp_path / "out")
    with pytest.raises(FileNotFoundError, match=r"scene\.jp2: there is no such file or folder"):
        sources_of("scene.jp2", tmp_path / "out")
    assert sources_of("scene.jp2", tmp_path) == [("scene.jp2", tmp_path / "scene.tif")]
    touch(tmp_path, "scene.tif")
    assert sources_of(str(tmp_path / "scene.tif"), tmp_path)[0][1].name == "scene_map.tif"


def begun(path, precision):
    """A map that was begun with this precision."""
    folder = path.with_name(f".{path.name}.parts")
    folder.mkdir()
    (folder / "plan.json").write_text(f'{{"precision": "{precision}"}}')
    return path


def test_a_map_that_was_begun_keeps_its_precision(tmp_path, monkeypatch, caplog):
    used, chosen = [], Precision(medium=True)
    monkeypatch.setattr(command, "choose_precision", lambda requested, model: chosen)
    predictor = SimpleNamespace(model=None, precision=Precision(), use=used.append)
    auto, exact = (argparse.Namespace(precision=name) for name in ("auto", "exact"))
    target = begun(tmp_path / "map.tif", "channels_last")
    with caplog.at_level("INFO", "rsseg"):
        assert command._precision(auto, predictor, target) == "channels_last"
    assert f"precision: channels_last, as {target} was begun" in caplog.text
    assert used == [Precision(channels_last=True)]
    for args, path in ((auto, tmp_path / "new.tif"), (exact, target), (auto, begun(tmp_path / "half.tif", "bf16"))):
        assert command._precision(args, predictor, path) == "medium"


def test_a_finished_map_tells_its_precision(tmp_path, write_raster):
    path = write_raster(np.zeros((1, 4, 4), np.uint8))
    assert recorded("precision", path) is None
    with rasterio.open(path, "r+") as file:
        file.update_tags(RSSEG_PRECISION="medium")
    assert recorded("precision", path) == "medium"
    (tmp_path / "half.tif").write_text("no raster")
    assert recorded("precision", tmp_path / "half.tif") is None and recorded("precision", tmp_path / "none") is None
