"""A raster to a map: place and colours kept, the same bytes after a kill or in parallel, one error for bad input."""

from __future__ import annotations

import dataclasses
import json
import resource
import signal

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.enums import ColorInterp
from rasterio.shutil import copy

import rsseg
from rsseg.errors import JobError
from rsseg.io.shards import Shard
from rsseg.mapping import MapOptions, SegmentorScorer, map_raster
from rsseg.mapping.output import halve
from rsseg.mapping.sharing import part_of

RGB = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
SMALL = MapOptions(window=(16, 16), batch=2)


def read(path):
    with rasterio.open(path) as file:
        return file.read(1)


@pytest.mark.parametrize(
    "crs, transform",
    [
        ("EPSG:32633", Affine(0.5, 0, 500000, 0, -0.5, 4000000)),
        ("EPSG:4326", Affine(1e-5, 0, 12.5, 0, -1.5e-5, 48.25)),
        ("EPSG:32633", Affine(0.4, 0.3, 500000, 0.3, -0.4, 4000000)),
        (None, Affine(2, 0, 10, 0, 3, 20)),
    ],
)
def test_the_map_lies_where_the_raster_lay(crs, transform, stub, table, noise, write_raster, tmp_path):
    source = write_raster(noise(3, 40, 70), crs=crs, transform=transform)
    target = tmp_path / "out" / "map.tif"
    assert map_raster(str(source), target, stub, table, SMALL, {"checkpoint": "x.pth"})
    with rasterio.open(target) as file, rasterio.open(source) as before:
        assert (file.crs, file.transform, file.bounds) == (before.crs, transform, before.bounds)
        assert (file.count, file.dtypes, file.nodata, file.shape) == (1, ("uint8",), 255, (40, 70))
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert {i: file.colormap(1)[i] for i in range(3)} == {
            0: (255, 0, 0, 255), 1: (0, 255, 0, 255), 2: (0, 0, 255, 255)
        }  # fmt: skip
        assert [file.tags(1)[f"class_{i}"] for i in range(3)] == ["red", "green", "blue"]
        assert file.tags()["RSSEG_CHECKPOINT"] == "x.pth" and file.tags()["RSSEG_SOURCE"] == "source.tif"
    assert sorted(p.name for p in target.parent.iterdir()) == [
        "map.qml", "map.stac.json", "map.tif", "map.tif.aux.xml", "map_areas.csv"
    ]  # fmt: skip


def test_progress_is_reported_and_an_error_there_interrupts_the_map(stub, table, noise, write_raster, tmp_path):
    source = str(write_raster(noise(3, 40, 70)))
    shares = []
    assert map_raster(source, tmp_path / "whole.tif", stub, table, SMALL, {}, report=shares.append)
    assert shares == [done / 18 for done in range(0, 18, 2)]  # 3 rows of 6 windows
    batches = len(stub.batches)

    def stop(share):
        if share > 0.5:  # in the second row
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_raster(source, tmp_path / "map.tif", stub, table, SMALL, {}, report=stop)
    assert [path.name for path in (tmp_path / ".map.tif.parts").glob("*.strip")] == ["000000.strip"]
    before = len(stub.batches)
    assert map_raster(source, tmp_path / "map.tif", stub, table, SMALL, {}, report=shares.append)
    assert len(stub.batches) - before == batches  # the first row reaches into the second strip
    assert (tmp_path / "map.tif").read_bytes() == (tmp_path / "whole.tif").read_bytes()


def test_overviews_hold_the_most_frequent_class(stub, table, write_raster, tmp_path):
    pixels = np.zeros((3, 600, 600), np.uint8)
    pixels[0] = 100
    pixels[2, ::2, ::2] = 200  # one of four is blue
    target = tmp_path / "map.tif"
    map_raster(str(write_raster(pixels)), target, stub, table, MapOptions(window=(64, 64), blend="centre"), {})
    with rasterio.open(target) as file:
        assert file.overviews(1) == [2]
        assert (file.read(1)[::2, ::2] == 2).all()
    with rasterio.open(target, overview_level=0) as file:
        assert (file.read(1) == 0).all()


