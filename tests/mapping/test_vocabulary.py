"""Maps in the user's own words: what is read as a vocabulary, and that maps are what the model says."""

from __future__ import annotations

import argparse
import csv
import json
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
import torch
from mmengine.config import Config
from PIL import Image

from rsseg.errors import JobError
from rsseg.mapping import MapOptions, Reference, SegmentorScorer, map_raster
from rsseg.mapping.command import run
from rsseg.mapping.options import add_arguments
from rsseg.mapping.results import measure_accuracy
from rsseg.mapping.segmenting import segmentation_jobs
from rsseg.mapping.vocabulary import apply_vocabulary, mapping_window, read_vocabulary
from rsseg.metainfo import load_metainfo, word_table

WORDS = ["runway", "road, paved", "water"]
TEXT = 'runway, "road, paved", water'


@pytest.fixture(scope="module")
def tiny(repo):
    """The config of a small GSNet, and its model with random weights that asks for three words."""
    pytest.importorskip("open_clip")
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    config = Config.fromfile(repo / "configs" / "scenes" / "gsnet_tiny_scenes.py")
    apply_vocabulary(config, TEXT)
    torch.manual_seed(0)
    return config, MODELS.build(config.model).eval()


@pytest.fixture
def model(tiny):
    """The model, whose way of seeing a test may change."""
    before = dict(tiny[1].test_cfg)
    yield tiny[1]
    tiny[1].test_cfg = before


def scene(height, width):
    """Blotches (3, H, W) uint8."""
    small = np.random.default_rng(0).integers(0, 256, (3, height // 16 + 1, width // 16 + 1))
    return small.repeat(16, 1).repeat(16, 2)[:, :height, :width].astype(np.uint8)


def batch_of(model, pixels):
    bgr = torch.from_numpy(pixels[::-1].copy())
    return model.data_preprocessor({"inputs": [bgr], "data_samples": []}, False)["inputs"]


def read(path):
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("runway", ["runway"]),
        ("runway,solar panel ,  flooded road", ["runway", "solar panel", "flooded road"]),
        ('"road, street", a "big" tree', ["road, street", 'a "big" tree']),
        ("loveda", list(load_metainfo("loveda").classes)),
    ],
)
def test_words_have_commas_between_them(text, expected):
    assert list(read_vocabulary(text).classes) == expected


def test_files_hold_one_class_a_line_or_in_a_list(tmp_path):
    lines = tmp_path / "words.txt"
    lines.write_text("\ufeffroad, street\n\n# a remark\n  tree \n", encoding="utf-8")
    assert read_vocabulary(str(lines)).classes == ("road, street", "tree")
    words = tmp_path / "words.json"
    words.write_text('["road, street", "Straße"]', encoding="utf-8")
    assert read_vocabulary(str(words)).classes == ("road, street", "Straße")
    table = {
        "name": "own",
        "source": "x",
        "categories": [{"id": 0, "name": "car", "color": "#010203", "prompts": ["a"]}],
    }
    words.write_text(json.dumps(table), encoding="utf-8")
    assert (read_vocabulary(str(words)).palette, read_vocabulary(str(words)).texts) == (((1, 2, 3),), ("a",))
    lines.write_text("Straße", encoding="latin-1")
    with pytest.raises(ValueError, match=r"words\.txt: is not text in UTF-8"):
        read_vocabulary(str(lines))
    words.write_text('{"a": ', encoding="utf-8")
    with pytest.raises(ValueError, match=r"words\.json: is not valid JSON"):
        read_vocabulary(str(words))
    other = tmp_path / "other.json"
    other.write_text('{"road": "grey"}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.json: unknown key 'road'; .*; a list of words is"):
        read_vocabulary(str(other))
    words.write_text('["a", 1]', encoding="utf-8")
    with pytest.raises(ValueError, match="neither a class table nor a list of words"):
        read_vocabulary(str(words))


@pytest.mark.parametrize("text", ["", " ", "road,,tree", "road, ", "road, Road", ",".join(map(str, range(256)))])
def test_what_is_no_vocabulary(text):
    with pytest.raises(ValueError, match="1 to 255 classes, none of them empty or repeated"):
        read_vocabulary(text)


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError, match=r"classes\.txt: no such vocabulary file"):
        read_vocabulary("classes.txt")
    for text in ('"road', '"road" paved, tree'):
        with pytest.raises(ValueError, match="double quotes must enclose a whole class name"):
            read_vocabulary(text)


