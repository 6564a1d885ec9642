"""Images of xBD: pixels and place kept, an account of what is missing."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

from rsseg.datasets.openearthmap import fill_xbd, read_pairs
from rsseg.errors import DataError

PLACE = Affine(4.5e-6, 0, -95.5, 0, -4.5e-6, 29.5)
OWN_PLACE = Affine(5e-6, 0, -95.4, 0, -5e-6, 29.6)
PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


@pytest.fixture
def release(tmp_path):
    """Four pairs: one of a region of two words, one without label, one that xBD lacks, one of another size."""
    root = tmp_path / "oem"
    rows = [
        "guatemala-volcano_00000000_pre_disaster.png,el_rodeo_1.tif",
        "hurricane-harvey_1_pre_disaster.png,houston_1.tif",
        "nepal-flooding_3_pre_disaster.png,gorakhpur_7.tif",
        "hurricane-harvey_2_pre_disaster.png,houston_2.tif",
    ]
    for name, size in (("el_rodeo_1", (4, 6)), ("houston_2", (5, 6))):
        folder = root / name.rpartition("_")[0] / "labels"
        folder.mkdir(parents=True)
        profile = dict(driver="GTiff", height=size[0], width=size[1], count=1, dtype="uint8")
        with rasterio.open(folder / f"{name}.tif", "w", crs="EPSG:4326", transform=PLACE, **profile) as raster:
            raster.write(np.ones((1, *size), np.uint8))
    (root / "xbd_files.csv").write_text("\n".join(rows) + "\n")
    for part, name in (("tier3", rows[0]), ("train", rows[1]), ("train", rows[3])):
        folder = tmp_path / "xbd" / part / "images"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PIXELS).save(folder / name.partition(",")[0])
    return root, tmp_path / "xbd"


def test_images_keep_pixels_and_get_their_labels_place(release, tmp_path, run_tool):
    root, xbd = release
    done = run_tool("fill_xbd", root, xbd, "--account", tmp_path / "account.csv")
    assert done.returncode == 1
    assert "4 images of xBD: 1 failed, 1 not in xBD, 2 written; 1 of them without label" in done.stderr
    assert "nepal-flooding: 1 images" in done.stderr and "houston_2.tif: " in done.stderr
    assert "(5, 6) high and wide, the image (4, 6)" in done.stderr
    with rasterio.open(root / "el_rodeo" / "images" / "el_rodeo_1.tif") as raster:
        np.testing.assert_array_equal(raster.read(), PIXELS.transpose(2, 0, 1))
        assert (raster.crs.to_epsg(), raster.transform) == (4326, PLACE)
    with rasterio.open(root / "houston" / "images" / "houston_1.tif") as raster:
        np.testing.assert_array_equal(raster.read(), PIXELS.transpose(2, 0, 1))
        assert raster.crs is None
    outcomes = {row["image"]: row["outcome"] for row in csv.DictReader((tmp_path / "account.csv").open())}
    assert outcomes == {"el_rodeo_1.tif": "written", "houston_1.tif": "written", "gorakhpur_7.tif": "not in xBD",
                        "houston_2.tif": "failed"}  # fmt: skip


def test_a_second_run_leaves_what_is_there(release):
    root, xbd = release
    planned = fill_xbd(root, xbd, dry=True)
    assert planned.counts == {"can be written": 2, "not in xBD": 1, "failed": 1} and planned.unlabelled == 1
    assert not (root / "el_rodeo" / "images").exists()
    fill_xbd(root, xbd)
    path = root / "el_rodeo" / "images" / "el_rodeo_1.tif"
    before = path.stat().st_mtime_ns
    again = fill_xbd(root, xbd)
    assert again.counts == {"found": 2, "not in xBD": 1, "failed": 1}
    assert path.stat().st_mtime_ns == before
    assert not [file for file in root.rglob(".tmp-*")]


def test_masks_of_the_same_name_are_no_images(release):
    root, xbd = release
    for folder in ("annotations", "train/masks"):
        (xbd / folder).mkdir()
        Image.fromarray(255 - PIXELS).save(xbd / folder / "hurricane-harvey_1_pre_disaster.png")
    fill_xbd(root, xbd)
    with rasterio.open(root / "houston" / "images" / "houston_1.tif") as raster:
        np.testing.assert_array_equal(raster.read(), PIXELS.transpose(2, 0, 1))


def test_images_of_another_format_are_named(release):
    root, xbd = release
    Image.fromarray(PIXELS).save(xbd / "nepal-flooding_3_pre_disaster.jpg")
    assert "nepal-flooding_3_pre_disaster.jpg is one of them, but xBD's PNGs or GeoTIFFs are needed" in str(
        fill_xbd(root, xbd).error_summary
    )


def test_a_table_that_an_editor_saved_is_read(tmp_path):
    text = " a_pre_disaster.png , houston/images/houston_1.tif\r\n\r\n , \r\nb_pre_disaster.png,les_cayes_2\r\n"
    (tmp_path / "xbd_files.csv").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_pairs(tmp_path) == [("a_pre_disaster.png", "houston_1.tif"), ("b_pre_disaster.png", "les_cayes_2.tif")]


def test_nothing_missing_is_no_complaint(release):
    root, xbd = release
    (root / "xbd_files.csv").write_text("guatemala-volcano_00000000_pre_disaster.png,el_rodeo_1.tif\n")
    assert fill_xbd(root, xbd).error_summary is None


def test_bad_input_is_named(release, tmp_path):
    root, _ = release
    with pytest.raises(FileNotFoundError, match="unpack xBD's images there"):
        fill_xbd(root, tmp_path / "nowhere")
    for text, message in (
        ("a.png,houston_1.tif\n", "line 1: expected"),
        ("a_pre_disaster.png,houston_1.tif\n" * 2, "occurs more than once"),
        ("a_pre_disaster.png,houston.tif\n", "is not an image of OpenEarthMap"),
    ):
        (root / "xbd_files.csv").write_text(text)
        with pytest.raises(ValueError, match=message):
            read_pairs(root)
    with pytest.raises(FileNotFoundError, match=r"xbd_files\.csv: no such file; expected a table of the release"):
        read_pairs(tmp_path)


def test_a_real_image_comes_out_as_released(samples, tmp_path):
    source, root, xbd = samples / "openearthmap" / "houston", tmp_path / "oem", tmp_path / "xbd"
    (root / "houston" / "labels").mkdir(parents=True)
    (root / "houston" / "labels" / "houston_16.tif").write_bytes((source / "labels" / "houston_16.tif").read_bytes())
    (root / "xbd_files.csv").write_text("hurricane-harvey_00000135_pre_disaster.png,houston_16.tif\n")
    xbd.mkdir()
    with rasterio.open(source / "images" / "houston_16.tif") as released:
        pixels, place = released.read(), (released.crs, released.transform)
    Image.fromarray(pixels.transpose(1, 2, 0)).save(xbd / "hurricane-harvey_00000135_pre_disaster.png")
    assert fill_xbd(root, xbd).counts == {"written": 1}
    with rasterio.open(root / "houston" / "images" / "houston_16.tif") as made:
        np.testing.assert_array_equal(made.read(), pixels)
        assert (made.crs, made.transform) == place


def test_two_images_of_one_name_are_named_before_the_work(release):
    root, xbd = release
    name = "hurricane-harvey_1_pre_disaster.png"
    other = xbd / "hold" / "images" / name
    other.parent.mkdir(parents=True)
    Image.fromarray(PIXELS[::-1].copy()).save(other)
    with pytest.raises(DataError, match=rf"hold/images/{name} and .*train/images/{name} have the same name"):
        fill_xbd(root, xbd)
    assert not list(root.rglob("images"))
    other.with_name("other_1_pre_disaster.png").symlink_to(other)  # what nobody asks for may be there twice
    other.unlink()
    assert fill_xbd(root, xbd).counts["written"] == 2


def write_geotiff(path, pixels, dtype="uint8"):
    bands = pixels.transpose(2, 0, 1).astype(dtype)
    profile = dict(driver="GTiff", height=4, width=6, count=len(bands), dtype=dtype, photometric="RGB")
    with rasterio.open(path, "w", crs="EPSG:4326", transform=OWN_PLACE, **profile) as raster:
        raster.write(bands)


def test_geotiffs_of_the_archive_serve_as_well(release):
    root, xbd = release
    for path in xbd.rglob("*.png"):
        write_geotiff(path.with_suffix(".tif"), PIXELS)
        path.unlink()
    done = fill_xbd(root, xbd)
    assert done.counts == {"failed": 1, "not in xBD": 1, "written": 2} and done.unlabelled == 1
    with rasterio.open(root / "el_rodeo" / "images" / "el_rodeo_1.tif") as raster:
        np.testing.assert_array_equal(raster.read(), PIXELS.transpose(2, 0, 1))
        assert raster.transform == PLACE  # the label's
    with rasterio.open(root / "houston" / "images" / "houston_1.tif") as raster:
        assert (raster.crs.to_epsg(), raster.transform) == (4326, OWN_PLACE)


def test_of_an_image_in_both_archives_the_png_serves(release):
    root, xbd = release
    (xbd / "geotiff" / "images").mkdir(parents=True)
    write_geotiff(xbd / "geotiff" / "images" / "hurricane-harvey_1_pre_disaster.tif", 255 - PIXELS)
    fill_xbd(root, xbd)
    with rasterio.open(root / "houston" / "images" / "houston_1.tif") as raster:
        np.testing.assert_array_equal(raster.read(), PIXELS.transpose(2, 0, 1))
        assert raster.crs is None


def test_a_geotiff_of_other_values_is_not_squeezed_into_8_bits(release):
    root, xbd = release
    for path in xbd.rglob("*harvey_1*.png"):
        write_geotiff(path.with_suffix(".tif"), PIXELS.astype("uint16") * 40, "uint16")
        path.unlink()
    done = fill_xbd(root, xbd)
    assert [row[2] for row in done.rows if row[0] == "houston_1.tif"] == ["failed"]
    assert "uint16" in (done.error_summary or "")
