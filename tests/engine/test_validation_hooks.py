"""Comforts of training: the validation loss, early stopping, and best checkpoints that can be resumed."""

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.hooks import EarlyStoppingHook
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from rsseg.engine import ValidationLoss


class Doubler(BaseModel):
    """A model whose loss is the mean of its input, twice, plus a number that is no loss."""

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> dict[str, torch.Tensor]:
        assert mode == "loss"
        assert not torch.is_grad_enabled()
        torch.rand(3)  # as a loss that draws points
        value = torch.stack(list(inputs)).mean()
        return {"one.loss": value, "loss_two": value, "acc": value}


def sample(name: str, label: int, value: float) -> tuple[torch.Tensor, SegDataSample]:
    data = SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 2, 2), label)), metainfo={"dataset_name": name})
    return torch.full((3, 2, 2), value), data


def run(hook: ValidationLoss, *batches: list[tuple[torch.Tensor, SegDataSample]]) -> dict[str, float]:
    runner: Any = SimpleNamespace(model=Doubler())
    hook.before_val_epoch(runner)
    for i, batch in enumerate(batches):
        pixels, samples = zip(*batch, strict=True)
        hook.after_val_iter(runner, i, {"inputs": list(pixels), "data_samples": list(samples)})
    scores: dict[str, float] = {"mIoU": 5.0}
    hook.after_val_epoch(runner, scores)
    return scores


def test_the_loss_is_the_mean_over_images_and_then_over_sets() -> None:
    hook = ValidationLoss()
    torch.manual_seed(0)
    untouched = torch.rand(1)
    torch.manual_seed(0)
    one = run(hook, [sample("a", 0, 1.0), sample("a", 1, 2.0)], [sample("a", 255, 100.0)])
    assert torch.equal(torch.rand(1), untouched)
    assert one == {"mIoU": 5.0, "val_loss": 3.0}  # (2 + 4) / 2; the image without a label is left out
    two = run(hook, [sample("a", 0, 1.0), sample("b", 0, 4.0)], [sample("a", 0, 2.0)])
    assert two == {"mIoU": 5.0, "val_loss": 5.5, "a/val_loss": 3.0, "b/val_loss": 8.0}
    assert run(hook) == {"mIoU": 5.0}


def test_images_are_padded_as_in_training_unless_the_pipeline_resized_the_image_alone() -> None:
    told: list[bool] = []

    class Listener(BaseDataPreprocessor):
        def forward(self, data: Any, training: bool = False) -> Any:
            told.append(training)
            return super().forward(data, training)

    runner: Any = SimpleNamespace(model=Doubler(data_preprocessor=Listener()))
    pixels, data = sample("a", 0, 1.0)
    for image in (pixels, torch.ones(3, 5, 4)):
        ValidationLoss().after_val_iter(runner, 0, {"inputs": [image], "data_samples": [data]})
    assert told == [True, False]


def test_validation_without_labels_is_refused() -> None:
    pixels, data = sample("a", 0, 1.0)
    del data.gt_sem_seg
    with pytest.raises(ValueError, match="loads none; add LoadLabels"):
        run(ValidationLoss(), [(pixels, data)])


def test_early_stopping_reads_the_loss_as_less_is_better() -> None:
    hook = EarlyStoppingHook("val_loss", min_delta=0.01, patience=2)
    runner: Any = SimpleNamespace(train_loop=SimpleNamespace(stop_training=False), logger=SimpleNamespace(info=len))
    stopped = []
    for loss in (1.0, 0.5, 0.499, 0.51, math.nan):
        hook.after_val_epoch(runner, {"val_loss": loss})
        stopped.append(runner.train_loop.stop_training)
    assert stopped == [False, False, False, True, True]
