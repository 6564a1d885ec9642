"""Potsdam and iSAID from made-up archives with the published names to tiles that the datasets read."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.enums import ColorInterp

from rsseg.datasets import TableDataset
from rsseg.datasets.preparation import SETS, ColourCode, cut_pairs, isaid_pairs, potsdam_pairs, prepare, tile_names
from rsseg.datasets.preparation.tiles import Layout, Pair
from rsseg.errors import JobError

pytestmark = pytest.mark.usefixtures("mmseg_scope")
LOAD = [dict(type="LoadImage"), dict(type="LoadLabels")]
COLOURS = {0: (0, 0, 0), 1: (255, 255, 255), 2: (0, 0, 255), 3: (0, 255, 255), 4: (0, 255, 0), 5: (255, 255, 0)}
COLOURS[6] = (255, 0, 0)


def potsdam(root, name, size=(40, 30), bands=3, label="label", kind="RGB"):
    """One image and label; values go 0..6 in columns, so value = column % 7."""
    rng = np.random.default_rng(0)
    (root / "2_Ortho_RGB").mkdir(parents=True, exist_ok=True)
    (root / "5_Labels_all").mkdir(exist_ok=True)
    pixels = rng.integers(0, 256, (*size, bands), dtype=np.uint8)
    values = np.broadcast_to(np.arange(size[1]) % 7, size)
    coloured = np.array([COLOURS[i] for i in range(7)], np.uint8)[values]
    Image.fromarray(pixels).save(root / "2_Ortho_RGB" / f"top_potsdam_{name}_{kind}.tif")
    Image.fromarray(coloured).save(root / "5_Labels_all" / f"top_potsdam_{name}_{label}.tif")
    return pixels, values


@pytest.fixture
def archive(tmp_path):
    for name in ("2_10", "2_13"):
        potsdam(tmp_path / "raw", name)
    (tmp_path / "splits").mkdir()
    (tmp_path / "splits" / "train.txt").write_text("2_10\n")
    (tmp_path / "splits" / "val.txt").write_text("2_13\n")
    return tmp_path


def pairs_of(folder, **options):
    return potsdam_pairs(folder / "raw", folder / "splits", **options)


def test_the_rule_gives_the_papers_counts(repo):
    layout = SETS["potsdam"].layout
    assert len(tile_names("2_10", (6000, 6000), layout)) == 19 * 19
    lists = {part: (repo / "data/splits/potsdam" / f"{part}.txt").read_text().split() for part in ("train", "val")}
    assert (len(set(lists["train"])), len(set(lists["val"]))) == (24, 14)
    assert not set(lists["train"]) & set(lists["val"])
    assert {part: len(names) * 361 for part, names in lists.items()} == SETS["potsdam"].published


def test_potsdam_tiles_hold_the_windows(archive):
    report = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10, workers=2)
    # 40 = 16 + 3 steps (the last shifted to 24), 30 = 16 + 2 steps (the last at 14)
    assert (report.parts, report.written, report.found) == ({"train": 12, "val": 12}, 24, 0)
    names = sorted(path.stem for path in (archive / "out/img_dir/train").iterdir())
    assert names == sorted(f"2_10__{x}_{y}" for x in (0, 10, 14) for y in (0, 10, 20, 24))
    pixels, values = potsdam(archive / "again", "2_10")
    with Image.open(archive / "out/img_dir/train/2_10__14_24.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[24:40, 14:30])
    with Image.open(archive / "out/ann_dir/train/2_10__14_24.png") as image:
        np.testing.assert_array_equal(np.asarray(image), values[24:40, 14:30])
        assert tuple(image.convert("RGB").getpixel((0, 0))) == COLOURS[14 % 7]
    folders = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
    data = TableDataset(
        "potsdam", data_root=str(archive / "out"), data_prefix=folders, img_suffix=".png", pipeline=LOAD
    )
    expected = np.array([255, 0, 1, 2, 3, 4, 255])
    np.testing.assert_array_equal(data[0]["gt_seg_map"][0], expected[np.arange(16) % 7])


def test_tiff_tiles_are_read_by_the_same_configs(archive):
    folders = dict(img_path="img_dir/train", seg_map_path="ann_dir/train")
    found = []
    for name in ("png", "tif"):
        prepare("potsdam", pairs_of(archive), archive / name, size=16, stride=10, tile_format=name)
        assert {path.suffix for path in (archive / name).glob("*_dir/*/*")} == {f".{name}"}
        same = dict(data_root=str(archive / name), data_prefix=folders, img_suffix=".png", pipeline=LOAD)
        found.append(TableDataset("potsdam", **same))
    assert len(found[0]) == len(found[1]) == 12
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one["img"], other["img"])
        np.testing.assert_array_equal(one["gt_seg_map"], other["gt_seg_map"])
    again = prepare("potsdam", pairs_of(archive), archive / "tif", size=16, stride=10, tile_format="tif")
    assert (again.written, again.found) == (0, 24)
    for name, other in (("png", "tif"), ("tif", "png")):
        with pytest.raises(JobError, match="tile_format was"):
            prepare("potsdam", pairs_of(archive), archive / name, size=16, stride=10, tile_format=other)


def test_a_second_run_writes_what_is_missing(archive):
    prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    lost = archive / "out/img_dir/train/2_10__0_0.png"
    before = lost.read_bytes()
    lost.unlink()
    report = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    assert (report.written, report.found) == (1, 23)
    assert lost.read_bytes() == before
    with pytest.raises(ValueError, match="holds tiles with"):
        prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=8)


def test_changed_files_are_an_error_and_an_update_is_a_fresh_run(archive):
    prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    kept = (archive / "out/ann_dir/train/2_10__0_0.png").stat().st_mtime_ns
    path = archive / "raw/5_Labels_all/top_potsdam_2_13_label.tif"
    Image.fromarray(np.asarray(Image.open(path))[:, ::-1]).save(path)  # rows are all alike
    with pytest.raises(JobError, match=r"1 label file changed \(top_potsdam_2_13_label\.tif\)\. Use --update"):
        prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    again = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10, update=True)
    assert (again.written, again.found) == (12, 12)
    assert (archive / "out/ann_dir/train/2_10__0_0.png").stat().st_mtime_ns == kept
    (archive / "splits/val.txt").write_text("2_10\n")  # moved to the other part
    (archive / "splits/train.txt").write_text("2_13\n")
    prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10, update=True)
    prepare("potsdam", pairs_of(archive), archive / "fresh", size=16, stride=10)
    for name in ("out", "fresh"):
        assert len(list((archive / name).rglob("*.png"))) == 48
    for made in (archive / "fresh").rglob("*.*"):
        if made.is_file():
            assert made.read_bytes() == (archive / "out" / made.relative_to(archive / "fresh")).read_bytes()


def test_infrared_images_and_eroded_labels_get_a_folder_of_their_own(archive):
    for name in ("2_10", "2_13"):
        pixels, _ = potsdam(archive / "raw", name, bands=4, kind="RGBIR")
        potsdam(archive / "raw", name, label="label_noBoundary")
    prepare("potsdam", pairs_of(archive, bands="RGBIR"), archive / "infrared", size=40, stride=10)
    with Image.open(archive / "infrared/img_dir/val/2_13__0_0.png") as image:
        np.testing.assert_array_equal(np.asarray(image), pixels[..., :3])
    prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    for options in (dict(bands="RGBIR"), dict(eroded=True)):
        with pytest.raises(ValueError, match="holds tiles with"):
            prepare("potsdam", pairs_of(archive, **options), archive / "out", size=16, stride=10)
    with pytest.raises(FileNotFoundError, match=r"2_10_IRRG\.tif in it; unpack 3_Ortho_IRRG"):
        pairs_of(archive, bands="IRRG")


def test_an_unknown_colour_is_named_and_the_rest_goes_on(archive):
    path = archive / "raw/5_Labels_all/top_potsdam_2_10_label.tif"
    label = np.asarray(Image.open(path)).copy()
    label[3, 5:7] = 252, 255, 0
    Image.fromarray(label).save(path)
    report = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    assert report.parts == {"train": 0, "val": 12}
    assert report.error_summary is not None
    for part in ("top_potsdam_2_10_label.tif", "2 pixels", "(252, 255, 0)", "(255, 255, 0), 3 away"):
        assert part in report.error_summary
    assert not list((archive / "out/img_dir/train").iterdir())
    values, near = ColourCode("potsdam", SETS["potsdam"].ignored, tolerance=3).encode(label, "label")
    assert values[3, 5:7].tolist() == [5, 5]
    assert near == {(252, 255, 0): 2}


def test_files_that_do_not_fit_are_named(archive):
    potsdam(archive / "raw", "2_13", size=(40, 31))
    potsdam(archive / "other", "2_13")
    (archive / "other/2_Ortho_RGB/top_potsdam_2_13_RGB.tif").replace(
        archive / "raw/2_Ortho_RGB/top_potsdam_2_13_RGB.tif"
    )
    (archive / "raw/2_Ortho_RGB/top_potsdam_2_10_RGB.tif").write_bytes(b"II*\0 cut off")
    report = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    assert len(report.failures) == 2
    assert "top_potsdam_2_10_RGB.tif: not a raster that GDAL can open" in report.error_summary
    assert "top_potsdam_2_13_label.tif: is (40, 31) high and wide" in report.error_summary


def test_missing_and_double_files_are_errors(archive):
    with pytest.raises(FileNotFoundError, match=r"no top_potsdam_2_10_label_noBoundary\.tif"):
        pairs_of(archive, eroded=True)
    potsdam(archive / "raw" / "copy", "2_10")
    with pytest.raises(ValueError, match="more than once"):
        pairs_of(archive)


def test_isaid(tmp_path, caplog):
    for part, stem in (("train", "P0003"), ("val", "P0004")):
        images, masks = tmp_path / "raw" / part / "images", tmp_path / "raw" / part / "Semantic_masks" / "images"
        images.mkdir(parents=True)
        masks.mkdir(parents=True)
        Image.fromarray(np.full((20, 50), 7, np.uint8)).save(images / f"{stem}.png")  # a grey image
        label = np.zeros((20, 50, 3), np.uint8)
        label[:, 25:] = 0, 100, 155  # harbour, 15
        Image.fromarray(label).save(masks / f"{stem}_instance_color_RGB.png")
    pairs = isaid_pairs(tmp_path / "raw")
    with caplog.at_level(logging.INFO, "rsseg"):
        report = prepare("isaid", pairs, tmp_path / "paper")
    assert report.parts == {"train": 1, "val": 1}
    assert "train: 1 tiles, the paper has 33620" in caplog.text
    assert "val: 1 tiles, the paper has 11533" in caplog.text
    layout = replace(SETS["isaid"].layout, size=32, stride=16)
    assert cut_pairs(pairs, tmp_path / "out", layout, ColourCode("isaid")).parts == {"train": 3, "val": 3}
    folders = dict(img_path="img_dir/val", seg_map_path="ann_dir/val")
    suffixes = dict(img_suffix=".png", seg_map_suffix="_instance_color_RGB.png")
    data = TableDataset("isaid", data_root=str(tmp_path / "out"), data_prefix=folders, **suffixes, pipeline=LOAD)
    assert [sample["gt_seg_map"].shape for sample in data] == [(20, 32)] * 3  # no higher than the image
    assert data[2]["gt_seg_map"][0].tolist() == [0] * 7 + [15] * 25  # its first column is 18
    assert data[2]["img"].tolist() == np.full((20, 32, 3), 7).tolist()
    (tmp_path / "raw/train/images/P0003.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"train: no P0003.png"):
        isaid_pairs(tmp_path / "raw")


def test_real_isaid_masks(samples, tmp_path):
    for part, stem in (("train", "P0003"), ("val", "P0004")):
        (tmp_path / part).mkdir()
        for name in (f"{stem}.png", f"{stem}_instance_color_RGB.png"):
            (tmp_path / part / name).symlink_to(samples / "isaid" / "images" / name)
    report = prepare("isaid", isaid_pairs(tmp_path), tmp_path / "out")
    assert not report.failures
    for path in (tmp_path / "out" / "ann_dir").rglob("*.png"):
        with Image.open(path) as image:
            assert set(np.unique(np.asarray(image)).tolist()) <= set(range(16))


def test_the_tool(archive, run_tool):
    options = ["--splits", archive / "splits", "--size", 16, "--stride", 10]
    (archive / "raw/5_Labels_all/top_potsdam_2_13_label.tif").write_bytes(b"II*\0 cut off")
    done = run_tool("prepare_data", "potsdam", archive / "raw", archive / "out", *options)
    assert done.returncode == 1
    assert "train: 12 tiles" in done.stderr
    assert (
        "1 image(s) could not be cut" in done.stderr
        and "top_potsdam_2_13_label.tif: not a raster that GDAL can open" in done.stderr
    )


def test_tiles_are_red_green_and_blue_as_the_file_says_and_nothing_is_cut_to_eight_bits(archive):
    rgb = np.moveaxis(potsdam(archive / "again", "2_10")[0], -1, 0)
    blue_first = [ColorInterp.blue, ColorInterp.green, ColorInterp.red]
    plain = [ColorInterp.gray, ColorInterp.undefined, ColorInterp.undefined]
    files = {"2_10": (rgb[::-1], blue_first, "uint8"), "2_13": (rgb, blue_first, "uint16")}
    for name, (pixels, colours, dtype) in files.items():
        path = archive / f"raw/2_Ortho_RGB/top_potsdam_{name}_RGB.tif"
        with rasterio.open(path, "w", driver="GTiff", count=3, height=40, width=30, dtype=dtype) as file:
            file.write(pixels.astype(dtype))
            file.colorinterp = colours
    report = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    with Image.open(archive / "out/img_dir/train/2_10__14_24.png") as image:
        np.testing.assert_array_equal(np.asarray(image), np.moveaxis(rgb, 0, -1)[24:40, 14:30])
    assert len(report.failures) == 1 and "top_potsdam_2_13_RGB.tif: holds uint16, not 8 bits" in report.failures[0]
    with rasterio.open(path, "w", driver="GTiff", count=3, height=40, width=30, dtype="uint8") as file:
        file.write(rgb)
        file.colorinterp = plain
    report = prepare("potsdam", pairs_of(archive), archive / "out", size=16, stride=10)
    assert "does not say which of its bands are red, green and blue" in report.failures[0]


def test_labels_are_255_where_an_image_has_no_data(tmp_path):
    pixels = np.full((8, 8, 4), 90, np.uint8)
    pixels[:2, :3, 3] = 0
    Image.fromarray(pixels, "RGBA").save(tmp_path / "image.png")
    Image.new("RGB", (8, 8), COLOURS[2]).save(tmp_path / "label.png")
    pair = Pair("a", "train", tmp_path / "image.png", tmp_path / "label.png")
    cut_pairs([pair], tmp_path / "out", Layout(8, 8), ColourCode("potsdam"))
    label = np.asarray(Image.open(tmp_path / "out/ann_dir/train/a__0_0.png"))
    assert (label[:2, :3] == 255).all() and (label == 2).sum() == 64 - 6
