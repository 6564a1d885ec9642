"""BigEarthNet as a data set of mmpretrain: patches with several labels each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mmpretrain.registry
import mmseg.registry
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import MultiLabelDataset

from rsseg.datasets.bigearthnet.archive import PatchInfo, archive_folder, find_patches, patch_folder, read_infos
from rsseg.datasets.bigearthnet.bands import SIDE, check_bands, read_bands, stack_bands
from rsseg.datasets.bigearthnet.lists import split_names
from rsseg.datasets.sampling import SeededIndex, seed_all
from rsseg.metainfo import load_label_set

__all__ = ["BigEarthNet", "LoadBands"]


@mmseg.registry.TRANSFORMS.register_module()
@mmpretrain.registry.TRANSFORMS.register_module()
class LoadBands(BaseTransform):
    """Read the bands of a patch: adds ``img`` (120, 120, C), ``img_shape`` and ``ori_shape``.

    Which bands, and from where, is said by :class:`BigEarthNet`: ``patch``, ``folders``, ``bands``.

    Args:
        dtype: Type of ``img``: ``float32``, or ``uint16``, which rounds what is interpolated (not for Sentinel-1).

    Raises:
        FileNotFoundError: A band is missing.
        ValueError: A band is broken, or has another size or type; both name patch and band.
    """

    def __init__(self, dtype: str = "float32") -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # OpenCV 5 warns of every GeoTIFF tag
        self.dtype = np.dtype(dtype)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img``."""
        bands, folders = results["bands"], results["folders"]
        s2, s1 = ([band for band in bands if band.radar == radar] for radar in (False, True))
        planes = {b.name: p for b, p in zip(s2, read_bands(folders[0], results["patch"], s2), strict=True)}
        if s1:
            name = Path(folders[1]).name
            planes |= {b.name: p for b, p in zip(s1, read_bands(folders[1], name, s1), strict=True)}
        results["img"] = stack_bands([planes[band.name] for band in bands], self.dtype)
        results["img_shape"] = results["ori_shape"] = (SIDE, SIDE)
        return results


@mmpretrain.registry.DATASETS.register_module()
class BigEarthNet(MultiLabelDataset):
    """Patches of Sentinel-2, with Sentinel-1 where it is there, and their labels.

    Args:
        data_root: Where the archive was unpacked.
        version: ``v1`` (labels in a JSON file per patch) or ``v2`` (``metadata.parquet``).
        split: ``train``, ``val`` or ``test``; None takes all patches.
        bands: Names of the bands, in the order that they have in ``img``.
        labels: ``level3`` (43 classes), ``level2`` (15), ``level1`` (5) or ``nineteen``; v2 has only the last.
        lists: Folder of the lists of snow, clouds and splits, see :func:`split_names`; by default
            ``<data_root>/splits``.
        seed: Of the split that is drawn where there are no lists.
        pipeline: Transforms, of which :class:`LoadBands` comes first.
        **kwargs: As in mmpretrain's ``BaseDataset``: ``indices``, ``test_mode`` ...

    Raises:
        FileNotFoundError: The archive, a list or a patch of a list is missing.
        ValueError: A name is not known, or a file is broken.
    """

    def __init__(
        self,
        data_root: str,
        version: str = "v1",
        split: str | None = "train",
        bands: Sequence[str] = ("B02", "B03", "B04"),
        labels: str = "level3",
        lists: str | None = None,
        seed: int = 0,
        pipeline: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        if version == "v2" and labels != "nineteen":
            raise ValueError(f"labels={labels!r}: v2 has the 19 classes only; set labels='nineteen'")
        self.version, self.split, self.seed = version, split, seed
        self.bands, self.label_set = check_bands(bands), load_label_set(labels)
        self.lists = Path(lists) if lists else Path(data_root) / "splits"
        info = {"classes": self.label_set.classes}
        super().__init__(ann_file="", metainfo=info, data_root=data_root, pipeline=pipeline, **kwargs)
        self._metainfo |= {"bands": tuple(bands), "dataset_name": f"bigearthnet_{version}"}

    def load_data_list(self) -> list[dict[str, Any]]:
        """One row for each patch of the split that has a label of the set."""
        root = Path(self.data_root)
        base = archive_folder(root, self.version)
        radar = archive_folder(root, self.version, "S1") if any(band.radar for band in self.bands) else None
        rows = []
        for info, s1 in self._patches(root):
            labels = self.label_set.ids(info.labels, f"patch {info.name}")
            if not labels:
                continue
            folders = [patch_folder(base, self.version, info.name)]
            if radar is not None:
                if not s1:
                    raise ValueError(f"patch {info.name}: nothing says which Sentinel-1 patch belongs to it")
                folders.append(patch_folder(radar, self.version, s1))
            rows.append({"patch": info.name, "img_path": folders[0], "folders": folders, "gt_label": labels})
        if not rows:
            raise FileNotFoundError(f"{root}: no patch of split {self.split!r} has a label")
        return rows

    def _patches(self, root: Path) -> list[tuple[PatchInfo, str]]:
        """Patches of the split, with the names of their Sentinel-1 patches."""
        if self.version == "v2":
            infos = [info for info in read_infos(root, "v2") if not info.excluded]
            if self.split is not None and any(info.split for info in infos):
                infos = [info for info in infos if info.split == self.split]
                return [(info, info.s1) for info in infos]
            if self.split is None:
                return [(info, info.s1) for info in infos]
        if self.split is None:
            return [(info, info.s1) for info in read_infos(root, self.version)]
        listed = dict(split_names(self.lists, self.split, find_patches(root, self.version), self.seed))
        return [(info, listed[info.name] or info.s1) for info in read_infos(root, self.version, list(listed))]

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Row ``idx`` with the bands to read."""
        return {**super().get_data_info(idx), "bands": self.bands}

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx``; a :class:`SeededIndex` also fixes the augmentations' random numbers."""
        if isinstance(idx, SeededIndex):
            seed_all(idx.seed)
        return super().__getitem__(int(idx))
