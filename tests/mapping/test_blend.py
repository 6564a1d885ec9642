"""Sums of windows: the same as on the whole raster, wherever a run begins."""

import numpy as np
import pytest
import torch

from rsseg.mapping import BLENDS, Grid
from rsseg.mapping.blend import Blender, argmax_classes

GRID = Grid((37, 29), (12, 10), (5, 7))


def scores_of(row, column):
    return torch.from_numpy(np.random.default_rng([row, column]).normal(size=(4, 12, 10)).astype(np.float32))


def whole(grid, blend):
    """Weighted mean on the whole raster, window after window."""
    total, count = torch.zeros(4, *grid.size), torch.zeros(grid.size)
    ys, xs = (BLENDS[blend](s, e, n) for s, e, n in zip((grid.ys, grid.xs), grid.extent, grid.size, strict=True))
    for row, y in enumerate(grid.ys):
        for column, x in enumerate(grid.xs):
            weight = torch.from_numpy(ys[row][:, None] * xs[column])
            total[:, y : y + 12, x : x + 10] += scores_of(row, column) * weight
            count[y : y + 12, x : x + 10] += weight
    return total / count


def blended(grid, blend, folder, first=0):
    out = torch.full((4, *grid.size), torch.nan)
    blender = Blender(grid, blend, 4, torch.device("cpu"), folder)
    for row in range(first, len(grid.ys)):
        blender.begin()
        for column in range(len(grid.xs)):
            block = blender.add(row, column, scores_of(row, column), carried=row > first)
            (y1, y2), (x1, x2) = grid.strip(row), grid.block(column)
            out[:, y1:y2, x1:x2] = blender.average(row, column, block)
            blender.shift(column)
    blender.close()
    return out


@pytest.mark.parametrize("blend", BLENDS)
def test_blocks_are_those_of_the_whole_raster(blend, tmp_path):
    torch.testing.assert_close(blended(GRID, blend, tmp_path), whole(GRID, blend), rtol=1e-5, atol=1e-6)
    assert not list(tmp_path.iterdir())


def test_mean_is_bit_by_bit_that_of_adding_in_order(tmp_path):
    assert torch.equal(blended(GRID, "mean", tmp_path), whole(GRID, "mean"))


@pytest.mark.parametrize("blend", BLENDS)
@pytest.mark.parametrize("strip", [1, 3, 4])
def test_a_run_may_begin_at_any_strip(blend, strip, tmp_path):
    first = GRID.first_row(strip)
    assert first < strip
    all_of_it, part = blended(GRID, blend, tmp_path), blended(GRID, blend, tmp_path, first)
    begin = GRID.strip(strip)[0]
    assert torch.equal(part[:, begin:], all_of_it[:, begin:])


def test_a_full_disk_is_an_error_that_names_the_folder(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.pwrite", full)
    with pytest.raises(OSError, match=f"cannot write into {tmp_path}: No space left"):
        blended(GRID, "mean", tmp_path)


def test_the_largest_is_that_of_argmax_and_the_first_of_equals():
    scores = torch.randint(-3, 4, (9, 150, 7), generator=torch.Generator().manual_seed(0)).float()
    assert torch.equal(argmax_classes(scores).long(), scores.argmax(0))
    assert argmax_classes(torch.zeros(5, 2, 2)).tolist() == [[0, 0], [0, 0]]