def test_half_the_size_keeps_the_most_frequent_class():
    labels = np.array([[1, 2, 3, 3, 255], [2, 1, 0, 5, 255], [255, 255, 7, 9, 4], [255, 6, 8, 5, 255]], np.uint8)
    # a tie, a pair, nothing; one of four, four different ones, one of two
    assert halve(labels).tolist() == [[1, 3, 255], [6, 5, 4]]


def nodata_value(pixels):
    pixels[:, :10, :20] = 7
    return dict(pixels=pixels, nodata=7)


def alpha(pixels):
    band = np.full((1, *pixels.shape[1:]), 255, np.uint8)
    band[:, :10, :20] = 0
    return dict(pixels=np.concatenate([pixels, band]), colorinterp=[*RGB, ColorInterp.alpha])


def inner_mask(pixels):
    mask = np.full(pixels.shape[1:], 255, np.uint8)
    mask[:10, :20] = 0
    return dict(pixels=pixels, mask=mask)


def not_a_number(pixels):
    pixels = pixels.astype(np.float32)
    pixels[1, :10, :20] = np.nan
    return dict(pixels=pixels, colorinterp=RGB)


@pytest.mark.parametrize("kind", [nodata_value, alpha, inner_mask, not_a_number])
def test_pixels_without_data_stay_without(kind, stub, table, noise, write_raster, tmp_path):
    pixels = noise(3, 30, 50) // 2 + 20
    expected = pixels.astype(int).argmax(0)
    expected[:10, :20] = 255
    options = MapOptions(window=(8, 8), value_range=(0, 255) if kind is not_a_number else None, probabilities="all")
    map_raster(str(write_raster(**kind(pixels))), tmp_path / "map.tif", stub, table, options, {})
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), expected)
    assert ((read(tmp_path / "map_probabilities.tif") == 255) == (expected == 255)).all()


def test_nothing_but_nodata_is_a_map_of_nothing(stub, table, write_raster, tmp_path):
    source = write_raster(np.zeros((3, 30, 30), np.uint8), nodata=0)
    assert map_raster(str(source), tmp_path / "map.tif", stub, table, SMALL, {})
    assert (read(tmp_path / "map.tif") == 255).all()
    assert not stub.batches  # the model had nothing to do


def test_sixteen_bits_and_more_bands(stub, table, noise, write_raster, tmp_path):
    pixels = noise(5, 20, 30).astype(np.uint16) * 10 + 100
    source = write_raster(pixels)
    options = MapOptions(bands=(4, 2, 1), value_range=(100, 2650), window=(16, 16), blend="mean")
    map_raster(str(source), tmp_path / "map.tif", stub, table, options, {})
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), pixels[[3, 1, 0]].argmax(0))
    with pytest.raises(ValueError, match=r"holds uint16.*--range"):
        map_raster(str(source), tmp_path / "b.tif", stub, table, MapOptions(bands=(4, 2, 1)), {})
    with pytest.raises(ValueError, match=r"red, green and blue .*--bands"):
        map_raster(str(source), tmp_path / "b.tif", stub, table, MapOptions(value_range=(0, 1)), {})
    with pytest.raises(ValueError, match="has 5 bands, --bands asks for band 6"):
        map_raster(str(source), tmp_path / "b.tif", stub, table, MapOptions(bands=(6, 2, 1)), {})


