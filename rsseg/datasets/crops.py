"""Crops of the images in folders, cut while they are read: for pre-training without labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import numpy as np
from mmengine.dataset import Compose
from mmengine.registry import DATASETS
from torch.utils.data import Dataset

from rsseg.datasets.sampling import SeededIndex, seed_all
from rsseg.errors import ConfigError, DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.listing import find_files, group_by_stem
from rsseg.io.names import match_names, read_names
from rsseg.io.rasters import Raster, image_size
from rsseg.structures.windows import tile_windows

__all__ = ["CropDataset"]

_THREADS = 16


@DATASETS.register_module()
class CropDataset(Dataset):
    """Square crops of all images in some folders; the images stay as they are and where they are.

    Each image gives the windows of :func:`rsseg.structures.windows.tile_windows`; a side shorter than the crop gives
    one window that ends at the border.  Of a raster only the window is read, a picture (PNG, JPEG, BMP) is decoded for
    each crop.  All images' headers are read at the start.

    It is registered with mmengine itself, so that configs of mmseg and of mmpretrain find it.

    Args:
        folders: Folders, searched with all below; each a path, or ``dict(images=path, names=file)`` with a list of the
            stems to take, one a line, such as the ``train.txt`` of a converted set.
        crop: Side of the crops in pixels.
        stride: Distance of their left and upper borders in pixels.
        pipeline: Transforms; they get ``img`` (H, W, 3) uint8 BGR (or as declared), ``img_path``, ``img_shape``,
            ``ori_shape`` (those of the crop) and ``window`` (x1, y1, x2, y2).
        bands: As in :class:`rsseg.io.bands.PixelSpec`, for all images.
        value_range: As there.
        repeat_grey: As there.

    Attributes:
        metainfo: Empty, as there are no classes.

    Raises:
        FileNotFoundError: A folder or list is missing, has no image, or names one that is not there.
        UserError: The stride is not from 1 to the crop, or a listed stem stands for several images.
        UnreadableFileError: The header of an image is broken.

    Source: SAMRS paper, appendix A.4 (384 with a stride of 300); its 88,685 training images give exactly the 609,707
    crops that it counts.
    """

    def __init__(
        self,
        folders: Sequence[str | Mapping[str, str]],
        crop: int = 384,
        stride: int = 300,
        pipeline: Sequence[Any] = (),
        bands: Sequence[int] | None = None,
        value_range: tuple[float, float] | Literal["raw"] | None = None,
        repeat_grey: bool = False,
    ) -> None:
        if not 0 < stride <= crop:
            raise ConfigError(f"stride={stride}: expected 1 to crop={crop}, since a larger stride skips pixels")
        self.paths = [path for folder in folders for path in _find(folder)]
        with ThreadPoolExecutor(_THREADS) as pool:
            self.sizes = list(pool.map(image_size, self.paths))
        self.windows = {size: tile_windows(size, crop, crop - stride) for size in set(self.sizes)}
        self.ends = np.cumsum([len(self.windows[size]) for size in self.sizes])
        self.spec = PixelSpec(None if bands is None else tuple(bands), value_range, repeat_grey)
        self.pipeline = Compose(list(pipeline))
        self.metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return int(self.ends[-1]) if len(self.ends) else 0

    def place(self, index: int) -> tuple[Path, tuple[int, int, int, int]]:
        """Image and window (x1, y1, x2, y2) of crop ``index``, 0 .. len - 1."""
        which = int(np.searchsorted(self.ends, index, side="right"))
        windows = self.windows[self.sizes[which]]
        x1, y1, x2, y2 = windows[index - self.ends[which]].tolist()
        return self.paths[which], (x1, y1, x2, y2)

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx``; a :class:`SeededIndex` also fixes the augmentations' random numbers."""
        if isinstance(idx, SeededIndex):
            seed_all(idx.seed)
        path, window = self.place(int(idx))
        with Raster(path, self.spec, blue_first=True) as raster:
            pixels = np.ascontiguousarray(np.moveaxis(raster.read(*window)[0], 0, -1))
        shape = pixels.shape[:2]
        found = dict(img=pixels, img_path=str(path), img_shape=shape, ori_shape=shape, window=window)
        return self.pipeline({**found, "sample_idx": int(idx)})


def _find(folder: str | Mapping[str, str]) -> list[Path]:
    """Images of a folder by path, or those of a list in its order."""
    place, names = (Path(folder), None) if isinstance(folder, str) else (Path(folder["images"]), folder.get("names"))
    paths = find_files(place)
    if names is None:
        return paths
    by_stem = group_by_stem(paths)
    requested = match_names(read_names(names), by_stem, names)
    several = [by_stem[name] for name in requested if len(by_stem[name]) > 1]
    if several:
        raise DataError(f"{names}: {several[0][0].stem} may be {' or '.join(map(str, several[0]))}; rename one")
    return [by_stem[name][0] for name in requested]