def test_colours_are_known_ones_or_far_from_the_others():
    names = ["solar panel", "water", "tree", *map(str, range(30))]
    table = word_table(names, "x")
    known = load_metainfo("openearthmap")
    assert table.palette[1:3] == (known.palette[known.index("water")], known.palette[known.index("tree")])
    colours = np.array(table.palette, float)
    apart = np.linalg.norm(colours[:, None] - colours, axis=2) + 1000 * np.eye(len(names))
    assert apart.min() >= 50
    many = np.array(word_table(list(map(str, range(255))), "x").palette, float)
    assert (np.linalg.norm(many[:, None] - many, axis=2) + 1000 * np.eye(255)).min() >= 30


def test_the_config_asks_for_the_words(repo):
    config = Config.fromfile(repo / "configs" / "scenes" / "gsnet_tiny_scenes.py")
    table, name, mode = apply_vocabulary(config, TEXT, "a satellite image of {}", "five_view")
    assert mode == "five_view"
    assert name is table and list(table.classes) == config.model.vocabulary == WORDS
    assert (config.model.template, config.model.test_cfg.mode) == ("a satellite image of {}", "five_view")
    config = Config.fromfile(repo / "configs" / "scenes" / "gsnet_tiny_scenes.py")
    config.model.test_cfg = dict(mode="five_view", crop_size=(8, 8), size=9)
    table, name, mode = apply_vocabulary(config, "landdiscover", mode="config")
    assert (mode, config.model.test_cfg) == ("five_view", dict(mode="five_view", size=9))
    assert name == "landdiscover" and table.texts[32] == "expresswalltoll station"
    config = Config.fromfile(repo / "configs" / "scenes" / "gsnet_tiny_scenes.py")
    assert apply_vocabulary(config, None)[1:] == ("openearthmap", "slide")
    assert config.model.test_cfg.mode == "whole"  # in each of the map's windows
    config = Config.fromfile(repo / "configs" / "scenes" / "gsnet_tiny_scenes.py")
    listed = ["loveda", "words.txt"]  # words in a list are neither tables nor files
    assert apply_vocabulary(config, listed)[0].classes == tuple(config.model.vocabulary) == tuple(listed)
    config.model.vocabulary = ["road, street", "tree"]
    assert apply_vocabulary(config, None)[0].classes == ("road, street", "tree")


def test_views_that_the_model_enlarges_stay_as_they_are(repo):
    config = Config.fromfile(repo / "configs" / "landdiscover" / "gsnet_remoteclip_vitb32.py")
    assert apply_vocabulary(config, "roof", mode="config").mode == "five_view"
    assert config.model.test_cfg == dict(mode="five_view", size=640, overlap=0.333, crop_size=384)
    model = SimpleNamespace(window=768, test_cfg=config.model.test_cfg)
    assert mapping_window(model, "slide") == (384, 384)
    model.test_cfg = {}
    assert mapping_window(model, "slide") == (768, 768)


def test_other_models_have_classes_of_their_own(repo):
    with pytest.raises(ValueError, match=r"convert_dior_scenes\.py: is not the config of a model"):
        apply_vocabulary(Config.fromfile(repo / "configs" / "scenes" / "convert_dior_scenes.py"), "roof")
    config = Config.fromfile(repo / "configs" / "scenes" / "upernet_tiny_scenes.py")
    assert apply_vocabulary(config, None) is None
    with pytest.raises(ValueError, match="Segmentor has fixed classes"):
        apply_vocabulary(config, "road")


