"""Methods under the stock runner: routing, several optimizers, several steps, DDP, resume, plain checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import Tensor, nn

from rsseg.io.checkpoints import load_file
from rsseg.models.adaptation import AdaptationMethod, DomainBatch, SteppedDataParallel, frozen, upsample
from rsseg.models.multihead import set_loss
from tests.models.adaptation.tiny_domains import CLASSES, bind, network, optimizers, run_config, two_ranks


@MODELS.register_module(force=True)
class ToyAdversarial(AdaptationMethod):
    """A discriminator of one layer on the output."""

    discriminators = ("critic",)

    def __init__(self) -> None:
        super().__init__()
        self.critic = nn.Conv2d(CLASSES, 1, 1)

    def losses(self, student: Any, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """The student makes the target's score 0, the critic 1."""
        own = upsample(student, student.network_logits("student", source.inputs), source.size)
        other = upsample(student, student.network_logits("student", target.inputs), target.size)
        with frozen(self.critic):
            fooled = self.critic(other.softmax(1)).square().mean()
        said = (self.critic(other.detach().softmax(1)) - 1).square().mean()
        noise = torch.rand((), generator=self.generator)
        return {"loss_source": set_loss(own, source.labels), "loss_fool": fooled * noise, "loss_critic": said}


@MODELS.register_module(force=True)
class ToySteps(AdaptationMethod):
    """Two steps: the source's, then the target's entropy."""

    steps = 2
    unclipped = frozenset({0})

    def losses(self, student: Any, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """One domain a step."""
        batch = (source, target)[step]
        logits = upsample(student, student.network_logits("student", batch.inputs), batch.size)
        if step == 0:
            return {"loss_source": set_loss(logits, source.labels)}
        return {"loss_entropy": torch.special.entr(logits.softmax(1)).sum(1).mean()}


METHODS = [dict(type=name) for name in ("SourceOnly", "ToyAdversarial", "ToySteps", "ToyPortion", "ToyChain")]
ADVERSARIAL = {"ToyAdversarial"}


def build(method: dict[str, Any]) -> tuple[Any, Any]:
    """Model and optimizers, with the weights of one seed."""
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(network(method))
    model.init_weights()
    return model, build_optim_wrapper(model, optimizers(method["type"] in ADVERSARIAL))


def take_steps(model: Any, run: Any, optimizer: Any, own: list[dict[str, Any]], folder: Path) -> None:
    """What the runner and ``AdaptationHook`` do."""
    if hasattr(model.adaptation, "bind"):
        bind(model, folder, DATASETS.build(dict(type="TwoDomains")))
    for number, batch in enumerate(own):
        if hasattr(model.adaptation, "due") and model.adaptation.due(number):
            model.adaptation.make_round(model)
        torch.manual_seed(number)  # dropout; what SeedEachIter does
        log = run(batch, optimizer)
        assert all(torch.isfinite(torch.as_tensor(value)) for value in log.values())


def batches(rank: int = 0, count: int = 3, **options: Any) -> list[dict[str, Any]]:
    """Two images of each domain a time."""
    data = DATASETS.build(dict(type="TwoDomains", **options))
    half = data.set_sizes[0]
    rows = [[(2 * i + rank) % half, (2 * i + 1) % half] for i in range(count)]
    chosen = [[data[k] for k in (*own, *(half + k for k in own))] for own in rows]
    return [{key: [one[key] for one in batch] for key in ("inputs", "data_samples")} for batch in chosen]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["type"])
def test_noise_instead_of_the_targets_labels_changes_nothing(tmp_path, method):
    states = []
    for labelled in (False, True):
        model, optimizer = build(method)
        own = batches(labelled_target=labelled)
        for sample in [sample for batch in own for sample in batch["data_samples"] if labelled]:
            if sample.dataset_name == "target":
                sample.gt_sem_seg.data = torch.randint(0, 250, sample.gt_sem_seg.data.shape)
        take_steps(model, model.train_step, optimizer, own, tmp_path)
        states.append(model.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])
    assert int(states[0]["adaptation.iteration_count"]) == 3


def _parameters(rank: int, folder: Path) -> dict[str, dict[str, np.ndarray]]:
    out = {}
    for method in METHODS:
        model, optimizer = build(method)
        wrapper = SteppedDataParallel if model.adaptation.steps > 1 else MMDistributedDataParallel
        wrapped = wrapper(model, broadcast_buffers=False)
        take_steps(model, wrapped.train_step, optimizer, batches(rank), folder / method["type"])
        out[method["type"]] = {key: value.detach().numpy() for key, value in model.named_parameters()}
    return out


def test_two_processes_keep_one_set_of_parameters(tmp_path):
    """Stock DDP over gloo; each process has its own images."""
    first, second = two_ranks(_parameters, tmp_path)
    for name, parameters in first.items():
        for key, value in parameters.items():
            assert np.array_equal(value, second[name][key]), (name, key)
        alone = build(dict(type=name))[0].state_dict()
        assert any(not np.array_equal(value, alone[key].numpy()) for key, value in parameters.items()), name


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method["type"])
def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path: Path, method):
    def run(folder: Path, iterations: int, **more: Any) -> dict[str, Any]:
        config = run_config(folder, network(method), method["type"] in ADVERSARIAL, iterations, **more)
        Runner.from_cfg(config).train()
        return load_file(folder / f"iter_{iterations}.pth")

    whole = run(tmp_path / "whole", 4)
    resumed = run(tmp_path / "resumed", 4, load_from=str(tmp_path / "whole" / "iter_2.pth"), resume=True)
    for key, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][key]), key
    assert str(whole["optimizer"]) == str(resumed["optimizer"])
    assert int(whole["state_dict"]["adaptation.iteration_count"]) == 4
