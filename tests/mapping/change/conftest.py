"""Maps of rsseg, and the change between two of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio

from rsseg.mapping.change import ChangeOptions, Transitions, compare_maps
from tests.mapping.change.small_maps import COLOURS, METRE, NAMES, Write


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """``write("a.tif", labels)``: a map of rsseg with one metre pixels, or a raster without class names."""

    def make(name: str, labels: np.ndarray, names: tuple[str, ...] | None = NAMES, mask: Any = None, **to: Any) -> str:
        profile = {"crs": "EPSG:32633", "transform": METRE, "nodata": 255, **to}
        height, width = labels.shape
        with rasterio.open(tmp_path / name, "w", driver="GTiff", count=1, height=height, width=width,
                           dtype=labels.dtype, **profile) as file:  # fmt: skip
            file.write(labels, 1)
            if names is not None:
                file.write_colormap(1, {i: (*COLOURS[i % 3], 255) for i in range(len(names))})
                file.update_tags(1, **{f"class_{i}": one for i, one in enumerate(names)})
            if mask is not None:
                file.write_mask(mask)
        return str(tmp_path / name)

    return make


@pytest.fixture
def compare(write: Write, tmp_path: Path) -> Callable[..., Transitions]:
    """``compare(before, after, after's profile, options)``: the change between two arrays."""

    def run(before: np.ndarray, after: np.ndarray, where: Any = None, first: Any = None, **options: Any) -> Transitions:
        paths = write("before.tif", before, **(first or {})), write("after.tif", after, **(where or {}))
        return compare_maps(*paths, tmp_path / "out", ChangeOptions(**options))

    return run
