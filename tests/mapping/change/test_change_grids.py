"""Two maps on different grids, and pixels without a class."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from rasterio import Affine

from rsseg.errors import DataError
from rsseg.mapping.change import Transitions, compare_maps
from rsseg.mapping.change.resampling import most_frequent
from tests.mapping.change.small_maps import AFTER, BEFORE, CHANGE, EAST, METRE, NAMES, NORTH, Write, left


def test_rows_of_degrees_have_their_own_areas(compare: Callable[..., Transitions]) -> None:
    """A degree by a degree between 60 and 62 degrees north, on the ellipsoid, by Snyder's equation 3-12."""
    place = {"crs": "EPSG:4326", "transform": Affine(1, 0, 10, 0, -1, 62)}
    found = compare(np.array([[0, 0], [1, 1]], np.uint8), np.array([[0, 1], [1, 255]], np.uint8), place, place)

    def below(latitude: float) -> float:
        e2, sine = 0.00669437999014, math.sin(math.radians(latitude))
        e = math.sqrt(e2)
        return 6378137**2 * (1 - e2) / 2 * (sine / (1 - e2 * sine**2) + math.atanh(e * sine) / e)

    upper, lower = (math.radians(1) * (below(north) - below(north - 1)) for north in (62, 61))
    assert lower > 1.03 * upper and found.metres is not None
    assert found.metres.tolist() == pytest.approx(np.array([[upper, upper, 0], [0, lower, 0], [0, 0, 0]]), rel=1e-4)
    assert found.left_out[2].metres == pytest.approx(lower, rel=1e-4)
    assert found.unit[1] == "km2"


def test_a_shift_by_whole_pixels(compare: Callable[..., Transitions]) -> None:
    """Columns 1 to 3 of the first map lie on columns 0 to 2 of the second: read as they are."""
    found = compare(BEFORE, AFTER, {"transform": Affine(1, 0, EAST + 1, 0, -1, NORTH)})
    assert found.pixels.tolist() == [[2, 0, 0], [1, 4, 1], [0, 0, 1]]
    assert found.about["samples"] == [1, 1] and found.about["size"] == [4, 3]
    # the first column of the first map has four classes, the last one of the second map as well
    assert left(found) == [0, 1, 2, 4, 4]


@pytest.mark.parametrize(
    ("shift", "expected"), [(0.3, [[2, 0], [0, 2]]), (0.5, [[2, 0], [0, 2]]), (0.7, [[1, 1], [0, 1]])]
)
def test_a_shift_by_parts_of_a_pixel(shift: float, expected: Any, compare: Callable[..., Transitions]) -> None:
    """The class that covers most of a pixel; of two that cover a half each, the first in the table.

    With 0.7, half of the last pixel and more lies beyond the second map.
    """
    row, names = np.array([[0, 0, 1, 1]], np.uint8), {"names": NAMES[:2]}
    found = compare(row, row, {"transform": Affine(1, 0, EAST - shift, 0, -1, NORTH), **names}, names)
    assert found.pixels.tolist() == expected and found.about["samples"] == [1, None]