@pytest.mark.parametrize("crs, step", [("EPSG:32633", 0.25), ("EPSG:4326", 0.25 / 111319.49)])
def test_resampled_to_the_size_of_pixels(crs, step, stub, table, write_raster, tmp_path):
    pixels = np.zeros((3, 40, 80), np.uint8)
    pixels[0, :, :40], pixels[2, :, 40:] = 200, 200
    source = write_raster(pixels, crs=crs, transform=Affine(step, 0, 10, 0, -step, 0))
    map_raster(str(source), tmp_path / "map.tif", stub, table, MapOptions(window=(16, 16), gsd=0.5), {})
    found = read(tmp_path / "map.tif")
    assert found.shape == (20, 40)
    assert (found[:, :20] == 0).all() and (found[:, 20:] == 2).all()
    with rasterio.open(tmp_path / "map.tif") as file, rasterio.open(source) as before:
        np.testing.assert_allclose(file.bounds, before.bounds, rtol=1e-2 if crs == "EPSG:4326" else 0)


@pytest.mark.parametrize("kind", ["VRT", "JP2", "COG"])
def test_other_formats_are_read_as_well(kind, stub, table, noise, write_raster, tmp_path):
    pixels = noise(3, 8, 10).repeat(8, 1).repeat(8, 2)
    source, other = write_raster(pixels, photometric="RGB"), tmp_path / f"other.{kind.lower()}"
    options = {"JP2": dict(driver="JP2OpenJPEG", quality="100", reversible="YES", ycc="NO")}.get(
        kind, dict(driver=kind)
    )
    copy(str(source), str(other), **options)
    map_raster(str(source), tmp_path / "map.tif", stub, table, SMALL, {})
    map_raster(str(other), tmp_path / "other.tif", stub, table, SMALL, {})
    np.testing.assert_array_equal(read(tmp_path / "map.tif"), read(tmp_path / "other.tif"))


def test_real_samples_are_mapped_whole(samples, plain_model, table, tmp_path):
    """Alpha, nodata, JPEG in TIFF and degrees, as they come: the brightest channel, and nothing where nothing is."""
    files = sorted((samples / "geotiff").glob("*.tif")) + sorted((samples / "openearthmap").glob("*/images/*.tif"))
    assert len(files) >= 6
    for path in files:
        target = tmp_path / path.name
        map_raster(str(path), target, SegmentorScorer(plain_model, 3), table, MapOptions(window=(200, 200)), {})
        with rasterio.open(path) as before, rasterio.open(target) as after:
            assert (after.crs, after.transform, after.shape) == (before.crs, before.transform, before.shape)
            expected = before.read([1, 2, 3]).argmax(0)
            expected[before.dataset_mask() == 0] = 255
            np.testing.assert_array_equal(after.read(1), expected)


class Dies(BaseException):
    """As sudden as a kill, within one process."""


def test_a_broken_run_goes_on_and_gives_the_same_bytes(stub, table, noise, write_raster, tmp_path):
    source = str(write_raster(noise(3, 90, 70)))
    options = MapOptions(window=(16, 16), batch=3, probabilities="top")
    map_raster(source, tmp_path / "straight.tif", stub, table, options, {})
    calls, original = len(stub.batches), stub.prepare
    for stop in (1, 7, 5):
        count = 0

        def prepare(windows, stop=stop):
            nonlocal count
            count += 1
            if count > stop:
                raise Dies
            return original(windows)

        stub.prepare = prepare
        with pytest.raises(Dies):
            map_raster(source, tmp_path / "broken.tif", stub, table, options, {})
        assert not (tmp_path / "broken.tif").exists()
    stub.prepare = original
    before = len(stub.batches)
    assert map_raster(source, tmp_path / "broken.tif", stub, table, options, {})
    assert len(stub.batches) - before < calls  # something was there already
    for name in ("{}.tif", "{}_probabilities.tif"):
        first, second = ((tmp_path / name.format(run)).read_bytes() for run in ("straight", "broken"))
        assert first == second
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("processes", [2, 3, 50])
def test_shares_of_several_processes_are_one_map(processes, stub, table, noise, write_raster, tmp_path):
    source = str(write_raster(noise(3, 90, 40)))
    map_raster(source, tmp_path / "one.tif", stub, table, SMALL, {})
    ends = [
        map_raster(source, tmp_path / "many.tif", stub, table, SMALL, {}, part_of(Shard(r, processes)))
        for r in range(processes)
    ]
    assert not any(ends[: 1 if processes == 2 else 2]) and ends[-1]
    assert (tmp_path / "one.tif").read_bytes() == (tmp_path / "many.tif").read_bytes()


