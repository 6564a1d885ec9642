"""BigEarthNet as a data set of mmpretrain: patches with several labels each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import mmpretrain.registry
import mmseg.registry
import numpy as np
from mmcv.transforms import BaseTransform
from mmpretrain.datasets import MultiLabelDataset

from rsseg.datasets.bigearthnet.archive import (
    PatchInfo,
    archive_folder,
    find_patches,
    known_infos,
    pair_radar,
    patch_folder,
    read_infos,
)
from rsseg.datasets.bigearthnet.bands import SIDE, check_bands, read_bands, stack_bands
from rsseg.datasets.bigearthnet.lists import find_list, has_lists, split_names
from rsseg.datasets.bigearthnet.packed import missing_patches, read_packed
from rsseg.datasets.sampling import SeededIndex, seed_all
from rsseg.metainfo import load_label_set

__all__ = ["BigEarthNet", "LoadBands"]


@mmseg.registry.TRANSFORMS.register_module()
@mmpretrain.registry.TRANSFORMS.register_module()
class LoadBands(BaseTransform):
    """Read the bands of a patch: adds ``img`` (120, 120, C), ``img_shape`` and ``ori_shape``.

    Which bands, and from where, is said by :class:`BigEarthNet`: ``bands``, ``patches``, ``folders`` and ``packed``.

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
        bands, read = results["bands"], read_packed if results["packed"] else read_bands
        planes: dict[str, Any] = {}
        for place, (patch, folder) in enumerate(zip(results["patches"], results["folders"], strict=True)):
            own = [band for band in bands if band.radar == place]
            planes.update(zip((band.name for band in own), read(folder, patch, own), strict=True))
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
        packed: Folder that ``tools/pack_bigearthnet.py`` or rico-hdl wrote; patches are read from there.
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
        packed: str | None = None,
        lists: str | None = None,
        seed: int = 0,
        pipeline: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        if version == "v2" and labels != "nineteen":
            raise ValueError(f"labels={labels!r}: v2 has the 19 classes only; set labels='nineteen'")
        self.version, self.split, self.seed = version, split, seed
        self.bands, self.label_set = check_bands(bands), load_label_set(labels)
        self.packed = Path(packed) if packed else None
        self.lists = Path(lists) if lists else Path(data_root) / "splits"
        info = {"classes": self.label_set.classes}
        super().__init__(ann_file="", metainfo=info, data_root=data_root, pipeline=pipeline, **kwargs)
        self._metainfo |= {"bands": tuple(bands), "dataset_name": f"bigearthnet_{version}"}

    def load_data_list(self) -> list[dict[str, Any]]:
        """One row for each patch of the split that has a label of the set."""
        root = Path(self.data_root)
        places = [self._place(root, "S2")]
        if any(band.radar for band in self.bands):
            places.append(self._place(root, "S1"))
        rows: list[dict[str, Any]] = []
        for info in self._infos(root, radar=len(places) > 1):
            labels = self.label_set.ids(info.labels, f"patch {info.name}")
            names = (info.name, info.s1)[: len(places)]
            if labels:
                folders = [
                    place if self.packed else patch_folder(place, self.version, name)
                    for place, name in zip(places, names, strict=True)
                ]
                rows.append({"img_path": folders[0], "patches": names, "folders": folders, "gt_label": labels})
        if not rows:
            raise FileNotFoundError(f"{root}: no patch of split {self.split!r} has a label of {self.label_set.name}")
        if self.packed:
            missing = missing_patches(self.packed, [name for row in rows for name in row["patches"]])
            if missing:
                raise FileNotFoundError(f"{self.packed}: {len(missing)} patches are not packed, such as {missing[0]}")
        return rows

    def _place(self, root: Path, what: str) -> str:
        return str(self.packed or archive_folder(root, self.version, what))

    def _infos(self, root: Path, radar: bool) -> list[PatchInfo]:
        """Patches of the split, with their Sentinel-1 patches where those are read."""
        known = known_infos(root, self.version, self.packed)
        kept = [info for info in known.values() if not info.excluded]
        listed: dict[str, str] = {}
        if self.split is None:
            infos = kept if known else read_infos(root, self.version)
        elif any(info.split for info in kept) and not has_lists(self.lists):
            infos = [info for info in kept if info.split == self.split]
        else:
            names = [info.name for info in kept] if known else find_patches(root, self.version)
            listed = dict(split_names(self.lists, self.split, names, self.seed))
            infos = read_infos(root, self.version, list(listed), self.packed)
        if not radar:
            return infos
        infos = [replace(info, s1=info.s1 or listed.get(info.name, "")) for info in infos]
        if self.version == "v1" and not all(info.s1 for info in infos):
            pairs = pair_radar(root, find_list(self.lists, "s1_s2_mapping"))
            infos = [replace(info, s1=info.s1 or pairs.get(info.name, "")) for info in infos]
        lonely = [info.name for info in infos if not info.s1]
        if lonely:
            raise ValueError(
                f"{root}: nothing says which Sentinel-1 patch belongs to {lonely[0]} ({len(lonely)} patches)"
            )
        return infos

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Row ``idx`` with the bands to read."""
        return {**super().get_data_info(idx), "bands": self.bands, "packed": self.packed is not None}

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx``; a :class:`SeededIndex` also fixes the augmentations' random numbers."""
        if isinstance(idx, SeededIndex):
            seed_all(idx.seed)
        return super().__getitem__(int(idx))
