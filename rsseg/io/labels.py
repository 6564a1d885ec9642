"""Label files: one class value per pixel, exactly as stored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsseg.errors import DataError

__all__ = ["read_labels"]


def read_labels(path: str | Path) -> NDArray[np.uint8]:
    """Values (H, W) uint8 of a label file, as they are stored; palette PNGs keep their indices.

    Raises:
        FileNotFoundError: The label file is absent or unreadable.
        ValueError: It is not single-channel uint8.
    """
    if Path(path).suffix.lower() == ".png":  # OpenCV would expand a palette to colours
        with Image.open(path) as image:
            labels = np.asarray(image)
    else:
        read: Any = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if read is None:
            raise FileNotFoundError(f"{path}: no readable label file")
        labels = read
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise DataError(f"{path}: labels must be one uint8 channel, found {labels.dtype} of shape {labels.shape}")
    return labels