def test_a_finished_map_is_left_alone_unless_asked(stub, table, noise, write_raster, tmp_path):
    source, target = str(write_raster(noise(3, 30, 30))), tmp_path / "map.tif"
    map_raster(source, target, stub, table, SMALL, {})
    stamp = target.stat().st_mtime_ns
    assert map_raster(source, target, stub, table, SMALL, {})
    assert target.stat().st_mtime_ns == stamp
    other = MapOptions(window=(8, 8))
    with pytest.raises(JobError, match="--overwrite"):
        map_raster(source, target, stub, table, other, {})
    assert map_raster(source, target, stub, table, MapOptions(window=(8, 8), overwrite=True), {})
    assert target.stat().st_mtime_ns != stamp


def test_half_a_map_of_other_settings_is_not_continued(stub, table, noise, write_raster, tmp_path):
    source, target = str(write_raster(noise(3, 60, 30))), tmp_path / "map.tif"
    assert not map_raster(source, target, stub, table, SMALL, {}, part_of(Shard(0, 2)))
    with pytest.raises(JobError, match="started with another checkpoint; "):
        map_raster(source, target, stub, table, SMALL, {"checkpoint": "other.pth"})
    assert map_raster(source, target, stub, table, MapOptions(window=(16, 16), overwrite=True), {"checkpoint": "other"})


def test_a_raster_that_changed_is_mapped_anew_by_an_update(stub, table, noise, write_raster, tmp_path):
    source, target = write_raster(noise(3, 30, 30)), tmp_path / "map.tif"
    update = MapOptions(window=SMALL.window, overlap=SMALL.overlap, batch=SMALL.batch, update=True)
    map_raster(str(source), target, stub, table, SMALL, {})
    stamp = target.stat().st_mtime_ns
    assert map_raster(str(source), target, stub, table, update, {}) and target.stat().st_mtime_ns == stamp
    write_raster(noise(3, 40, 30))
    with pytest.raises(JobError, match=r"made with .*size, source_state; add --update .*the raster has changed"):
        map_raster(str(source), target, stub, table, SMALL, {})
    assert map_raster(str(source), target, stub, table, update, {})
    map_raster(str(source), tmp_path / "fresh.tif", stub, table, SMALL, {})
    assert target.read_bytes() == (tmp_path / "fresh.tif").read_bytes()
    with pytest.raises(JobError, match=r"threshold; --update cannot help, .*\(threshold was None, now '0.5'\)"):
        map_raster(str(source), target, stub, table, dataclasses.replace(update, threshold=0.5), {})


def test_what_is_not_known_is_not_in_the_plan(stub, table, noise, write_raster, tmp_path):
    def stop(share):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        map_raster(str(write_raster(noise(3, 40, 40))), tmp_path / "map.tif", stub, table, SMALL, {}, report=stop)
    plan = json.loads((tmp_path / ".map.tif.parts" / "plan.json").read_text())
    assert not {"datetime", "stac_item", "area"} & set(plan)  # maps of earlier versions keep their bytes


def test_half_a_map_of_a_raster_that_changed_is_not_continued(stub, table, noise, write_raster, tmp_path):
    source, target = str(write_raster(noise(3, 60, 30))), tmp_path / "map.tif"
    assert not map_raster(source, target, stub, table, SMALL, {}, part_of(Shard(0, 2)))
    write_raster(noise(3, 60, 30)[::-1])
    with pytest.raises(JobError, match="started with another source_state; add --update"):
        map_raster(source, target, stub, table, SMALL, {})
    assert map_raster(source, target, stub, table, dataclasses.replace(SMALL, update=True), {})
    map_raster(source, tmp_path / "fresh.tif", stub, table, SMALL, {})
    assert target.read_bytes() == (tmp_path / "fresh.tif").read_bytes()


