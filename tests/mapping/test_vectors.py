"""Outlines of a class map: traced in bands, joined over their seams, with fewer points on common lines."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from rasterio import Affine
from rasterio.features import rasterize, shapes

from rsseg.mapping import vectors
from rsseg.mapping.vectors import polygons, polygons_of
from rsseg.structures.rings import Rings, cycles, merge_rings, split_rings


def one_by_one(found):
    """Polygons with closed rings."""
    ends = np.cumsum(found.rings.lengths)
    rings = [np.vstack([r, r[:1]]) for r in np.split(found.rings.points, ends[:-1])]
    owned = np.split(np.arange(len(rings)), np.cumsum(np.bincount(found.rings.owners))[:-1])
    return [
        SimpleNamespace(label=label, area=area, rings=[rings[k] for k in owned[i]])
        for i, (label, area) in enumerate(zip(found.labels.tolist(), found.areas.tolist(), strict=True))
    ]


@pytest.fixture
def trace(tmp_path, monkeypatch):
    """``trace(labels, rows)`` gives the polygons of a map that is traced in bands of so many rows."""

    def run(labels, rows=512, areas=None, min_area=0, tolerance=0.0):
        monkeypatch.setattr(vectors, "_ROWS", (rows, rows))
        path = tmp_path / "map.tif"
        height, width = labels.shape
        profile = dict(driver="GTiff", count=1, height=height, width=width, dtype="uint8", nodata=255)
        with rasterio.open(path, "w", transform=Affine(1, 0, 5, 0, -1, 7), **profile) as file:
            file.write(labels.astype(np.uint8), 1)
        return [p for batch in polygons(path, areas, min_area, tolerance) for p in one_by_one(batch)]

    return run


def ring_key(ring):
    """The same for a ring wherever it begins and whichever way it runs."""
    points = [tuple(map(int, point)) for point in ring[:-1]]
    start = points.index(min(points))
    points = points[start:] + points[:start]
    return tuple(min(points, points[:1] + points[:0:-1]))


def twice(ring):
    x, y = np.asarray(ring, float).T
    return float((x[:-1] * y[1:] - x[1:] * y[:-1]).sum())


def edges_of(found):
    return np.concatenate([np.concatenate([r[:-1], r[1:]], axis=1) for p in found for r in p.rings])


def crossings(edges, touching):
    """Pairs of segments that cross, or touch other than end to end.  Integers: the answer is exact."""
    a, b = edges[:, None, :2], edges[:, None, 2:]
    c, d = edges[None, :, :2], edges[None, :, 2:]

    def side(p, q, r):
        return np.sign((q - p)[..., 0] * (r - p)[..., 1] - (q - p)[..., 1] * (r - p)[..., 0])

    sides = [side(c, d, a), side(c, d, b), side(a, b, c), side(a, b, d)]
    through = (sides[0] * sides[1] < 0) & (sides[2] * sides[3] < 0)
    inside = np.zeros_like(through)  # an end of one within the other
    for p, q, r, s in ((a, b, c, sides[2]), (a, b, d, sides[3])):
        between = ((r - p) * (r - q)).sum(-1) < 0
        inside |= (s == 0) & between
    return int(through.sum()) + touching * int(inside.sum())


def random_map(seed):
    generator = np.random.default_rng(seed)
    height, width, size = generator.integers((3, 3, 1), (34, 34, 4)).tolist()
    values = [0, 1, 2, 255][: generator.integers(2, 5)]
    return generator.choice(values, (height, width)).repeat(size, 0).repeat(size, 1)


@pytest.mark.parametrize("rows", [1, 3, 16, 512])
@pytest.mark.parametrize("seed", range(6))
def test_bands_give_what_gdal_gives_for_the_whole(seed, rows, trace):
    labels = random_map(seed)
    whole = shapes(labels.astype(np.uint8), connectivity=4)
    expected = [(int(v), frozenset(map(ring_key, s["coordinates"]))) for s, v in whole if v != 255]
    found = trace(labels, rows)
    assert sorted(map(hash, expected)) == sorted(hash((p.label, frozenset(map(ring_key, p.rings)))) for p in found)
    assert all(p.area == (twice(p.rings[0]) + sum(map(twice, p.rings[1:]))) / 2 for p in found)
    assert all(twice(p.rings[0]) > 0 and all(twice(r) < 0 for r in p.rings[1:]) for p in found)


def test_a_region_that_comes_together_only_below(trace):
    labels = np.array([[1, 0, 1], [1, 0, 1], [1, 1, 1]])
    found = {p.label: p for p in trace(labels, rows=1)}
    assert found[1].area == 7 and len(found[1].rings) == 1
    assert ring_key(found[1].rings[0]) == ring_key(
        [(0, 0), (0, 3), (3, 3), (3, 0), (2, 0), (2, 2), (1, 2), (1, 0), (0, 0)]
    )


def test_a_ring_never_comes_to_a_point_twice():
    """Pixels (0, 0) and (1, 1) of a region touch at (1, 1), and go together around the right: a hole, not a loop."""
    upper = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
    # what is left of the seam edges: the outline of the second piece passes (1, 1) too
    lower = np.array([[1, 1], [2, 1], [2, 2], [1, 2]])
    rings = merge_rings(Rings(np.vstack([upper, lower]), np.array([4, 4]), np.array([7, 7])), 1, 3)
    assert rings.owners.tolist() == [7, 7]
    assert sorted(ring_key(np.vstack([r, r[:1]])) for r in np.split(rings.points, np.cumsum(rings.lengths)[:-1])) == [
        ((0, 0), (0, 1), (1, 1), (1, 0)),
        ((1, 1), (1, 2), (2, 2), (2, 1)),
    ]


def test_seams_between_regions_stay():
    """Both have the same edge, but are two regions."""
    upper, lower = [[0, 0], [1, 0], [1, 1], [0, 1]], [[0, 1], [1, 1], [1, 2], [0, 2]]
    rings = merge_rings(Rings(np.array(upper + lower), np.array([4, 4]), np.array([0, 1])), 1, 2)
    assert rings.points.tolist() == upper + lower and rings.owners.tolist() == [0, 1]


def test_loops_begin_at_their_smallest_item():
    order, lengths = cycles(np.array([3, 4, 2, 5, 1, 0]))
    assert order.tolist() == [0, 3, 5, 1, 4, 2] and lengths.tolist() == [3, 2, 1]
    assert [part.tolist() for part in cycles(np.empty(0, int))] == [[], []]
    # 0 1 2 3 4 passes one point as 1 and as 3; 5 alone as 0 and 5, which are no loop together
    after = split_rings(np.array([1, 2, 3, 4, 0, 5]), np.array([1, 0]), np.array([3, 5]))
    assert [part.tolist() for part in cycles(after)] == [[0, 3, 4, 1, 2, 5], [3, 2, 1]]


def test_areas_of_rows_of_several_sizes(trace):
    labels = np.array([[0, 0], [0, 1], [1, 1]])
    found = {p.label: p.area for p in trace(labels, 2, np.array([1.0, 10.0, 100.0]))}
    assert found == {0: 12.0, 1: 210.0}
    assert [p.label for p in trace(labels, 2, np.array([1.0, 10.0, 100.0]), min_area=12.5)] == [1]
    assert [p.area for p in trace(np.zeros((10, 10)), 3, np.full(10, 0.09), min_area=9)] == [9.0]


def test_stairs_become_one_line_for_both_neighbours(trace):
    labels = np.tri(8, dtype=int)
    found = {p.label: p.rings for p in trace(labels, tolerance=0.8)}
    # the line begins and ends at nodes on the frame; of the stairs the first corner is the one that is farthest off
    upper, lower = [(1, 0), (1, 1), (8, 7), (8, 0)], [(0, 0), (0, 8), (8, 8), (8, 7), (1, 1), (1, 0)]
    assert [[ring_key(ring) for ring in found[label]] for label in (0, 1)] == [
        [ring_key([*points, points[0]])] for points in (upper, lower)
    ]


@pytest.mark.parametrize("rows", [4, 512])
@pytest.mark.parametrize("tolerance", [0.8, 2.0, 6.0])
@pytest.mark.parametrize("seed", range(5))
def test_simplified_polygons_still_cover_the_map_once(seed, tolerance, rows, trace):
    labels = random_map(seed) % 3
    if seed == 4:  # thin lines, where much can go wrong
        labels = rasterize([({"type": "LineString", "coordinates": [(0, k), (30, 29 - k)]}, 1) for k in (0, 3, 4, 17)],
                           (30, 30), dtype="uint8")  # fmt: skip
    found = trace(labels, rows, tolerance=tolerance)
    assert crossings(edges_of(found), False) == 0
    assert not any(crossings(edges_of([polygon]), True) for polygon in found)
    assert sum(sum(map(twice, p.rings)) / 2 for p in found) == labels.size
    assert all(twice(p.rings[0]) > 0 and all(twice(r) < 0 for r in p.rings[1:]) for p in found)
    assert sum(p.area for p in found) == labels.size  # that of the pixels
    assert len(found) == len(trace(labels))


def test_points_move_no_farther_than_told(trace):
    y, x = np.mgrid[:60, :60]
    labels = ((x - 30) ** 2 + (y - 30) ** 2 < 500).astype(int)
    plain = next(p for p in trace(labels) if p.label).rings[0]
    thin = next(p for p in trace(labels, tolerance=1.0) if p.label).rings[0]
    assert len(thin) < len(plain) / 3
    a, b = thin[:-1, None].astype(float), thin[1:, None].astype(float)
    share = np.clip(((plain - a) * (b - a)).sum(-1) / ((b - a) ** 2).sum(-1), 0, 1)
    assert np.hypot(*np.moveaxis(plain - a - share[..., None] * (b - a), -1, 0)).min(axis=0).max() <= 1.0


@pytest.mark.slow
def test_memory_does_not_grow_with_the_map(tmp_path, repo):
    labels = np.random.default_rng(0).integers(0, 4, (50, 80)).repeat(8, 0).repeat(8, 1).astype(np.uint8)
    code = (
        "import resource, sys; from pathlib import Path; from rsseg.mapping import vectors; vectors._ROWS = (64, 64)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "n = sum(len(p) for p in vectors.polygons(Path(sys.argv[1]), None, 0, 1.5))\n"
        "print(n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    used = []
    for times in (1, 12):
        path = tmp_path / f"{times}.tif"
        profile = dict(driver="GTiff", count=1, height=400 * times, width=640, dtype="uint8", nodata=255)
        with rasterio.open(path, "w", **profile) as file:
            file.write(np.tile(labels, (times, 1)), 1)
        run = subprocess.run([sys.executable, "-c", code, path], cwd=repo, capture_output=True, text=True, check=True)
        used.append([int(word) for word in run.stdout.split()])
    assert used[1][0] > 11 * used[0][0]
    assert used[1][1] < used[0][1] + 8 * 1024  # KiB; all outlines at once would be 30 MiB


def test_labels_in_memory_give_the_polygons_of_a_file(trace):
    rng = np.random.default_rng(5)
    labels = np.kron(rng.integers(0, 3, (7, 9)), np.ones((4, 5), int))
    labels[:6, :6] = 255
    for tolerance, least in ((0, 0), (1.5, 0), (0, 30)):
        mine = one_by_one(polygons_of(labels, 255, least, tolerance))
        theirs = trace(labels, tolerance=tolerance, min_area=least)
        assert [(p.label, p.area) for p in mine] == [(p.label, p.area) for p in theirs]
        for one, other in zip(mine, theirs, strict=True):
            assert [ring.tolist() for ring in one.rings] == [ring.tolist() for ring in other.rings]
    assert not len(polygons_of(np.full((4, 4), 255), 255))
