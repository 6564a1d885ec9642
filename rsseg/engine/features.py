"""What a trained model makes of single images: mean features of its encoder, and scores of every pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from numpy.typing import NDArray

from rsseg.engine.checkpoint import load_pretrained
from rsseg.errors import ConfigError
from rsseg.io.bands import PixelSpec
from rsseg.io.hub import local_file
from rsseg.io.progress import Progress
from rsseg.io.rasters import read_image

__all__ = ["encoder_features", "features_and_scores", "load_encoder"]

Floats = NDArray[np.float64]


def load_encoder(config: Mapping[str, Any], checkpoint: Path | str, device: str = "cpu") -> torch.nn.Module:
    """The whole model of a config with the weights of a checkpoint, ready for :func:`encoder_features`.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        UserError: It does not fit the model, the config has none, or the device is not there.
    """
    if "model" not in config:
        raise ConfigError(
            "the config of the encoder has no 'model'; use the config that the checkpoint was trained with"
        )
    if not local_file(checkpoint).is_file():
        raise FileNotFoundError(f"{checkpoint}: no such checkpoint")
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_ERROR)  # OpenCV 5 warns of every GeoTIFF tag
    model: torch.nn.Module = MODELS.build(config["model"])
    load_pretrained(model, checkpoint)
    try:
        return model.to(device).eval()
    except (RuntimeError, AssertionError) as error:  # torch built without it, no such number, or no such word
        raise ConfigError(f"device {device!r} is not available: {str(error).splitlines()[0]}") from error


@torch.inference_mode()
def encoder_features(
    model: Any,
    images: Sequence[Path],
    size: int | None = None,
    spec: PixelSpec = PixelSpec(repeat_grey=True),  # noqa: B008
) -> Floats:
    """Features of the encoder's deepest (smallest) map, averaged over each image.

    Args:
        model: A segmentor with ``data_preprocessor`` and ``backbone``.
        images: N image files.
        size: Side in pixels to which images are resized first; None takes them as they are.
        spec: What is declared about the pixels of the images.

    Returns:
        (N, D) float64.

    Raises:
        ValueError: An image cannot be read.
    """
    rows, progress = [], Progress(len(images), "features")
    for path in images:
        inputs, _ = _inputs(model, path, size, spec)
        rows.append(_deepest_mean(model.backbone(inputs)))
        progress.step()
    progress.close()
    return np.array(rows)


@torch.inference_mode()
def features_and_scores(
    model: Any,
    path: Path,
    size: int | None = None,
    spec: PixelSpec = PixelSpec(repeat_grey=True),  # noqa: B008
) -> tuple[Floats, torch.Tensor]:
    """Mean features of the encoder's deepest map, and the scores of an image, from one run of the model.

    Args:
        model: A segmentor; it may slide, then features are the mean of its windows.
        path: The image.
        size: As for :func:`encoder_features`.
        spec: As for :func:`encoder_features`.

    Returns:
        (D,) float64 features; (C, H, W) float32 scores before the softmax, on the CPU.

    Raises:
        ValueError: The image cannot be read.
    """
    means: list[Floats] = []
    hook = model.backbone.register_forward_hook(lambda _, __, maps: means.append(_deepest_mean(maps)))
    try:
        inputs, meta = _inputs(model, path, size, spec)
        scores = model.inference(inputs, [meta])[0]
    finally:
        hook.remove()
    height, width = meta["img_shape"]
    return np.mean(means, axis=0), scores[:, :height, :width].float().cpu()


def _inputs(model: Any, path: Path, size: int | None, spec: PixelSpec) -> tuple[torch.Tensor, dict[str, Any]]:
    """An image as the model takes it, and its sizes."""
    pixels = read_image(path, spec, blue_first=True)[0]
    if size is not None:
        pixels = mmcv.imresize(pixels, (size, size), interpolation="area")
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    sizes = {"img_shape": pixels.shape[:2], "ori_shape": pixels.shape[:2]}
    inputs = model.data_preprocessor({"inputs": [tensor], "data_samples": [SegDataSample(metainfo=sizes)]}, False)[
        "inputs"
    ]
    return inputs, {**sizes, "pad_shape": tuple(inputs.shape[2:])}


def _deepest_mean(maps: Any) -> Floats:
    """Mean over positions of the smallest of a backbone's maps, averaged over the batch."""
    maps = [item for item in (maps if isinstance(maps, (list, tuple)) else [maps]) if item.ndim == 4]
    deepest = min(maps, key=lambda item: item.shape[-1] * item.shape[-2])
    return np.asarray(deepest.mean((0, 2, 3)).double().cpu().numpy())
