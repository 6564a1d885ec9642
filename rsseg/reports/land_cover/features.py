"""Mean encoder features of images and of regions, and their projection to the plane.

Source: OpenEarthMap paper, section 2.1: for each region the average of the features of a trained encoder,
projected by t-SNE.
"""

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

from rsseg.datasets.openearthmap.groups import Group
from rsseg.engine.checkpoint import load_pretrained
from rsseg.errors import ConfigError, MissingPackageError
from rsseg.io.bands import PixelSpec
from rsseg.io.hub import local_file
from rsseg.io.progress import Progress
from rsseg.io.rasters import read_image

__all__ = ["encoder_features", "load_encoder", "project_features", "region_means"]

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
        pixels = read_image(path, spec, blue_first=True)[0]
        if size is not None:
            pixels = mmcv.imresize(pixels, (size, size), interpolation="area")
        tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
        sample = SegDataSample(metainfo={"img_shape": pixels.shape[:2], "ori_shape": pixels.shape[:2]})
        inputs = model.data_preprocessor({"inputs": [tensor], "data_samples": [sample]}, False)["inputs"]
        maps = model.backbone(inputs)
        maps = [item for item in (maps if isinstance(maps, (list, tuple)) else [maps]) if item.ndim == 4]
        deepest = min(maps, key=lambda item: item.shape[-1] * item.shape[-2])
        rows.append(deepest.mean((2, 3))[0].double().cpu().numpy())
        progress.step()
    progress.close()
    return np.array(rows)


def region_means(features: Floats, groups: Sequence[Group]) -> tuple[list[Group], Floats]:
    """Regions and the mean (G, D) of their images' features (N, D)."""
    regions = [group for group in groups if group.kind == "region"]
    return regions, np.array([features[group.rows].mean(0) for group in regions])


def project_features(features: Floats) -> Floats:
    """Project feature vectors to the plane by scikit-learn's t-SNE, so that similar ones lie close together.

    Args:
        features: (N, D), N >= 4. The perplexity is 30, or (N - 1) / 3 where that is less.

    Returns:
        (N, 2) float64, the same for the same input.

    Raises:
        MissingPackageError: scikit-learn is not installed.
        ConfigError: There are fewer than 4 vectors, or a value is not finite.
    """
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise MissingPackageError('t-SNE needs scikit-learn: pip install "rsseg[optional]"') from error
    count = len(features)
    if count < 4 or not np.isfinite(features).all():
        raise ConfigError(f"t-SNE needs at least 4 vectors of finite features; it was given an array {features.shape}")
    spread = min(features.shape) > 1 and bool(np.ptp(features, axis=0).any())
    model = TSNE(
        perplexity=min(30.0, (count - 1) / 3),
        init="pca" if spread else "random",  # principal components of equal vectors are undefined
        method="exact",  # OpenEarthMap has 97 regions; the approximation depends on the number of threads
        random_state=0,
    )
    return np.asarray(model.fit_transform(features), np.float64)
