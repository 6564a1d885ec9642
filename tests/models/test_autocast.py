"""Autocast is switched off, also where there is none."""

import torch

from rsseg.models.autocast import without_autocast


def test_products_keep_the_precision_of_their_inputs() -> None:
    x = torch.ones(2, 2)
    with torch.autocast("cpu", torch.bfloat16):
        assert (x @ x).dtype == torch.bfloat16
        with without_autocast(x.device):
            assert (x @ x).dtype == torch.float32
    with without_autocast(torch.device("meta")):
        assert (x.to("meta") @ x.to("meta")).dtype == torch.float32
