"""A dataset class for each class table, by the name that a user of mmseg would guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from rsseg.datasets.labels.released import subset_of
from rsseg.datasets.pairs import PairsDataset
from rsseg.datasets.segmentation import ConvertedDataset, ReleasedDataset, TableDataset, TableInfo
from rsseg.metainfo.datasets import DATASETS as NAMES
from rsseg.metainfo.datasets import SAMRS_TABLES

__all__ = ["NamedDataset", "SAMRSDataset"]

_OWN = ("openearthmap", "bigearthnet19")
"""Tables whose dataset has a layout of files of its own."""


class NamedDataset(TableDataset):
    """A dataset that knows its class table, and of the layouts in which a set may come takes the one that is there.

    Folders and lists as in every dataset of mmseg (``data_prefix``, ``ann_file``); without ``data_prefix`` what
    ``rsseg convert`` wrote, or a subset as SAMRS released it; or patterns (``layouts``).

    Args:
        table: As for :class:`TableDataset`; by default the class's own, for example ``"sota+background"`` instead.
        split: ``train``, ``val`` or None, as for :class:`ConvertedDataset`; only where there is no ``data_prefix``.
        image_root: As there.
        layouts: As for :class:`PairsDataset`.
        hint: As there.
        count: As there.
        **kwargs: As for :class:`TableDataset`; images are ``.png`` by default.

    Raises:
        FileNotFoundError: As for these classes.
    """

    default_table = ""

    def __init__(
        self,
        table: str | None = None,
        split: str | None = "train",
        image_root: str | None = None,
        layouts: Sequence[Mapping[str, Any]] | None = None,
        hint: str | None = None,
        count: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.split, self.image_root, self.layouts, self.hint, self.count = split, image_root, layouts, hint, count
        self._by_folder = "data_prefix" in kwargs
        super().__init__(table or self.default_table, **{"img_suffix": ".png", **kwargs})

    @property
    def by_folder(self) -> bool:
        """Whether all images of a folder are samples."""
        return self._by_folder

    def list_files(self) -> list[dict]:
        """Samples of the layout that is there."""
        inner = None if self._by_folder else self._layout(str(self.data_root or ""))
        if inner is None:
            return super().list_files()
        rows = inner.list_files()
        self.table = inner.table  # a layout's own
        return rows

    def _layout(self, root: str) -> TableDataset | None:
        same: dict[str, Any] = dict(data_root=root, name=self.name, lazy_init=True, pipeline=[])
        if self.layouts is not None:
            return PairsDataset(self.table, self.layouts, self.hint, self.count, **same)
        if any((Path(root) / name).is_file() for name in ("tiles.csv", "manifest.json")):
            return ConvertedDataset(self.table, split=self.split, image_root=self.image_root, **same)
        if any(
            (path / "gray").is_dir() for path in (Path(root), *Path(root).glob("*"), *Path(root).glob("trainval/*"))
        ):
            return ReleasedDataset(self.table, split=self.split, **same)
        return None


def _named(table: str, names: tuple[str, ...]) -> type[NamedDataset]:
    """The dataset class of a table."""
    doc = f"Images and labels of the classes in the class table ``{table}``; see :class:`NamedDataset`."
    own = {"__doc__": doc, "__module__": __name__, "default_table": table, "METAINFO": TableInfo(table)}
    return DATASETS.register_module(name=list(names))(type(names[0], (NamedDataset,), own))


for _table, _names in NAMES.items():
    if _table not in _OWN:
        globals()[_names[0]] = _named(_table, _names)
        __all__ += [_names[0]]


@DATASETS.register_module()
class SAMRSDataset(NamedDataset):
    """One subset of SAMRS, as converted here or as released.

    Each has classes of its own, so a training on all three reads them by a :class:`MultiDataset`.

    Args:
        table: ``sota``, ``sior`` or ``fast``; by default told from the names of the folders.
        **kwargs: As for :class:`NamedDataset`.

    Raises:
        DataError: No folder says which subset it is.
        FileNotFoundError: As for :class:`NamedDataset`.
    """

    METAINFO = TableInfo(*SAMRS_TABLES)

    def __init__(self, table: str | None = None, **kwargs: Any) -> None:
        super().__init__(table or subset_of(Path(kwargs.get("data_root") or "")), **kwargs)
