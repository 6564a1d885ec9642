"""Exported models with convolutions in 8-bit integers: calibrated on images, and what that costs on others."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS
from numpy.typing import NDArray

from rsseg.errors import ConfigError
from rsseg.io.pixel_settings import share_pixels
from rsseg.mapping.exported import ExportedModel, load_exported
from rsseg.mapping.model import SegmentorScorer
from rsseg.mapping.runtimes import need
from rsseg.structures.confusion import confusion_matrix, scores

__all__ = ["Loss", "quantize", "quantize_file"]

_SCORED = 100


class Loss(NamedTuple):
    """Scores on labelled images before and after; mIoU and overall accuracy in 0..1.

    Attributes:
        calibrated: Images that the ranges of values are from.
        scored: Other images, on which the scores are.
        miou: mIoU in float32 and with 8-bit integers.
        accuracy: Overall accuracy in float32 and with 8-bit integers.
        agreement: Share of pixels that both give the same class.
    """

    calibrated: int
    scored: int
    miou: tuple[float, float]
    accuracy: tuple[float, float]
    agreement: float

    def __str__(self) -> str:
        changes = ((f"{before:.4f} -> {after:.4f}", after - before) for before, after in (self.miou, self.accuracy))
        miou, accuracy = (f"{text} ({change:+.4f})" for text, change in changes)
        return (
            f"8-bit integers, images to calibrate: {self.calibrated}, other images to score: {self.scored}; "
            f"mIoU {miou}, OA {accuracy}, the same class at {100 * self.agreement:.2f} % of the pixels"
        )


def quantize(config: Config, path: Path, count: int) -> Loss:
    """Replace an exported model's ONNX file by one with 8-bit convolutions, and compare both.

    The validation images are drawn once, with seed 0: the first ``count`` calibrate, up to 100 others are scored.
    Larger images are cut to their centre, of the model's window.

    Args:
        config: The model's config, with its validation set.
        path: The ONNX file.
        count: Images to calibrate with.

    Raises:
        ConfigError: The config has no validation set, or it has not more than ``count`` images.
        FileNotFoundError: Its images are not there.
    """
    model, about = load_exported(str(path))
    dataset, order = _dataset(config, count)
    size = tuple(about["window"])
    made = path.with_name("int8.onnx")
    quantize_file(path, made, _images(dataset, order[:count], model, size))
    loss = _measure(model, load_exported(str(made))[0], dataset, order, count, size)
    os.replace(made, path)
    return loss


def quantize_file(path: Path, made: Path, images: Iterable[NDArray[Any]]) -> None:
    """Write an ONNX file with 8-bit convolutions: weights with a sign, one scale for each channel; maps without one.

    OpenVINO computes maps with a sign and a zero point in float32.

    Args:
        path: The model's file in float32.
        made: The new file.
        images: (N, bands, H, W) float32 as the model takes them: the ranges of values are from these.
    """
    quantization = need("onnxruntime.quantization")
    quiet = logging.NullHandler()  # else it would show all of its own log
    logging.getLogger().addHandler(quiet)
    quantization.quantize_static(
        str(path), str(made), _Reader(images), quant_format=quantization.QuantFormat.QDQ,
        activation_type=quantization.QuantType.QUInt8, op_types_to_quantize=["Conv"], per_channel=True,
    )  # fmt: skip
    logging.getLogger().removeHandler(quiet)


def _dataset(config: Config, count: int) -> tuple[Any, list[int]]:
    settings = (config.get("val_dataloader") or {}).get("dataset")
    if not settings:
        raise ConfigError("--int8 requires images: the config has no val_dataloader with a dataset")
    init_default_scope(config.get("default_scope") or "mmseg")
    share_pixels(config._cfg_dict)
    dataset = DATASETS.build(settings)
    if len(dataset) <= count:
        raise ConfigError(f"--int8 {count}: the config's validation set has {len(dataset)} images, and some must be "
                          "left to measure the loss on; give a smaller number")  # fmt: skip
    return dataset, np.random.default_rng(0).permutation(len(dataset)).tolist()


def _sample(dataset: Any, index: int, size: Sequence[int]) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Pixels (C, h, w) and classes (h, w) of an image, or of its centre."""
    sample = dataset[index]
    pixels, target = sample["inputs"], sample["data_samples"].gt_sem_seg.data[0]
    height, width = (min(side, own) for side, own in zip(pixels.shape[1:], size, strict=True))
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    place = (..., slice(top, top + height), slice(left, left + width))
    return pixels[place].numpy(), target[place].numpy().astype(np.uint8)


class _Reader:
    """Images in the form that the quantization reads."""

    def __init__(self, images: Iterable[NDArray[Any]]) -> None:
        self.images = iter(images)

    def get_next(self) -> Any:
        """The next image, None after the last."""
        return next(({"image": image} for image in self.images), None)


def _images(dataset: Any, order: Sequence[int], model: ExportedModel, size: Sequence[int]) -> Iterator[NDArray[Any]]:
    scorer = SegmentorScorer(model, 0)
    for index in order:
        yield scorer.prepare([_sample(dataset, index, size)[0]])["inputs"].numpy()


def _measure(
    model: ExportedModel, other: ExportedModel, dataset: Any, order: Sequence[int], count: int, size: Sequence[int]
) -> Loss:
    classes = len(model.about["classes"]["categories"])
    scorers = [SegmentorScorer(each, classes) for each in (model, other)]
    counts = [np.zeros((classes, classes), np.int64) for _ in scorers]
    same = pixels = 0
    chosen = order[count : count + _SCORED]
    for index in chosen:
        image, target = _sample(dataset, index, size)
        found = [scorer(scorer.prepare([image]))[0].argmax(0).to(torch.uint8).numpy() for scorer in scorers]
        for total, own in zip(counts, found, strict=True):
            total += confusion_matrix(own, target, classes)
        same, pixels = same + int((found[0] == found[1]).sum()), pixels + target.size
    before, after = (scores(total) for total in counts)
    miou, accuracy = ((float(before[key]), float(after[key])) for key in ("mIoU", "OA"))
    return Loss(count, len(chosen), miou, accuracy, same / pixels)