@pytest.mark.parametrize("size", [(90, 120), (128, 128)])
def test_one_window_is_the_inference_of_the_model(size, model, write_raster, tmp_path):
    pixels = scene(*size)
    model.test_cfg["mode"] = "whole"
    with torch.inference_mode():
        expected = model.inference(batch_of(model, pixels))[0]
    options = MapOptions(window=(128, 128), probabilities="all")
    map_raster(
        str(write_raster(pixels)),
        tmp_path / "map.tif",
        SegmentorScorer(model, 3),
        word_table(WORDS, "x"),
        options,
        {},
    )
    assert len(expected.argmax(0).unique()) > 1
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), expected.argmax(0).numpy())
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:  # no second softmax
        np.testing.assert_array_equal(file.read(), (expected * 254).round().byte().numpy())


@pytest.mark.parametrize("threshold", [None, 0.5])
def test_five_views_are_the_prediction_of_the_model(threshold, model, write_raster, tmp_path):
    pixels = scene(150, 200)
    model.test_cfg["mode"] = "five_view"
    predictor = SegmentorScorer(model, 3)
    with torch.inference_mode():
        scores = model.inference(batch_of(model, pixels))[0]
        limit = None if threshold is None else float(scores.amax(0).median())
        model.test_cfg["threshold"] = limit
        expected = model.predict(batch_of(model, pixels))[0].pred_sem_seg.data[0]
    options = MapOptions(window=(4096, 4096), threshold=limit)
    map_raster(str(write_raster(pixels)), tmp_path / "map.tif", predictor, word_table(WORDS, "x"), options, {})
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), expected.numpy())
    assert (expected == 255).any() == (threshold is not None)


