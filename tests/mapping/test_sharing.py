"""How processes share rasters: every strip is somebody's, nobody has more than another, few rasters are divided."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsseg.io.shards import Shard
from rsseg.mapping.sharing import WHOLE, Part, divide, part_of, share_jobs, sizes_of


def test_two_shards_of_three_rasters() -> None:
    """Sizes 4, 2, 6 end to end are 12 pixels: the border at 6 is that of the second raster and the third."""
    assert divide([4, 2, 6], Shard(0, 2)) == [(0, WHOLE), (1, WHOLE)]
    assert divide([4, 2, 6], Shard(1, 2, True)) == [(2, WHOLE)]


def test_a_border_inside_a_raster() -> None:
    """Sizes 1, 3: the border at 2 leaves a third of the second raster to the first shard."""
    third = Fraction(1, 3)
    assert divide([1, 3], Shard(0, 2)) == [(0, WHOLE), (1, Part(Fraction(0), third))]
    assert divide([1, 3], Shard(1, 2, True)) == [(1, Part(third, Fraction(1)))]
    assert [list(Part(third, Fraction(1)).strips(total)) for total in (1, 2, 6)] == [[0], [0, 1], [2, 3, 4, 5]]


@pytest.mark.parametrize("shards", [1, 2, 3, 7, 50])
def test_every_strip_is_of_one_shard(shards: int) -> None:
    sizes, strips = [5, 1, 8, 8, 3], [5, 1, 4, 16, 2]
    found = []
    for rank in range(shards):
        for number, part in divide(sizes, Shard(rank, shards)):
            found += [(number, strip) for strip in part.strips(strips[number])]
    assert found == [(number, strip) for number, total in enumerate(strips) for strip in range(total)]


def test_one_raster_by_rows() -> None:
    assert [list(part_of(Shard(rank, 3)).strips(7)) for rank in range(3)] == [[0, 1], [2, 3], [4, 5, 6]]


def test_rasters_weigh_what_they_hold(tmp_path: Path) -> None:
    """10 x 30 and 10 x 10 pixels; one that cannot be read counts as one, and others than files all the same."""
    for name, width in {"a": 30, "b": 10}.items():
        Image.fromarray(np.zeros((10, width), np.uint8)).save(tmp_path / f"{name}.tif")
    (tmp_path / "c.tif").write_text("no raster")
    jobs = [(str(tmp_path / f"{name}.tif"), tmp_path / f"{name}_map.tif") for name in "abc"]
    assert sizes_of(jobs) == [(10, 30), (10, 10), (1, 1)]
    gone = [*jobs, (str(tmp_path / "d.tif"), tmp_path / "d_map.tif")]
    assert sizes_of(gone) == [(1, 1)] * 4 and sizes_of(gone, remote=True) == [*sizes_of(jobs), (1, 1)]
    assert share_jobs(jobs, Shard()) == [(job, WHOLE) for job in jobs]
    shares = [share_jobs(jobs[:2], Shard(rank, 4)) for rank in range(4)]
    assert [[(job[1].name, part.high) for job, part in share] for share in shares] == [
        [("a_map.tif", Fraction(1, 3))], [("a_map.tif", Fraction(2, 3))], [("a_map.tif", 1)], [("b_map.tif", 1)],
    ]  # fmt: skip