def test_a_finer_map_by_its_most_frequent_class(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    """Half a metre on a metre: 3 of 4; two of 2 and two of 1; two with a class, two without; three without."""
    fine = np.array([[1, 1, 2, 2], [0, 1, 1, 1], [2, 2, 255, 255], [255, 255, 255, 0]], np.uint8)
    where = {"transform": Affine(0.5, 0, EAST, 0, -0.5, NORTH)}
    found = compare(np.zeros((2, 2), np.uint8), fine, where)
    with rasterio.open(tmp_path / "out" / "change.tif") as file:
        assert file.read(1).tolist() == [[1, 1], [2, 255]]
    assert found.about["samples"] == [1, None] and found.about["grid_of"] == "before.tif"
    assert left(found) == [0, 0, 1, 0, 0]
    # the same with the maps exchanged: still the coarser grid, whichever comes first
    found = compare(fine, np.zeros((2, 2), np.uint8), None, where)
    assert found.pixels.tolist() == [[0, 0, 0], [2, 0, 0], [1, 0, 0]] and found.about["grid_of"] == "after.tif"
    # on the fine pixels all eleven classes count, each with a quarter of a square metre
    found = compare(fine, np.zeros((2, 2), np.uint8), None, where, grid="before")
    assert found.pixels[:, 0].tolist() == [2, 5, 4] and found.metres is not None and found.metres.sum() == 11 / 4


@pytest.mark.parametrize("seed", range(4))
def test_any_pixel_size_against_exact_fractions(
    seed: int, compare: Callable[..., Transitions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Random sizes, shifts and directions of rows of both maps; the second one is finer or coarser, and ends within."""
    monkeypatch.setattr("rsseg.mapping.change.resampling.SIDE", 7)  # several windows
    rng = np.random.default_rng(seed)
    labels = rng.choice([0, 1, 2, 255], (8, 9), p=[0.3, 0.3, 0.2, 0.2]).astype(np.uint8)
    size, own = Fraction(int(rng.integers(2, 12)), 6), Fraction(int(rng.integers(2, 12)), 6)
    shifts = [Fraction(int(value), 12) for value in rng.integers(-6, 7, 2)]
    down = [int(value) for value in rng.choice([-1, 1], 2)]

    def profile(pixel: Fraction, right: Fraction, top: Fraction, down: int) -> dict[str, Any]:
        return {"transform": Affine(float(pixel), 0, float(EAST + right), 0, down * float(pixel), float(NORTH + top))}

    height, width = (1 + math.floor(side * own / size) for side in labels.shape)
    first = profile(size, Fraction(0), -down[0] * height * size / 2, down[0])
    second = profile(own, shifts[0], shifts[1] - down[1] * 4 * own, down[1])
    compare(np.zeros((height, width), np.uint8), labels, second, first, grid="before")
    columns = [(own * i + shifts[0], own * (i + 1) + shifts[0]) for i in range(9)]
    rows = [sorted(down[1] * own * (i + end) - down[1] * 4 * own + shifts[1] for end in (0, 1)) for i in range(8)]

    def overlap(low: Fraction, parts: Any) -> list[tuple[int, Fraction]]:
        lengths = (min(low + size, part[1]) - max(low, part[0]) for part in parts)
        return [(i, length) for i, length in enumerate(lengths) if length > 0]

    expected = np.full((height, width), 255, np.uint8)
    for y, x in np.ndindex(height, width):
        low = down[0] * size * (y + (down[0] < 0)) - down[0] * height * size / 2
        found = dict.fromkeys((0, 1, 2), Fraction(0))
        for i, high in overlap(low, rows):
            for j, wide in overlap(x * size, columns):
                if labels[i, j] != 255:
                    found[int(labels[i, j])] += high * wide
        if 2 * sum(found.values()) >= size * size:
            expected[y, x] = max(found, key=lambda key: (found[key], -key))
    with rasterio.open(tmp_path / "out" / "change.tif") as file:
        compared = file.read(1)
        place, origin = file.transform, first["transform"]
    left, top = round((place.c - origin.c) / origin.a), round((place.f - origin.f) / origin.e)
    whole = np.full_like(expected, 255)
    whole[top : top + len(compared), left : left + compared.shape[1]] = compared
    assert whole.tolist() == expected.tolist()


def test_the_most_frequent_of_blocks() -> None:
    ids = np.array([[5, 7, 255, 9], [7, 5, 9, 255], [3, 255, 1, 2], [255, 255, 0, 3]], np.uint8)
    assert most_frequent(ids, np.array([0.0, 2, 4]), np.array([0.0, 2, 4])).tolist() == [[5, 9], [255, 0]]


def test_another_crs(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    """Two pixels of a degree that meet at 15 degrees east, four metres east of the first map's edge."""
    labels = np.repeat([[0] * 4 + [1] * 6], 8, axis=0).astype(np.uint8)
    here = {"transform": Affine(1, 0, EAST - 4, 0, -1, NORTH)}
    degrees = {"crs": "EPSG:4326", "transform": Affine(1, 0, 14, 0, -10, 40)}
    found = compare(labels, np.array([[1, 2]], np.uint8), degrees, here, grid="before")
    assert found.pixels.tolist() == [[0, 32, 0], [0, 0, 48], [0, 0, 0]]
    assert left(found)[:4] == [0, 0, 0, 0]
    with pytest.raises(DataError, match="no pixel has a class in both maps"):  # most of a degree lies beyond
        compare(labels, np.array([[1, 2]], np.uint8), degrees, here)


def test_directions_of_rows(compare: Callable[..., Transitions]) -> None:
    south_up = {"transform": Affine(1, 0, EAST, 0, 1, NORTH - 4)}
    assert compare(BEFORE, AFTER[::-1], south_up).pixels.tolist() == CHANGE


def test_nodata_of_every_kind(compare: Callable[..., Transitions]) -> None:
    """A nodata value of 0 hides a class; a mask, a 16-bit nodata value and NaN hide pixels."""
    found = compare(BEFORE, AFTER, {"nodata": 0})
    assert found.pixels.tolist() == [[0, 1, 0], [0, 5, 2], [0, 0, 3]] and left(found)[:3] == [1, 0, 4]
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        mask = np.where(AFTER == 1, 0, 255).astype(np.uint8)
        assert compare(BEFORE, AFTER, {"nodata": None, "mask": mask}).pixels[:, 1].sum() == 0


def test_maps_of_other_places(write: Write, tmp_path: Path) -> None:
    """Neighbours, and a place in another CRS; the message has both extents."""
    before = write("before.tif", BEFORE)
    beside = write("beside.tif", AFTER, transform=Affine(1, 0, EAST + 4, 0, -1, NORTH))
    with pytest.raises(DataError) as error:
        compare_maps(before, beside, tmp_path / "out")
    assert "no ground in common" in str(error.value) and "x 500000 to 500004, y 3999996 to 4000000 (EPSG:32633)" in str(
        error.value
    )
    assert "x 500004 to 500008" in str(error.value)
    far = write("far.tif", AFTER, crs="EPSG:4326", transform=Affine(1e-5, 0, 10, 0, -1e-5, 36))
    with pytest.raises(DataError, match=r"x 10 to 10\.00004, y 35\.99996 to 36 \(EPSG:4326\)"):
        compare_maps(before, far, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("transform", [Affine(0, 0, 5, 0, 0, 5), Affine(math.nan, 0, 5, 0, -1, 5)])
def test_a_transform_without_extent(transform: Affine, write: Write, tmp_path: Path) -> None:
    paths = write("before.tif", BEFORE), write("after.tif", AFTER, transform=transform)
    with pytest.raises(DataError, match=r"after\.tif: its transform \(.*\) gives pixels no extent"):
        compare_maps(*paths, tmp_path / "out")


def test_a_crs_that_is_nowhere_on_earth(write: Write, tmp_path: Path) -> None:
    local = 'LOCAL_CS["building site",UNIT["metre",1]]'
    paths = write("before.tif", BEFORE), write("after.tif", AFTER, crs=local)
    with pytest.raises(
        DataError, match=r"after\.tif: cannot be compared with .*before\.tif: no transformation between"
    ):
        compare_maps(*paths, tmp_path / "out")


def test_pictures_without_georeference(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    """As many pixels are the same ground; areas are in pixels.  If only one map lies somewhere, the result does."""
    plain = {"crs": None, "transform": None}
    found = compare(BEFORE, AFTER, plain, plain, vectors="geojson")
    assert found.metres is None and found.pixels.tolist() == CHANGE and "11 pixels" not in str(found)
    assert "unchanged 78.57 % of 14 pixels compared" in str(found)
    with (tmp_path / "out" / "transitions.csv").open() as file:
        assert file.readlines()[1] == "0,water,water,3,,,,75.000,21.429\n"
    with rasterio.open(compare(BEFORE, AFTER, {}, plain) and tmp_path / "out" / "change.tif") as file:
        assert file.transform == METRE


def test_large_maps_window_by_window(compare: Callable[..., Transitions], tmp_path: Path) -> None:
    """More than one window in both directions, partly apart, counted with numpy; twice the same bytes."""
    rng = np.random.default_rng(0)
    labels = [rng.choice([0, 1, 2, 255], (1300, 1500)).astype(np.uint8) for _ in range(2)]
    where = {"transform": Affine(1, 0, EAST + 100, 0, -1, NORTH + 150)}
    found = compare(labels[0], labels[1], where)
    before, after = labels[0][:1150, 100:], labels[1][150:, :1400]
    both = (before != 255) & (after != 255)
    counts = np.bincount(before[both].astype(int) * 3 + after[both], minlength=9).reshape(3, 3)
    assert found.pixels.tolist() == counts.tolist()
    none = before == 255, after == 255
    outside = [int((own != 255).sum() - (~hidden).sum()) for own, hidden in zip(labels, none, strict=True)]
    assert left(found) == [(none[0] & none[1]).sum(), (none[0] & ~none[1]).sum(), (none[1] & ~none[0]).sum(), *outside]
    files = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    compare(labels[0], labels[1], where)
    assert files == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_across_the_antimeridian(compare: Callable[..., Transitions]) -> None:
    """Four pixels on either side, on the equator in zone 60; the same ground as 180 and -180 degrees."""
    degrees = {"crs": "EPSG:4326", "transform": Affine(0.01, 0, 179.99, 0, -0.01, 0.01)}
    metres = {"crs": "EPSG:32660", "transform": Affine(100, 0, 833978.56 - 400, 0, -100, 200)}
    sides, roads = np.array([[0, 1]], np.uint8), np.full((2, 8), 2, np.uint8)
    found = compare(sides, roads, metres, degrees, grid="after")
    assert found.pixels.tolist() == [[0, 0, 8], [0, 0, 8], [0, 0, 0]] and left(found)[:3] == [0, 0, 0]
    turned = {**degrees, "transform": Affine(0.01, 0, -180.01, 0, -0.01, 0.01)}
    found = compare(sides, sides[:, ::-1].copy(), turned, degrees)
    assert found.pixels.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 0]] and left(found) == [0] * 5
