"""Rates of LoveDA's release, by the facts' worked example."""

import pytest
import torch
from mmengine.registry import PARAM_SCHEDULERS

import rsseg.engine  # noqa: F401
from rsseg.engine.schedules import WarmupPoly


def _rates(schedule: WarmupPoly, optimizer: torch.optim.Optimizer, last: int) -> list[float]:
    out = []
    for _ in range(last + 1):
        out.append(optimizer.param_groups[0]["lr"])
        schedule.step()
    return out


def test_rates_of_the_release_and_after_a_resume() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    schedule = PARAM_SCHEDULERS.build(dict(type="WarmupPoly", optimizer=optimizer, by_epoch=False))
    state = schedule.state_dict()
    rates = _rates(schedule, optimizer, 9999)
    expected = {0: 0.0, 375: 0.005, 749: 0.00998667, 750: 0.00954885, 7500: 0.00535887, 9999: 0.00372108}
    assert {i: rates[i] for i in expected} == pytest.approx(expected, rel=1e-6)
    other = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    resumed = WarmupPoly(other, by_epoch=False)
    resumed.load_state_dict({**state, "last_step": 7499, "_global_step": 7500})
    resumed.step()
    assert other.param_groups[0]["lr"] == rates[7500]
    with pytest.raises(ValueError, match="0 <= warmup < total"):
        WarmupPoly(other, warmup=10, total=10)
