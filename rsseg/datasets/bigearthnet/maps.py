"""Reference maps of BigEarthNet v2: the class of every pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import DATASETS, TRANSFORMS
from numpy.typing import NDArray

from rsseg.datasets.bigearthnet.archive import archive_folder, patch_folder
from rsseg.datasets.bigearthnet.bands import SIDE
from rsseg.datasets.bigearthnet.corine import load_label_set
from rsseg.datasets.bigearthnet.selection import Selection
from rsseg.datasets.segmentation import TableDataset, TableInfo
from rsseg.errors import DataError, UnreadableFileError
from rsseg.io.labels import read_values

__all__ = ["BigEarthNetMaps", "LoadReferenceMap", "read_reference_map"]


def read_reference_map(path: str, labels: str = "nineteen") -> NDArray[np.uint8]:
    """Class of every pixel of a patch.

    Args:
        path: ``<patch>_reference_map.tif`` with CLC codes.
        labels: Label set, see :func:`rsseg.metainfo.load_label_set`.

    Returns:
        (120, 120) uint8 ids; 255 where the set has no class for the code, or nothing is labelled.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: It is broken, has another size or type, or holds a value that is no CLC code.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such reference map; see data/README.md for the layout")
    try:
        codes = read_values(path)
    except UnreadableFileError as error:
        raise UnreadableFileError(f"{path}: cannot be read as TIFF; unpack it again ({error})") from error
    if codes.shape != (SIDE, SIDE) or codes.dtype != np.uint16:
        raise DataError(f"{path}: {codes.dtype} of shape {codes.shape}, but must be {SIDE} x {SIDE} uint16")
    return load_label_set(labels).encode(codes, path)


@TRANSFORMS.register_module()
class LoadReferenceMap(BaseTransform):
    """Read the reference map of a patch: adds ``gt_seg_map`` (120, 120) uint8; raises as :func:`read_reference_map`.

    Args:
        labels: Label set, as many classes as the data set's table has.
    """

    def __init__(self, labels: str = "nineteen") -> None:
        self.labels = labels

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``gt_seg_map``."""
        results["gt_seg_map"] = read_reference_map(results["seg_map_path"], self.labels)
        results.setdefault("seg_fields", []).append("gt_seg_map")
        return results


@DATASETS.register_module()
class BigEarthNetMaps(TableDataset):
    """Patches of BigEarthNet v2 with their reference maps, for segmentation.

    Args:
        data_root: Where the archive was unpacked.
        split: ``train``, ``val`` or ``test``; None takes all patches.
        bands: Names of the bands, in the order that they have in ``img``.
        packed: Folder that ``rsseg pack-bigearthnet`` or rico-hdl wrote; bands are read from there, maps are not.
        lists: As for :class:`rsseg.datasets.bigearthnet.BigEarthNet`.
        seed: As there.
        table: Class table.
        **kwargs: As for :class:`TableDataset`; the pipeline begins with ``LoadBands`` and ``LoadReferenceMap``.

    Raises:
        FileNotFoundError: The archive, a list or a patch of a list is missing.
    """

    METAINFO = TableInfo("bigearthnet19")

    def __init__(
        self,
        data_root: str,
        split: str | None = "train",
        bands: Sequence[str] = ("B04", "B03", "B02"),
        packed: str | None = None,
        lists: str | None = None,
        seed: int = 0,
        table: str = "bigearthnet19",
        **kwargs: Any,
    ) -> None:
        self.selection = Selection.of(data_root, "v2", split, bands, packed, lists, seed)
        super().__init__(table, data_root=data_root, **kwargs)

    def load_data_list(self) -> list[dict]:
        """One row for each patch of the split."""
        base, rows = archive_folder(self.selection.root, "v2", "maps"), []
        for info, row in self.selection.rows():
            path = f"{patch_folder(base, 'v2', info.name)}/{info.name}_reference_map.tif"
            place = {"img_path": f"{row['folders'][0]}/{info.name}", "seg_map_path": path}
            rows.append(self.tag({**row, **place}))
        if not rows:
            raise FileNotFoundError(f"{self.name}: no patch of split {self.selection.split!r} in {self.data_root}")
        return rows

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Row ``idx`` with the bands to read."""
        chosen = {"bands": self.selection.bands, "packed": self.selection.packed is not None}
        return {**super().get_data_info(idx), **chosen}
