"""Regions that masks cut out: boxes and fill by hand, sizes, grids, what CLIP sees, and scores of both."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from rsseg.models.gsnet import CLIP
from rsseg.models.regions import combine_scores, cut_regions, embed_regions, grid_masks
from rsseg.models.regions.classifier import Regions
from tests.models.regions import plain

SMALL = dict(
    visual=dict(width=32, layers=3, heads=2, patch=8, grid=2), text=dict(width=32, layers=1, heads=2), embed=16
)


def test_a_box_without_what_is_outside_of_the_mask() -> None:
    """A mask of 2 x 2 pixels less one, at its own size: nothing is resampled."""
    image = torch.arange(1.0, 1 + 3 * 6 * 8).reshape(3, 6, 8)
    masks = torch.full((3, 6, 8), 0.5)
    masks[0, 2, 3] = masks[0, 3, 4] = masks[0, 2, 4] = 0.51
    masks[2, 5, 7] = 1.0
    regions = cut_regions(image, masks, 0.5, 2)
    assert regions.valid.tolist() == [True, False, True]  # 0.5 does not exceed 0.5
    assert regions.masks.tolist() == [[[1, 1], [0, 1]], [[1, 1], [1, 1]]]
    torch.testing.assert_close(regions.images[0, 0], torch.tensor([[20.0, 21.0], [0.0, 29.0]]))
    torch.testing.assert_close(regions.images[1], image[:, 5:, 7:].expand(3, 2, 2))


def test_regions_are_bicubic_and_masks_nearest() -> None:
    """Twice the side: new pixels lie a quarter of a pixel from old ones, with Keys' weights for a = -0.75."""

    def weight(distance: float, a: float = -0.75) -> float:
        x = abs(distance)
        if x <= 1:
            return (a + 2) * x**3 - (a + 3) * x**2 + 1
        return a * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0

    row = torch.tensor([3.0, -1.0, 4.0, 1.0, -5.0, 9.0])
    regions = cut_regions(row.expand(3, 6, 6), torch.ones(1, 6, 6), 0.5, 12)
    for i in range(12):
        place = (i + 0.5) / 2 - 0.5
        old = math.floor(place)
        expected = sum(weight(place - j) * float(row[min(max(j, 0), 5)]) for j in range(old - 1, old + 3))
        assert math.isclose(float(regions.images[0, 0, 5, i]), expected, abs_tol=1e-5)
    mask = torch.zeros(1, 3, 3)
    mask[0, 0, 0] = mask[0, 2, 2] = 1
    halves = cut_regions(torch.zeros(3, 3, 3), mask, 0.5, 4).masks[0]
    assert halves.tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]]  # places 0, 0, 1, 2


def test_what_is_outside_has_the_mean_colour() -> None:
    torch.manual_seed(0)
    image, mask = 255 * torch.rand(3, 20, 30), torch.rand(20, 30) > 0.9
    regions = cut_regions((image - plain.MEAN) / plain.STD, mask[None].float(), 0.5, 16)
    expected, own = plain.region(image, mask, 16)
    torch.testing.assert_close(regions.images[0], expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(regions.masks[0], own)


def test_no_region_at_all() -> None:
    regions = cut_regions(torch.zeros(3, 5, 5), torch.zeros(4, 5, 5), 0.5, 16)
    assert regions.images.shape == (0, 3, 16, 16) and regions.masks.shape == (0, 16, 16)
    assert not regions.valid.any()
    assert embed_regions(CLIP(**SMALL, resolution=16, taps=()), regions).shape == (0, 16)


def test_a_patch_is_inside_if_any_pixel_is() -> None:
    masks = torch.zeros(2, 16, 16)
    masks[0, 7, 8] = 1
    masks[1, 8:] = 1
    assert grid_masks(masks, 8).tolist() == [[False, True, False, False], [False, False, True, True]]
    random = (torch.rand(5, 16, 16) > 0.97).float()
    expected = torch.stack([plain.patches(mask, 4) for mask in random])
    assert torch.equal(grid_masks(random, 4).float(), expected)


def test_clip_sees_all_regions() -> None:
    """More of them than it sees at once, with and without a change of what is outside."""
    torch.manual_seed(0)
    clip = CLIP(**SMALL, resolution=16, taps=()).eval()
    regions = Regions(torch.randn(40, 3, 16, 16), (torch.rand(40, 16, 16) > 0.97).float(), torch.ones(40).bool())
    tokens = torch.randn(40, 4, 32)
    seen = set()

    def change(depth: int, places: torch.Tensor, inside: torch.Tensor, rows: slice) -> torch.Tensor:
        seen.add(depth)
        assert torch.equal(inside, grid_masks(regions.masks[rows], 8))
        return torch.where(inside[..., None], places, tokens[rows]) if depth == 2 else places

    with torch.no_grad():
        out = embed_regions(clip, regions)
        changed = embed_regions(clip, regions, change)
        for i in (0, 31, 32, 39):
            *_, last = clip.visual.trace(regions.images[i : i + 1])
            torch.testing.assert_close(out[i], functional.normalize(clip.visual.whole(last), dim=-1)[0])
            inside = grid_masks(regions.masks[i : i + 1], 8)[..., None]

            def one(depth: int, places: torch.Tensor, inside: torch.Tensor = inside, i: int = i) -> torch.Tensor:
                return torch.where(inside, places, tokens[i]) if depth == 2 else places

            *_, last = clip.visual.trace(regions.images[i : i + 1], one)
            torch.testing.assert_close(changed[i], functional.normalize(clip.visual.whole(last), dim=-1)[0])
    assert seen == {0, 1, 2, 3}
    torch.testing.assert_close(out.norm(dim=-1), torch.ones(40))


@pytest.mark.parametrize("release_defects", [False, True])
def test_scores_are_a_weighted_geometric_mean(release_defects: bool) -> None:
    """Two classes and "none"; the second query's mask is empty."""
    queries = torch.tensor([[0.5, 0.25, 0.25], [0.1, 0.2, 0.7]]).log()
    regions = torch.tensor([[0.125, 0.8, 0.075]]).log()
    out = combine_scores(queries, regions, torch.tensor([True, False]), 0.7, release_defects)
    expected = [[0.5**0.3 * 0.125**0.7, 0.25**0.3 * 0.8**0.7], [0.1, 0.2]]
    if release_defects:
        expected[1] = [0.1**0.3, 0.2**0.3]  # above the first class of the first query, whose region CLIP has seen
    torch.testing.assert_close(out, torch.tensor(expected))
