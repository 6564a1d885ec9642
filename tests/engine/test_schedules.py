"""Rates of LoveDA's release, by the facts' worked example, and rates and decays of DAFormer's."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmseg.registry import MODELS

import rsseg.engine
import rsseg.models  # noqa: F401
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


SCHEDULE = Config.fromfile(Path(__file__).parents[2] / "configs/_base_/schedules/adapt_40k.py")


def test_rates_of_daformer() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=6e-5)
    schedules = [PARAM_SCHEDULERS.build(dict(**own, optimizer=optimizer)) for own in SCHEDULE.param_scheduler]
    rates = []
    for _ in range(40000):
        rates.append(optimizer.param_groups[0]["lr"])
        for schedule in schedules:
            schedule.step()
    expected = {0: 6e-11, 750: 6e-5 * 0.98125 * (1 - 0.5 * (1 - 1e-6)), 1500: 6e-5 * 0.9625, 20000: 3e-5, 39999: 1.5e-9}
    assert {i: rates[i] for i in expected} == pytest.approx(expected, rel=1e-6)


@pytest.mark.usefixtures("mmseg_scope")
def test_daformers_groups_of_parameters() -> None:
    """The encoder's normalisations have no decay; the head has ten times the rate, and decay also in its own."""
    encoder = dict(type="MixVisionTransformer", embed_dims=8, num_layers=[1] * 4, num_heads=[1, 2, 5, 8])
    head = dict(type="DAFormerHead", num_classes=3, in_channels=[8, 16, 40, 64], channels=8)
    model = MODELS.build(dict(type="Segmentor", backbone=encoder, decode_head=head))
    built = build_optim_wrapper(model, SCHEDULE.optim_wrapper).optimizer
    groups = {id(group["params"][0]): group for group in built.param_groups}
    for owner, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            group, own = groups[id(parameter)], owner.startswith("decode_head")
            assert group["lr"] == pytest.approx(6e-4 if own else 6e-5), (owner, name)
            assert group["weight_decay"] == (0 if isinstance(module, torch.nn.LayerNorm) else 0.01), (owner, name)
