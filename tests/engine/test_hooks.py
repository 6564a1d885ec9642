"""Hooks that change nothing but how a training runs."""

from types import SimpleNamespace
from typing import Any

import torch

from rsseg.engine import ChannelsLast


def test_channels_last_changes_the_layout_and_no_value() -> None:
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    image = torch.rand(2, 3, 8, 8)
    before, weight = model(image), model[0].weight
    values, runner = weight.clone(), SimpleNamespace(model=model)
    ChannelsLast().before_train(runner)  # type: ignore[arg-type]
    after: Any = model(image)
    assert model[0].weight is weight and torch.equal(weight, values), "the optimizer has it already"
    assert weight.is_contiguous(memory_format=torch.channels_last)
    assert after.is_contiguous(memory_format=torch.channels_last) and torch.allclose(before, after, atol=1e-4)


def test_freed_memory_is_kept_or_left_as_it_is() -> None:
    from rsseg.engine import KeepFreedMemory

    hook = KeepFreedMemory()
    hook.before_train(None)
    assert float(torch.ones(3_000_000).sum()) == 3_000_000