def test_flips_average_probabilities(model, write_raster, tmp_path):
    pixels = scene(100, 120)
    model.test_cfg["mode"] = "whole"
    inputs = batch_of(model, pixels)
    with torch.inference_mode():
        expected = (model.inference(inputs) + model.inference(inputs.flip(3)).flip(3))[0] / 2
    predictor = SegmentorScorer(model, 3, views=((), (3,)))
    found = predictor(predictor.prepare([pixels[::-1]]))[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("overlap, stride", [(0.25, 96), (0, 128)])
def test_windows_are_blended_as_probabilities(overlap, stride, model, write_raster, tmp_path):
    from rsseg.models.segmentor import slide_logits

    pixels = scene(256, 230)
    model.test_cfg["mode"] = "whole"
    with torch.inference_mode():
        expected = slide_logits(batch_of(model, pixels), model.inference, (128, 128), (stride, stride))[0]
    options = MapOptions(window=(128, 128), overlap=overlap, blend="mean", probabilities="all", batch=2)
    map_raster(
        str(write_raster(pixels)),
        tmp_path / "map.tif",
        SegmentorScorer(model, 3),
        word_table(WORDS, "x"),
        options,
        {},
    )
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        assert np.abs(file.read() - expected.numpy() * 254).max() <= 0.5 + 1e-3


def test_a_threshold_means_the_probability_of_logits_too(stub, table, write_raster, tmp_path):
    pixels = np.zeros((3, 1, 3), np.uint8)
    pixels[:, 0] = [[1, 3, 0], [0, 0, 0], [0, 0, 5]]  # best of three: 0.58, 0.91, 0.99
    options = MapOptions(window=(4, 4), threshold=0.9)
    map_raster(str(write_raster(pixels)), tmp_path / "map.tif", stub, table, options, {})
    assert read(tmp_path / "map.tif").tolist() == [[255, 0, 2]]
    with (tmp_path / "map_areas.csv").open() as file:
        assert [row["pixels"] for row in csv.DictReader(file)] == ["1", "0", "1"]
    with pytest.raises(ValueError, match="threshold must be a probability from 0 to 1, got 90"):
        MapOptions(threshold=90)


@pytest.fixture
def command(tiny, repo, tmp_path):
    """``command(SRC, DST, ...)`` does what tools/map_raster.py does."""
    checkpoint = tmp_path / "tiny.pth"
    torch.save({"state_dict": tiny[1].state_dict()}, checkpoint)

    def call(*args):
        parser = argparse.ArgumentParser()
        add_arguments(parser)
        config = ["--config", repo / "configs" / "scenes" / "gsnet_tiny_scenes.py", "--checkpoint", checkpoint]
        run(parser.parse_args([*map(str, [*args, *config, "--device", "cpu"])]))

    return call


def test_a_map_goes_on_only_with_the_same_question(command, write_raster, tmp_path, caplog):
    source, target = write_raster(scene(100, 100)), tmp_path / "map.tif"
    asked = ["--vocabulary", TEXT, "--threshold", "0.2"]
    command(source, target, *asked)
    with rasterio.open(target) as file:
        assert [file.tags(1)[f"class_{i}"] for i in range(3)] == WORDS
        tags = file.tags()
    assert (json.loads(tags["RSSEG_VOCABULARY"]), tags["RSSEG_THRESHOLD"], tags["RSSEG_MODE"]) == (
        WORDS,
        "0.2",
        "slide",
    )
    assert json.loads(tags["RSSEG_WINDOW"]) == [128, 128]
    caplog.set_level("INFO", "rsseg")
    command(source, target, *asked)
    assert "exists already" in caplog.text
    for other in (["--vocabulary", "runway, water", "--threshold", "0.2"], ["--vocabulary", TEXT],
                  [*asked, "--template", "a {}"], [*asked, "--mode", "whole"]):  # fmt: skip
        with pytest.raises(JobError, match="exists and was made with another"):
            command(source, target, *other)
    with pytest.raises(ValueError, match="remove --classes"):
        command(source, target, *asked, "--classes", "loveda")


def test_words_are_compared_with_labels_of_the_same_name(command, write_raster, tmp_path):
    source = write_raster(scene(60, 60))
    known = load_metainfo("openearthmap")
    values = np.full((1, 60, 60), known.raw[known.index("water")], np.uint8)
    values[:, :20] = known.raw[known.index("tree")]
    values[:, 40:50], values[:, 50:] = known.raw[known.index("bareland")], 0
    labels = str(write_raster(values, "labels.tif"))
    words = ["--vocabulary", "Water, boat, tree"]
    with pytest.raises(ValueError, match="--reference-classes"):
        command(source, tmp_path / "map.tif", *words, "--reference", labels)
    with pytest.raises(ValueError, match="none of boat is a class of openearthmap, which has bareland"):
        Reference(labels, "openearthmap", mapped=word_table(["boat"], "x"))
    command(source, tmp_path / "map.tif", *words, "--reference", labels, "--reference-classes", "openearthmap")
    found = measure_accuracy(
        tmp_path / "map.tif", Reference(labels, "openearthmap", mapped=(t := read_vocabulary(words[1]))), t
    )
    assert found.unscored == (1,) and found.confusion.sum(1).tolist() == [20 * 60, 0, 20 * 60]  # bareland is no word
    mapped = read(tmp_path / "map.tif")
    assert found.confusion[2].tolist() == np.bincount(mapped[:20].ravel(), minlength=3).tolist()


def test_a_plain_picture_becomes_a_picture(command, tmp_path, caplog):
    Image.fromarray(scene(80, 100).transpose(1, 2, 0)).save(tmp_path / "photo.png")
    target = tmp_path / "out" / "photo_map.png"
    asked = ["--vocabulary", "water, Straße", "--mode", "five_view"]
    command(tmp_path / "photo.png", target, *asked)
    assert sorted(path.name for path in target.parent.iterdir()) == [
        "photo_map.png", "photo_map.stac.json", "photo_map_areas.csv"
    ]  # fmt: skip
    with Image.open(target) as picture:
        assert (picture.mode, picture.size) == ("P", (100, 80))
        assert tuple(picture.getpalette()[:6]) == sum(read_vocabulary("water, Straße").palette, ())
        labels = np.array(picture)
    assert set(np.unique(labels)) <= {0, 1}
    np.testing.assert_array_equal(labels, read(target))
    caplog.set_level("INFO", "rsseg")
    command(tmp_path / "photo.png", target, *asked)
    assert "exists already" in caplog.text


def test_a_picture_cannot_say_where_it_lies(command, write_raster, tmp_path):
    with pytest.raises(ValueError, match=r"map\.png: PNG cannot store georeferencing.*\.tif"):
        command(write_raster(scene(40, 40)), tmp_path / "map.png", "--vocabulary", "water")


def test_what_becomes_of_which_image(write_raster, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a.jpg", "b.png"):
        Image.new("RGB", (8, 8)).save(folder / name)
    write_raster(scene(8, 8), "images/c.png", driver="PNG", transform=None)  # its place is told beside it
    located = write_raster(scene(8, 8), "d.tif")
    names = [target.name for _, target in segmentation_jobs([str(folder), str(located)], tmp_path / "out")]
    assert names == ["a.png", "b.png", "c.tif", "d.tif"]
    for made in ("a_map.png", "a_map_overlay.png", "c_map.tif"):
        (folder / made).write_text("")
    found = [target.name for _, target in segmentation_jobs([str(folder)], folder)]
    assert found == ["a_map.png", "b_map.png", "c_map.tif"]
    with pytest.raises(ValueError, match=r"d\.tif: is listed twice"):
        segmentation_jobs([str(located), str(located)], tmp_path / "out")


def test_san_sees_windows_of_its_adapters_size(repo, write_raster, tmp_path):
    pytest.importorskip("open_clip")
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    init_default_scope("mmseg")
    config = Config.fromfile(repo / "configs" / "landdiscover" / "san_vitb16.py")
    tower = dict(width=32, layers=4, heads=2)
    config.model.clip.update(weights=None, visual=dict(**tower, patch=8, grid=4), text=tower, embed=16, resolution=32)
    config.model.update(adapter=dict(resolution=64, patch=8, width=24, layers=3, heads=2, queries=6), taps=(0, 1, 2))
    config.model.clip.taps = (0,)
    asked = apply_vocabulary(config, TEXT, mode="slide")
    torch.manual_seed(0)
    model = MODELS.build(config.model).eval()
    assert mapping_window(model, asked.mode) == (64, 64)
    pixels, found = scene(64, 100), tmp_path / "map.tif"
    options = MapOptions(window=(64, 64), blend="mean", probabilities="all")
    map_raster(str(write_raster(pixels)), found, SegmentorScorer(model, 3), asked.table, options, {})
    with torch.inference_mode():
        parts = [model.inference(batch_of(model, pixels[:, :, x : x + 64]))[0].numpy() for x in (0, 36)]
    with rasterio.open(tmp_path / "map_probabilities.tif") as file:
        shares = file.read()
    assert np.abs(shares[:, :, :36] - parts[0][:, :, :36] * 254).max() <= 0.5 + 1e-3
    assert np.abs(shares[:, :, 64:] - parts[1][:, :, 28:] * 254).max() <= 0.5 + 1e-3
    np.testing.assert_array_equal(read(found)[:, :36], parts[0].argmax(0)[:, :36])
    apply_vocabulary(config, TEXT, mode="five_view")
    with pytest.raises(ValueError, match=r"test_cfg\.mode='five_view': expected one of: 'whole', 'slide'"):
        MODELS.build(config.model)
