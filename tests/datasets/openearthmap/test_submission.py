"""Predictions of the withheld test labels: names, sizes and values are checked, and nothing is written in half."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest
import rasterio
from PIL import Image

from rsseg.datasets.openearthmap import pack_submission
from rsseg.errors import ConfigError, DataError

NAMES = ("aachen_1", "al_qurnah_5")
PLACE = dict(crs="EPSG:4326", transform=rasterio.Affine(1, 0, 0, 0, -1, 0))


def write_prediction(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(values, np.uint8))
    if path.suffix == ".png":
        image.putpalette(bytes(range(256)) * 3)  # as rsseg test --out writes them
    image.save(path)


@pytest.fixture
def world(tmp_path):
    """Images of 4 x 6 pixels, a list of them, and predictions of both, as a palette PNG and as TIFF."""
    root = tmp_path / "oem"
    for name in NAMES:
        folder = root / name.rpartition("_")[0] / "images"
        folder.mkdir(parents=True)
        profile = dict(driver="GTiff", height=4, width=6, count=3, dtype="uint8", **PLACE)
        with rasterio.open(folder / f"{name}.tif", "w", **profile) as file:
            file.write(np.zeros((3, 4, 6), np.uint8))
    (root / "test.txt").write_text("".join(f"{name}.tif\n" for name in NAMES))
    write_prediction(tmp_path / "out" / "aachen_1.png", np.full((4, 6), 3))
    write_prediction(tmp_path / "out" / "deep" / "al_qurnah_5.tif", np.arange(24).reshape(4, 6) % 8 + 1)
    return root, tmp_path / "out", tmp_path / "submission.zip"


def values_of(archive, name):
    with Image.open(io.BytesIO(archive.read(name))) as image:
        assert image.mode == "L"  # grey: a palette would be read as colours by some readers
        return np.asarray(image)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_files_with_the_values_of_the_release(world, suffix):
    root, out, target = world
    done = pack_submission(out, target, root / "test.txt", root, suffix)
    assert (done.files, done.unchecked, done.filled, done.extra) == (2, 0, 0, [])
    assert done.classes == {1: 3, 2: 3, 3: 27, 4: 3, 5: 3, 6: 3, 7: 3, 8: 3}
    with zipfile.ZipFile(target) as archive:
        assert archive.namelist() == [f"{name}.{suffix}" for name in NAMES]
        assert (values_of(archive, f"aachen_1.{suffix}") == 3).all()
        np.testing.assert_array_equal(values_of(archive, f"al_qurnah_5.{suffix}"), np.arange(24).reshape(4, 6) % 8 + 1)
    before = target.read_bytes()
    pack_submission(out, target, root / "test.txt", root, suffix)
    assert target.read_bytes() == before


def test_all_that_is_wrong_is_named_and_nothing_written(world):
    root, out, target = world
    (out / "aachen_1.png").unlink()
    write_prediction(out / "deep" / "al_qurnah_5.tif", np.full((4, 5), 3))
    with pytest.raises(DataError, match="2 predictions cannot be submitted") as error:
        pack_submission(out, target, root / "test.txt", root)
    assert "aachen_1: no prediction in" in str(error.value)
    assert "al_qurnah_5.tif is (4, 5) high and wide, its image" in str(error.value)
    assert list(target.parent.glob("*.zip")) == [] and list(target.parent.glob(".tmp-*")) == []


def test_pixels_of_no_class_are_an_error_or_filled(world):
    root, out, target = world
    values = np.full((4, 6), 3)
    values[0, :2] = 0, 255
    write_prediction(out / "aachen_1.png", values)
    with pytest.raises(DataError, match=r"2 pixels have the values 0, 255, which are no class \(1 to 8\)"):
        pack_submission(out, target, root / "test.txt", root)
    done = pack_submission(out, target, root / "test.txt", root, fill=8)
    assert done.filled == 2
    with zipfile.ZipFile(target) as archive:
        assert values_of(archive, "aachen_1.png")[0].tolist() == [8, 8, 3, 3, 3, 3]


def test_maps_hold_training_ids_and_name_their_classes(world):
    root, out, target = world
    path = out / "deep" / "al_qurnah_5.tif"
    with rasterio.open(path, "w", driver="GTiff", height=4, width=6, count=1, dtype="uint8", **PLACE) as file:
        file.write(np.full((4, 6), 4, np.uint8), 1)
        file.update_tags(1, class_4="tree", class_0="bareland")
    pack_submission(out, target, root / "test.txt", root)
    with zipfile.ZipFile(target) as archive:
        assert (values_of(archive, "al_qurnah_5.png") == 5).all()  # tree is 5 in the release
    with rasterio.open(path, "r+") as file:
        file.update_tags(1, class_4="lava")
    with pytest.raises(DataError, match="lava"):
        pack_submission(out, target, root / "test.txt", root)


def test_one_image_twice_and_images_of_no_list(world):
    root, out, target = world
    write_prediction(out / "tokyo_3.png", np.ones((4, 6)))
    assert pack_submission(out, target, root / "test.txt", root).extra == ["tokyo_3"]
    write_prediction(out / "more" / "aachen_1.png", np.ones((4, 6)))
    with pytest.raises(DataError, match="are of the same image; remove one"):
        pack_submission(out, target, root / "test.txt", root)


def test_images_that_are_not_there_are_counted(world):
    root, out, target = world
    (root / "aachen" / "images" / "aachen_1.tif").unlink()
    assert pack_submission(out, target, root / "test.txt", root).unchecked == 1
    assert pack_submission(out, target, root / "test.txt").unchecked == 2


@pytest.mark.parametrize(("options", "words"), [({"suffix": "jpg"}, "png, tif"), ({"fill": 0}, "1, 2, 3")])
def test_options_that_are_not_possible(world, options, words):
    root, out, target = world
    with pytest.raises(ConfigError, match=words):
        pack_submission(out, target, root / "test.txt", root, **options)


def test_as_a_command(world, run_tool):
    root, out, target = world
    done = run_tool("pack_submission", out, target, "--root", root, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["classes"]["3"] == 27
    (out / "aachen_1.png").write_bytes(b"no picture")
    done = run_tool("pack_submission", out, target, "--root", root)
    assert done.returncode != 0 and "aachen_1.png" in done.stderr and "Traceback" not in done.stderr
