"""A small OpenEarthMap in the release's layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def write_image() -> Callable[..., None]:
    """``write_image(root, "aachen_1", value, labelled, image)``: 4 x 6 pixels, all of one label value or an array."""

    def write(root: Path, name: str, value: object = 8, labelled: bool = True, image: bool = True) -> None:
        labels = np.broadcast_to(np.array(value, np.uint8), (4, 6))
        for kind, pixels, wanted in (
            ("images", np.zeros((4, 6, 3), np.uint8), image),
            ("labels", np.ascontiguousarray(labels), labelled),
        ):
            folder = root / name.rpartition("_")[0] / kind
            folder.mkdir(parents=True, exist_ok=True)
            if wanted:
                cv2.imwrite(str(folder / f"{name}.tif"), pixels)

    return write
