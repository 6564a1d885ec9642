"""Deformable attention: where it samples, what it sums, how it starts."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from rsseg.models.deformable import DeformableAttention, pixel_centres, sample_levels


def test_pixel_centres_by_hand():
    expected = [[0.25, 0.5], [0.75, 0.5], [0.5, 0.25], [0.5, 0.75]]
    assert pixel_centres([(1, 2), (2, 1)]).tolist() == expected


def test_samples_are_pixels_their_means_and_zero_outside():
    values = torch.tensor([1.0, 2, 3, 4, 5, 6, 100]).view(1, 7, 1, 1)  # a map of 2 x 3 and one of 1 x 1
    x = torch.tensor([0.5, 2.5, 1.0, -0.5]) / 3  # pixel (0, 0), (1, 2), between two of row 1, a pixel left of row 0
    y = torch.tensor([0.25, 0.75, 0.75, 0.25])
    places = torch.stack([torch.stack([x, y], -1), torch.full((4, 2), 0.5)]).view(1, 1, 1, 2, 4, 2)
    weights = torch.tensor([[1.0, 10, 100, 1000], [0, 0, 0, 0.5]]).view(1, 1, 1, 2, 4)
    out = sample_levels(values, [(2, 3), (1, 1)], places, weights)
    assert out.shape == (1, 1, 1)
    torch.testing.assert_close(out.item(), 1.0 * 1 + 10 * 6 + 100 * 4.5 + 1000 * 0 + 0.5 * 100)


def test_each_image_query_and_head_has_its_own_points():
    """Every sample is a pixel's centre, so that the sum can be made by indexing."""
    torch.manual_seed(0)
    n, queries, heads, points, channels = 2, 3, 2, 2, 4
    sizes = [(4, 6), (2, 3)]
    values = torch.randn(n, 30, heads, channels)
    column = torch.stack([torch.randint(w, (n, queries, heads, points)) for _, w in sizes], 3)
    row = torch.stack([torch.randint(h, (n, queries, heads, points)) for h, _ in sizes], 3)
    size = torch.tensor([(w, h) for h, w in sizes])[:, None]
    places = (torch.stack([column, row], -1) + 0.5) / size
    weights = torch.rand(n, queries, heads, 2, points)
    expected = torch.zeros(n, queries, heads, channels)
    for index in torch.cartesian_prod(*(torch.arange(s) for s in weights.shape)).tolist():
        i, q, h, level, _ = index
        key = 24 * level + row[tuple(index)] * sizes[level][1] + column[tuple(index)]
        expected[i, q, h] += weights[tuple(index)] * values[i, key, h]
    torch.testing.assert_close(sample_levels(values, sizes, places, weights), expected.flatten(2))


def test_the_start_looks_around():
    layer = DeformableAttention(8, heads=4, levels=1, points=2)
    assert not layer.sampling_offsets.weight.any()
    offsets = layer.sampling_offsets.bias.view(4, 2, 2)
    expected = [[[1.0, 0], [2, 0]], [[0, 1], [0, 2]], [[-1, 0], [-2, 0]], [[0, -1], [0, -2]]]
    torch.testing.assert_close(offsets, torch.tensor(expected), atol=1e-6, rtol=0)


def test_offsets_are_pixels_of_each_map():
    """One head one pixel to the right in both maps, with equal weights."""
    layer = DeformableAttention(1, heads=1, levels=2, points=1)
    with torch.no_grad():
        layer.sampling_offsets.bias.copy_(torch.tensor([1.0, 0, 1, 0]))
        for part in (layer.value_proj, layer.output_proj):
            part.weight.fill_(1.0)
    values = torch.tensor([1.0, 2, 4, 8, 16, 32]).view(1, 6, 1)  # 1 x 4 and 1 x 2
    places = torch.tensor([[0.375, 0.5]])  # the second of four pixels; between the two
    out = layer(torch.zeros(1, 1, 1), places, values, [(1, 4), (1, 2)])
    torch.testing.assert_close(out.item(), (4 + (0.75 * 32 + 0.25 * 0)) / 2)


def test_autocast_keeps_coordinates_exact():
    torch.manual_seed(0)
    layer = DeformableAttention(16, heads=2, levels=1)
    queries, values = torch.randn(1, 400, 16), torch.randn(1, 400, 16)
    places = pixel_centres([(1, 400)])
    with torch.no_grad():
        expected = layer(queries, places, values, [(1, 400)])
        with torch.autocast("cpu", torch.bfloat16):
            out = layer(queries, places, values, [(1, 400)])
    assert (out.float() - expected).abs().max() < 0.03 * expected.abs().max()


def test_everything_gets_a_gradient():
    torch.manual_seed(0)
    layer = DeformableAttention(8, heads=2, levels=2)
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.3)
    queries = torch.randn(2, 5, 8, requires_grad=True)
    values = torch.randn(2, 15, 8, requires_grad=True)
    layer(queries, torch.rand(5, 2), values, [(3, 4), (1, 3)]).square().sum().backward()
    assert all(x.grad is not None and x.grad.any() for x in (queries, values, *layer.parameters()))


def test_heads_must_divide_the_values():
    with pytest.raises(ValueError, match="channels must be divisible by 3 heads"):
        DeformableAttention(16, heads=3, levels=1, value_ratio=0.5)
