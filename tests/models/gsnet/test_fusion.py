"""Cost volumes by hand, and the fusion against its plain form."""

import pytest
import torch

from rsseg.models.gsnet import QueryGuidedFusion, cost_volume


def test_costs_are_cosines() -> None:
    features = torch.tensor([[3.0, 0.0], [4.0, 5.0]]).reshape(1, 2, 1, 2)  # (3, 4) and (0, 5)
    text = torch.tensor([[2.0, 0.0], [0.0, 0.5], [3.0, 4.0]])
    costs = cost_volume(features, text)
    assert costs.shape == (1, 3, 1, 2)
    torch.testing.assert_close(costs[0, :, 0], torch.tensor([[0.6, 0.0], [0.8, 1.0], [1.0, 0.8]]))


@pytest.mark.parametrize("classes", [1, 4])
def test_fusion_is_the_plain_one(plain, classes: int) -> None:
    torch.manual_seed(0)
    module, text = QueryGuidedFusion(16), torch.randn(classes, 8)
    clip, dino = torch.randn(2, 8, 6, 6), torch.randn(2, 8, 6, 6)
    out = module(clip, dino, text)
    assert out.shape == (2, classes, 16, 6, 6)
    torch.testing.assert_close(out.flatten(0, 1), plain.fusion(module, clip, dino, text), rtol=0, atol=1e-6)


def test_the_order_of_the_streams_counts() -> None:
    module, x = QueryGuidedFusion(4, kernel=1), torch.ones(1, 1, 1, 1)
    for value in module.parameters():
        torch.nn.init.zeros_(value)
    module.conv1.bias.data.fill_(100.0)  # zg = 1, zs = 1/2
    module.fusion_corr.weight.data[:, 0] = 2.0  # of the first of zg's channels
    expected = torch.tensor(2.0).sigmoid() + 1
    torch.testing.assert_close(module(x, x, torch.ones(1, 1)), expected.expand(1, 1, 4, 1, 1))
