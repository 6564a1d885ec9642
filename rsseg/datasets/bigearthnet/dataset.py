"""BigEarthNet as a data set of mmpretrain: patches with several labels each."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from rsseg.datasets.bigearthnet.bands import SIDE, check_bands, read_bands, stack_bands
from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.datasets.bigearthnet.lmdb_file import read_packed
from rsseg.datasets.bigearthnet.selection import Selection
from rsseg.datasets.sampling import SeededIndex, seed_all
from rsseg.errors import ConfigError
from rsseg.stack import require_pretraining

require_pretraining()

import mmpretrain.registry  # noqa: E402
from mmpretrain.datasets import MultiLabelDataset  # noqa: E402

__all__ = ["BigEarthNet", "LoadBands"]

_log = logging.getLogger("rsseg")


@TRANSFORMS.register_module()
@mmpretrain.registry.TRANSFORMS.register_module()
class LoadBands(BaseTransform):
    """Read the bands of a patch: adds ``img`` (120, 120, C), ``band_names``, ``img_shape`` and ``ori_shape``.

    Which bands, and from where, says the data set: ``bands``, ``patches``, ``folders`` and ``packed``.  In mmseg's
    and mmpretrain's APIs there is no data set: ``img_path`` is the folder of a Sentinel-2 patch, or ``img`` is an array
    (120, 120, C) with its bands in the order of the model's.

    Args:
        bands: Names of the bands, where no data set says them.
        dtype: Type of ``img``: ``float32``, or ``uint16``, which rounds what is interpolated (not for Sentinel-1).

    Raises:
        FileNotFoundError: A band is missing.
        UserError: A band is broken, or has another size or type (both name patch and band), or the type of ``img``
            does not do.
    """

    def __init__(self, dtype: str = "float32", bands: Sequence[str] | None = None) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # OpenCV 5 warns of every GeoTIFF tag
        if dtype not in ("float32", "uint16"):
            raise ConfigError(f"LoadBands: dtype must be float32 or uint16, not {dtype!r}")
        self.dtype = np.dtype(dtype)
        self.bands = None if bands is None else check_bands(bands)

    def _alone(self, results: dict[str, Any]) -> dict[str, Any]:
        """What a data set would say of a patch that is given by its folder."""
        if self.bands is None:
            raise ConfigError(f"{results.get('img_path')}: LoadBands needs a BigEarthNet data set, or bands=(...)")
        if any(band.radar for band in self.bands):
            raise ConfigError("Sentinel-1 is not in the folder of a Sentinel-2 patch; give an array (120, 120, C)")
        path = Path(results["img_path"])
        return {**results, "bands": self.bands, "packed": False, "patches": [path.name], "folders": [str(path.parent)]}

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` and what it holds."""
        if "img" in results:
            results["img"] = np.ascontiguousarray(results["img"], self.dtype)
            results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
            return results
        if "bands" not in results:
            results = self._alone(results)
        bands, read = results["bands"], read_packed if results["packed"] else read_bands
        if len(results["folders"]) > 1 and self.dtype.kind == "u":
            raise ConfigError("LoadBands: Sentinel-1 is in decibels, below zero; use dtype='float32'")
        planes: dict[str, Any] = {}
        for radar, (patch, folder) in enumerate(zip(results["patches"], results["folders"], strict=True)):
            own = [band for band in bands if band.radar == radar]
            planes.update(zip((band.name for band in own), read(folder, patch, own), strict=True))
        results["img"] = stack_bands([planes[band.name] for band in bands], self.dtype)
        results["band_names"] = tuple(band.name for band in bands)
        results["img_shape"] = results["ori_shape"] = (SIDE, SIDE)
        return results


@mmpretrain.registry.DATASETS.register_module()
class BigEarthNet(MultiLabelDataset):
    """Patches of Sentinel-2, with Sentinel-1 where it is asked for, and their labels.

    Args:
        data_root: Where the archive was unpacked.
        version: ``v1`` (labels in a JSON file per patch) or ``v2`` (``metadata.parquet``).
        split: ``train``, ``val`` or ``test``; None takes all patches.
        bands: Names of the bands, in the order that they have in ``img``.
        labels: ``level3`` (43 classes), ``level2`` (15), ``level1`` (5) or ``nineteen``; v2 has only the last.
        packed: Folder that ``rsseg pack-bigearthnet`` or rico-hdl wrote; bands are read from there.
        lists: Folder of the lists of snow, clouds and splits, see :func:`split_names`; by default
            ``<data_root>/splits``.
        seed: Of the split that is drawn where there are no lists.
        labelled: False for patches without files of labels, which are predicted but not scored; ``labels`` still names
            the model's classes.  A split then needs lists; ``split=None`` takes all patches.
        pipeline: Transforms, of which :class:`LoadBands` comes first.
        **kwargs: As in mmpretrain's ``BaseDataset``: ``indices``, ``test_mode`` ...

    Raises:
        FileNotFoundError: The archive, a list or a patch of a list is missing.
        UserError: A name is not known, or a file is broken.
    """

    def __init__(
        self,
        data_root: str,
        version: str = "v1",
        split: str | None = "train",
        bands: Sequence[str] = ("B04", "B03", "B02"),
        labels: str = "level3",
        packed: str | None = None,
        lists: str | None = None,
        seed: int = 0,
        labelled: bool = True,
        pipeline: Sequence[Any] = (),
        **kwargs: Any,
    ) -> None:
        if labels is False:
            raise ConfigError(
                "labels=False: labels names the classes, such as level3; for patches without files of labels set "
                "labelled=False beside it"
            )
        if version == "v2" and labels != "nineteen":
            raise ConfigError(f"labels={labels!r}: v2 has the 19 classes only; set labels='nineteen'")
        self.selection = Selection.of(data_root, version, split, bands, packed, lists, seed, labelled)
        self.label_set = load_label_set(labels)
        info = {"classes": self.label_set.classes}
        super().__init__(ann_file="", metainfo=info, data_root=data_root, pipeline=pipeline, **kwargs)
        self._metainfo |= {"bands": tuple(bands), "dataset_name": f"bigearthnet_{version}"}

    def load_data_list(self) -> list[dict[str, Any]]:
        """One row for each patch of the split that has a label of the set; without files of labels, for each patch."""
        rows, left_out = [], 0
        if not self.selection.labelled:
            rows = [{**row, "img_path": f"{row['folders'][0]}/{info.name}"} for info, row in self.selection.rows()]
            return self._checked(rows)
        for info, row in self.selection.rows():
            labels = self.label_set.ids(info.labels, f"patch {info.name}")
            left_out += not labels
            if labels:
                rows.append({**row, "img_path": f"{row['folders'][0]}/{info.name}", "gt_label": labels})
        if left_out:
            _log.info("%d patches without a label of %s are left out", left_out, self.label_set.name)
        return self._checked(rows, f" has a label of {self.label_set.name}")

    def _checked(self, rows: list[dict[str, Any]], what: str = "") -> list[dict[str, Any]]:
        if not rows:
            raise FileNotFoundError(f"{self.selection.root}: no patch of split {self.selection.split!r}{what}")
        return rows

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Row ``idx`` with the bands to read."""
        chosen = {"bands": self.selection.bands, "packed": self.selection.packed is not None}
        return {**super().get_data_info(idx), **chosen}

    def __getitem__(self, idx: int) -> Any:
        """Sample ``idx``; a :class:`SeededIndex` also fixes the augmentations' random numbers."""
        if isinstance(idx, SeededIndex):
            seed_all(idx.seed)
        return super().__getitem__(int(idx))
