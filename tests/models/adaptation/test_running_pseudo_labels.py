"""Rounds of pseudo labels: positions, processes that share the images, kills, folders that are no longer needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS, init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS

from rsseg.engine.adaptation import needed_rounds
from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file
from rsseg.io.labels import read_labels
from rsseg.models.adaptation.pseudo_labels import TargetImages, labels_at
from tests.models.adaptation.tiny_domains import bind, network, run_config, two_ranks


def test_a_crop_finds_its_labels_by_position():
    labels = np.array([[1, 2, 3], [4, 5, 6]], np.uint8)
    # the right column turned upside down, a pixel of padding, the first pixel
    positions = np.array([[256 + 5, 256 + 2], [255, 256]], np.int32)
    assert labels_at(labels, positions).tolist() == [[6, 3], [255, 1]]
    with pytest.raises(DataError, match="no pixel number 6"):
        labels_at(labels, np.array([[256 + 6]]))


def test_rounds_that_a_checkpoint_still_reads_stay():
    # the checkpoint of iteration 4 has seen the round made before iteration 3, not that before iteration 4
    assert needed_rounds([1, 3, 4, 6], [4]) == {3, 6}
    assert needed_rounds([1, 3, 4, 6], []) == {6}
    assert needed_rounds([5], [2]) == {5}


def _model(method: str) -> Any:
    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(network(dict(type=method)))
    model.init_weights()
    return model


def _round(method: str, folder: Path) -> list[float]:
    model = _model(method)
    bind(model, folder, DATASETS.build(dict(type="TwoDomains", count=5)))
    model.adaptation.iteration = 7
    model.adaptation.make_round(model)
    assert model.training and int(model.adaptation.round) == 7
    return [*model.adaptation.thresholds.tolist(), *model.adaptation.kept_shares.tolist()]


def _rounds(rank: int, folder: Path) -> dict[str, list[float]]:
    return {method: _round(method, folder / method) for method in ("ToyPortion", "ToyChain")}


def test_two_processes_make_the_round_of_one(tmp_path):
    found = two_ranks(_rounds, tmp_path / "two")
    for method in ("ToyPortion", "ToyChain"):
        alone = _round(method, tmp_path / "one" / method)
        assert found[0][method] == found[1][method] == pytest.approx(alone, rel=1e-12)
        files = sorted((tmp_path / "one" / method / "iter_7").iterdir())
        assert [file.name for file in files] == [f"{i}.png" for i in range(5)]
        for file in files:
            labels = read_labels(file)
            assert np.array_equal(labels, read_labels(tmp_path / "two" / method / "iter_7" / file.name))
            assert set(np.unique(labels)) <= {0, 1, 2, 255} and labels.shape == (32, 32)
        every = np.stack([read_labels(file) for file in files])
        assert (every != 255).mean() > 0 and (method == "ToyChain" or (every == 255).any())


def _run(folder: Path, **more: Any) -> dict[str, Any]:
    checkpoint = dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1, max_keep_ckpts=2))
    config = run_config(folder, network(dict(type="ToyPortion")), default_hooks=checkpoint, iterations=6, **more)
    Runner.from_cfg(config).train()
    return load_file(folder / "iter_6.pth")["state_dict"]


def test_killed_in_the_middle_of_a_round_and_resumed(tmp_path, monkeypatch):
    whole = _run(tmp_path / "whole")
    assert sorted(path.name for path in (tmp_path / "whole" / "pseudo_labels").iterdir()) == ["iter_2", "iter_4"]
    write = TargetImages.write
    left = iter(range(8))  # six of the round before iteration 1, two of that before iteration 2

    def killed(self: TargetImages, *args: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        write(self, *args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(TargetImages, "write", killed)
        _run(tmp_path / "killed")
    assert len(list((tmp_path / "killed" / "pseudo_labels" / "iter_2").iterdir())) == 2
    resumed = _run(tmp_path / "killed", load_from=str(tmp_path / "killed" / "iter_2.pth"), resume=True)
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())


def test_a_round_that_is_gone_is_named(tmp_path):
    model = _model("ToyPortion")
    data = DATASETS.build(dict(type="TwoDomains"))
    bind(model, tmp_path, data)
    model.adaptation.iteration, model.adaptation.round[...] = 3, 2
    batch = model.data_preprocessor({key: [data[i][key] for i in (0, 1, 6, 7)] for key in data[0]}, True)
    with pytest.raises(DataError, match=r"iter_2/0\.png: no such pseudo label.*iteration 2 or earlier"):
        model.loss(**batch)
