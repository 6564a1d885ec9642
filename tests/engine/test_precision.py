"""How a forward pass is computed: what is chosen, what is refused, and that scores stay float32."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from rsseg.engine import Precision, UsePrecision, choose_precision, precision


class Convolutions(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3)

    def forward(self, images: torch.Tensor, mode: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return self.conv(images), [self.conv(images.flip(3))]


@pytest.mark.parametrize("text", ["exact", "medium", "medium+channels_last", "channels_last+bf16"])
def test_a_precision_is_written_and_read(text: str) -> None:
    assert str(Precision.parse(text)) == text


def test_an_unknown_precision_names_the_known() -> None:
    with pytest.raises(ValueError, match="unknown precision 'fp8'; expected exact, or one or more of: medium, chann"):
        Precision.parse("medium+fp8")


def test_matrix_products_get_their_precision_back() -> None:
    before = torch.get_float32_matmul_precision()
    with pytest.raises(ZeroDivisionError), Precision(medium=True).computing(torch.device("cpu")):
        assert torch.get_float32_matmul_precision() == "medium"
        1 / 0  # noqa: B018
    assert torch.get_float32_matmul_precision() == before


@pytest.mark.parametrize(
    ("difference", "gain", "expected"), [(1e-6, 1.5, "medium"), (1e-6, 1.05, "exact"), (2e-3, 3.0, "exact")]
)
def test_what_is_faster_and_close_is_chosen_once(
    difference: float, gain: float, expected: str, monkeypatch: pytest.MonkeyPatch, caplog: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    model, calls = nn.Linear(1000, 1001), []
    test = precision._Test("medium", difference, gain)
    monkeypatch.setattr(precision, "_test_products", lambda own: calls.append(own) or test)
    with caplog.at_level(logging.INFO, "rsseg"):
        assert str(choose_precision("auto", model)) == expected
    assert f"precision: {expected} (auto: medium is off by {difference:.0e} and {gain:.2f}" in caplog.text
    assert str(choose_precision("auto", nn.Linear(1000, 1001))) == expected and calls == [model], "tested once"
    choose_precision("auto", nn.Linear(1000, 1002))
    assert len(calls) == 2, "another model"
    assert str(choose_precision("exact", model)) == "exact"
    assert str(choose_precision("bf16", model)) == "bf16"


def test_what_cannot_be_remembered_is_exact(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "rsseg").write_text("a file, no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert choose_precision("auto", nn.Linear(1000, 1001)) == Precision()


def test_small_models_are_exact_and_convolutions_in_bfloat16_have_channels_last() -> None:
    assert choose_precision("auto", Convolutions()) == Precision()
    assert str(choose_precision("bf16", Convolutions())) == "channels_last+bf16"


def test_the_tests_measure_differences_and_change_nothing() -> None:
    model = Convolutions()
    found = precision._test_layout(model)
    assert found.name == "channels_last" and found.difference < 1e-5 and found.gain > 0
    assert model.conv.weight.is_contiguous() and not model.conv.weight.is_inference()
    found = precision._test_products(nn.Sequential(nn.Linear(8, 16), nn.Linear(16, 8)))
    assert found.name == "medium" and found.difference < 1e-2
    first, second = [torch.tensor([1.0, -4.0])], [torch.tensor([1.0, -4.5])]
    assert precision._difference(first, second) == 0.125
    assert precision._difference([], []) == float("inf"), "what was not compared is not close"
    assert [own.tolist() for own in precision._tensors({"head": (first[0], second)})] == [[1, -4], [1, -4.5]]


def test_scores_of_a_test_in_bfloat16_are_float32() -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> list[SegDataSample]:
            scores = self.layer(x)
            seen.append(scores.dtype)
            return [SegDataSample(seg_logits=PixelData(data=scores[None]), scores=scores)]

    seen: list[torch.dtype] = []
    model = Model()
    runner: Any = SimpleNamespace(model=model)
    hook = UsePrecision("bf16")
    hook.before_test(runner)
    sample = model(torch.ones(4, 4))[0]
    hook.after_test(runner)
    assert (sample.seg_logits.data.dtype, sample.scores.dtype) == (torch.float32, torch.float32)
    model(torch.ones(4, 4))
    assert seen == [torch.bfloat16, torch.float32]


def test_the_test_of_a_model_in_training_changes_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Convolutions().train()
    model.norm, model.frozen = nn.BatchNorm2d(4), nn.BatchNorm2d(4).eval()
    forward = model.forward
    monkeypatch.setattr(model, "forward", lambda x, mode: [model.frozen(model.norm(forward(x, mode)[0]))])
    before = {key: value.clone() for key, value in model.state_dict().items()}
    precision._tested(model, convolutional=True)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert (model.training, model.norm.training, model.frozen.training) == (True, True, False)
