"""What the command line means: sources, classes, windows, flips."""

import pytest
from mmengine.config import Config

from rsseg.mapping import class_table, views_of, window_of
from rsseg.mapping.command import sources_of


def test_a_folder_and_a_list_become_maps_of_the_same_names(tmp_path):
    for name in ("b.tif", "a.jp2", "notes.md"):
        (tmp_path / name).write_text("")
    out = tmp_path / "out"
    expected = [(str(tmp_path / "a.jp2"), out / "a_map.tif"), (str(tmp_path / "b.tif"), out / "b_map.tif")]
    assert sources_of(str(tmp_path), out) == expected
    (tmp_path / "list.txt").write_text("\ufeffa.jp2\r\n\r\nb.tif\r\n", encoding="utf-8")
    assert sources_of(str(tmp_path / "list.txt"), out) == expected
    assert sources_of(str(tmp_path / "b.tif"), out / "x.tif") == [(str(tmp_path / "b.tif"), out / "x.tif")]
    (tmp_path / "a.tif").write_text("")
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(ValueError, match="two rasters would become"):
        sources_of(str(tmp_path), out)
    with pytest.raises(ValueError, match="no rasters"):
        sources_of(str(tmp_path / "empty.txt"), out)


def test_classes_come_from_the_dataset_or_the_head(repo):
    single = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny.py")
    assert class_table(single).name == "OpenEarthMap"
    assert class_table(single, told="loveda").num_classes == 7
    with pytest.raises(ValueError, match="--head sota: the model of this config has a single head"):
        class_table(single, "sota")
    several = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_sep.py")
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
    with pytest.raises(ValueError, match="only flips"):
        views_of(Config(dict(tta_pipeline=[scaled])))


def test_a_folder_may_hold_its_own_maps(tmp_path):
    for name in ("a.tif", "._a.tif", "a_map.tif", "a_map_probabilities.tif", "b_map.tif"):
        (tmp_path / name).write_text("")
    # b_map.tif is the map of no raster here, so it is one itself
    expected = [(tmp_path / "a.tif", "a_map.tif"), (tmp_path / "b_map.tif", "b_map_map.tif")]
    assert sources_of(str(tmp_path), tmp_path) == [(str(path), tmp_path / name) for path, name in expected]
    assert len(sources_of(str(tmp_path), tmp_path / "elsewhere")) == 4


def test_a_single_map_is_a_tif_or_goes_into_a_folder(tmp_path):
    with pytest.raises(ValueError, match=r"out: a map's name ends in \.tif"):
        sources_of("scene.jp2", tmp_path / "out")
    assert sources_of("scene.jp2", tmp_path) == [("scene.jp2", tmp_path / "scene_map.tif")]