def test_colours_of_the_class_table_count(stub, table, noise, write_raster, tmp_path):
    source, target = str(write_raster(noise(3, 30, 30))), tmp_path / "map.tif"
    map_raster(source, target, stub, table, SMALL, {})
    other = dataclasses.replace(table, palette=table.palette[::-1])
    with pytest.raises(JobError, match="exists and was made with another class_table; "):
        map_raster(source, target, stub, other, SMALL, {})


def test_another_version_goes_on_by_an_update(stub, table, noise, write_raster, tmp_path, monkeypatch):
    source, target = str(write_raster(noise(3, 30, 30))), tmp_path / "map.tif"
    map_raster(source, target, stub, table, SMALL, {})
    stamp = target.stat().st_mtime_ns
    monkeypatch.setattr(rsseg, "__version__", "99.0")
    with pytest.raises(JobError, match=r"another version; .*version was '.*', now '99.0'"):
        map_raster(source, target, stub, table, SMALL, {})
    assert map_raster(source, target, stub, table, dataclasses.replace(SMALL, update=True), {})
    assert target.stat().st_mtime_ns == stamp


def test_settings_that_failed_at_once_are_forgotten(stub, table, noise, write_raster, tmp_path):
    source, target = str(write_raster(noise(3, 60, 30))), tmp_path / "map.tif"
    stub.prepare = lambda windows: (_ for _ in ()).throw(ValueError("too few classes"))
    with pytest.raises(ValueError, match="too few classes"):
        map_raster(source, target, stub, table, SMALL, {"head": "wrong"})
    del stub.prepare
    assert map_raster(source, target, stub, table, SMALL, {"head": "right"})


@pytest.mark.parametrize(
    "wrong, message",
    [
        (dict(blend="max"), "expected one of: mean, cosine, centre"),
        (dict(overlap=1.0), "at least 0 and less than 1"),
        (dict(value_range=(255, 0)), "the smaller one"),
    ],
)
def test_impossible_options_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        MapOptions(**wrong)


def test_bad_input_is_one_clear_error(stub, table, noise, write_raster, tmp_path):
    with pytest.raises(OSError, match=r"nothing\.tif: not a raster"):
        map_raster(str(tmp_path / "nothing.tif"), tmp_path / "map.tif", stub, table, SMALL, {})
    text = tmp_path / "text.tif"
    text.write_text("no raster")
    with pytest.raises(OSError, match=r"text\.tif: not a raster"):
        map_raster(str(text), tmp_path / "map.tif", stub, table, SMALL, {})
    whole = write_raster(noise(3, 200, 200), tiled=True, blockxsize=16, blockysize=16)
    cut = tmp_path / "cut.tif"
    cut.write_bytes(whole.read_bytes()[:60_000])
    with pytest.raises(OSError, match=r"cut\.tif: cannot be read at columns"):
        map_raster(str(cut), tmp_path / "map.tif", stub, table, SMALL, {})
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"map\.tif: cannot be written"):
        map_raster(str(whole), tmp_path / "file" / "map.tif", stub, table, SMALL, {})


def test_a_full_disk_is_an_error_that_names_the_file(stub, table, noise, write_raster, tmp_path):
    source, target = str(write_raster(noise(3, 700, 700))), tmp_path / "map.tif"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    options = MapOptions(window=(64, 64))
    for limit in (20_000, 300_000):  # in a strip; in the joined file, whose 490 kB do not fit
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        try:
            with pytest.raises(OSError, match="cannot write"):
                map_raster(source, target, stub, table, options, {})
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert not target.exists()
    assert map_raster(source, target, stub, table, options, {})
