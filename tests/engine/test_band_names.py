"""Bands with names: every checkpoint keeps them with their statistics, and a test with others is refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config

from rsseg.datasets.bigearthnet.band_table import band_statistics
from rsseg.engine.pixels import KeepPixels, check_statistics


def _model(bands):
    mean, std = band_statistics(bands)
    tensors = {"mean": torch.tensor(mean).view(-1, 1, 1), "std": torch.tensor(std).view(-1, 1, 1)}
    return SimpleNamespace(data_preprocessor=SimpleNamespace(bands=tuple(bands), **tensors))


def _kept(model):
    checkpoint = {"meta": {}}
    KeepPixels().before_save_checkpoint(SimpleNamespace(cfg=Config({}), model=model), checkpoint)
    return checkpoint["meta"]["pixels"]


def test_a_checkpoint_keeps_names_and_statistics():
    kept = _kept(_model(["B08", "B01"]))
    assert kept["band_names"] == ["B08", "B01"]
    assert kept["mean"] == pytest.approx([2218.95, 340.77], abs=0.01)
    assert kept["std"] == pytest.approx([1365.46, 554.81], abs=0.01)
    check_statistics(_model(["B08", "B01"]), kept, "a.pth")


def test_other_bands_are_refused_by_name():
    with pytest.raises(ValueError, match=r"bands B02, B03, but a\.pth was trained with B08, B01"):
        check_statistics(_model(["B02", "B03"]), _kept(_model(["B08", "B01"])), "a.pth")


def test_models_whose_bands_have_no_names():
    plain = SimpleNamespace(data_preprocessor=SimpleNamespace(mean=torch.zeros(3), std=torch.ones(3)))
    assert "band_names" not in _kept(plain)
