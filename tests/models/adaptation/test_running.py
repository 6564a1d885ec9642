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

from rsseg.io.checkpoints import load_file
from rsseg.models.adaptation import SteppedDataParallel
from tests.models.adaptation.tiny_domains import METHODS, adapted, bind, optimizers, run_config, two_ranks


def build(method: str) -> tuple[Any, Any]:
    """Model and optimizers, with the weights of one seed."""
    init_default_scope("mmseg")
    torch.manual_seed(0)
    config, adversarial = adapted(method)
    model = MODELS.build(config)
    model.init_weights()
    model.adaptation.classes = ("low", "middle", "high")
    return model, build_optim_wrapper(model, optimizers(adversarial))


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


@pytest.mark.parametrize("method", METHODS)
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
        take_steps(model, wrapped.train_step, optimizer, batches(rank), folder / method)
        out[method] = {key: value.detach().numpy() for key, value in model.named_parameters()}
    return out


def test_two_processes_keep_one_set_of_parameters(tmp_path):
    """Stock DDP over gloo; each process has its own images."""
    first, second = two_ranks(_parameters, tmp_path)
    for name, parameters in first.items():
        for key, value in parameters.items():
            assert np.array_equal(value, second[name][key]), (name, key)
        alone = build(name)[0].state_dict()
        assert any(not np.array_equal(value, alone[key].numpy()) for key, value in parameters.items()), name


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_repeats_an_uninterrupted_one(tmp_path: Path, method):
    def run(folder: Path, iterations: int, **more: Any) -> dict[str, Any]:
        config = run_config(folder, *adapted(method), iterations, **more)
        Runner.from_cfg(config).train()
        return load_file(folder / f"iter_{iterations}.pth")

    whole = run(tmp_path / "whole", 4)
    resumed = run(tmp_path / "resumed", 4, load_from=str(tmp_path / "whole" / "iter_2.pth"), resume=True)
    for key, value in whole["state_dict"].items():
        assert torch.equal(value, resumed["state_dict"][key]), key
    assert str(whole["optimizer"]) == str(resumed["optimizer"])
    assert int(whole["state_dict"]["adaptation.iteration_count"]) == 4
