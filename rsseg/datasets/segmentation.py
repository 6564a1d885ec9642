"""Segmentation datasets: a class table and a layout of files."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.dataset import ConcatDataset
from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from rsseg.command_list import command
from rsseg.datasets.labels import ReleasedSet
from rsseg.datasets.labels.converted import check_classes, manifest_source, read_tiles, tile_suffixes
from rsseg.datasets.openearthmap.regions import load_regions, region_files, region_of
from rsseg.datasets.sampling import SeededIndex, seed_all
from rsseg.errors import ConfigError
from rsseg.io.listing import stored_suffix
from rsseg.io.names import match_names, read_names
from rsseg.metainfo import base_table, load_metainfo
from rsseg.metainfo.datasets import table_info

__all__ = [
    "ConvertedDataset",
    "MultiDataset",
    "OpenEarthMapDataset",
    "ReleasedDataset",
    "TableDataset",
    "TableInfo",
    "label_map",
]


@functools.cache
def label_map(table: str) -> dict[int, int]:
    """Raw value -> training id for mmseg's ``LoadAnnotations``, without the values that stay; 255 where no class is."""
    return {raw: int(train_id) for raw, train_id in enumerate(load_metainfo(table).lut) if train_id != raw}


class TableInfo:
    """``METAINFO`` of a dataset class: classes and colours of its class tables, read when they are asked for."""

    def __init__(self, *tables: str) -> None:
        self.tables = tables

    def __get__(self, instance: Any, owner: Any = None) -> dict[str, Any]:
        return table_info(*self.tables)


@DATASETS.register_module()
class TableDataset(BaseSegDataset):
    """Images and label files whose values a class table explains.

    Labels are read by :class:`rsseg.datasets.LoadLabels`, which refuses values that the table does not allow.  mmseg's
    own ``LoadAnnotations`` gives the same ids, by the ``label_map`` of each sample; there such values become 255.

    Args:
        table: Name of the class table (or path of a ``.json``), see :func:`rsseg.metainfo.load_metainfo`; with
            ``+background`` behind it, pixels that converted labels leave unlabelled are a class, too.
        name: What samples of this set are called (``metainfo['dataset_name']``, the key of its head); the table's
            name by default.
        subset: List of the samples that are used, one name (of the tile, without suffix) a line; unlike that of
            ``ann_file`` its path does not begin at ``data_root``.  None takes all.
        labels: Whether samples have labels; False leaves label files unread and unlooked for.
        **kwargs: As in mmseg's ``BaseSegDataset``: ``data_root``, ``data_prefix``, ``ann_file`` (one stem a line),
            ``img_suffix``, ``seg_map_suffix``, ``indices``, ``pipeline`` ...  A suffix ``.png`` also stands for the
            ``.tif`` of tiles that were prepared in that format, where a folder has no PNG.

    Raises:
        ConfigError: ``reduce_zero_label`` is given, or ``metainfo`` with other classes: the class table alone says
            which values stand for which class.
        FileNotFoundError: No image was found, or an image or label of the list is missing.
    """

    img_suffix: str
    seg_map_suffix: str

    def __init__(
        self, table: str, name: str | None = None, subset: str | None = None, labels: bool = True, **kwargs: Any
    ) -> None:
        self.table, self.name, self.subset = table, name or Path(base_table(table)).stem, subset
        self.labels = labels
        info = load_metainfo(table)
        if kwargs.get("reduce_zero_label"):
            raise ConfigError(
                f"{self.name}: reduce_zero_label=True contradicts the class table {table}, which alone says which "
                "values stand for which class; remove it, and set label_offset and ignore in the table"
            )
        own = {"classes": info.classes, "palette": [list(c) for c in info.palette]}
        super().__init__(
            metainfo={**self._more_info(kwargs.pop("metainfo", None) or {}, info.classes), **own}, **kwargs
        )
        self._metainfo |= {"dataset_name": self.name, "table": table}

    def _more_info(self, given: Mapping[str, Any], classes: Sequence[str]) -> dict[str, Any]:
        if tuple(given.get("classes") or classes) != tuple(classes):
            raise ConfigError(
                f"{self.name}: metainfo has the classes {', '.join(given['classes'])}, but its table {self.table} "
                f"has {', '.join(classes)}; write a class table of your own (docs/howto.md) and name it by table=..."
            )
        return dict(given)

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> None:
        """None: each sample has the ``label_map`` of its class table."""

    def _where(self) -> str:
        return f"*{self.img_suffix} in {self.data_prefix.get('img_path')}"

    def load_data_list(self) -> list[dict]:
        """Samples with ``dataset_name`` and ``table``."""
        rows = [self.tag(row) for row in self.list_files()]
        if self.subset is not None:
            rows = self._listed(rows, Path(self.subset))
        if not rows:
            raise FileNotFoundError(f"{self.name}: no images {self._where()}; see data/README.md for the layout")
        files = [row[key] for row in rows for key in ("img_path", "seg_map_path") if key in row]
        missing = [path for path in files if not Path(path).is_file()]
        if missing:
            raise FileNotFoundError(f"{self.name}: {self._explain(missing)}")
        return rows

    def _explain(self, missing: list[str]) -> str:
        """What to say of files that are not there; a dataset that knows why overrides it."""
        return f"{missing[0]} is listed but missing"

    def _listed(self, rows: list[dict], listing: Path) -> list[dict]:
        by_name: dict[str, dict] = {row.get("tile") or Path(row["img_path"]).stem: row for row in rows}
        names = match_names(self._names(listing), by_name, listing, suffixes=[self.img_suffix])
        return [by_name[name] for name in names]

    def _names(self, listing: Path) -> list[str]:
        tools = f"{command('few-lists')}, {command('split-openearthmap')} and {command('build-landdiscover')}"
        return read_names(listing, f"a text file with one name per line, as {tools} write")

    @property
    def by_folder(self) -> bool:
        """Whether all images of a folder are samples."""
        return type(self).list_files is TableDataset.list_files

    def list_files(self) -> list[dict]:
        """``img_path`` and ``seg_map_path`` of every sample; what a new layout of files overrides.

        ``tile`` names a sample in lists, where it is not the image's name.
        """
        folder = Path(self.data_prefix.get("img_path") or "")
        if not folder.is_dir():
            raise FileNotFoundError(f"{self.name}: no folder {folder}; see data/README.md for the layout")
        listing, labels = Path(self.ann_file or ""), self.data_prefix.get("seg_map_path")
        self.img_suffix = stored_suffix(folder, self.img_suffix)
        if self.labels and labels is not None and Path(labels).is_dir():
            self.seg_map_suffix = stored_suffix(Path(labels), self.seg_map_suffix)
        if not self.ann_file or listing.is_dir():
            return super().load_data_list()
        files = [
            {"img_path": f"{name}{self.img_suffix}", "seg_map_path": f"{name}{self.seg_map_suffix}"}
            for name in read_names(listing, "a text file with one name per line")
        ]
        roots = {"img_path": folder, **({} if labels is None else {"seg_map_path": Path(labels)})}
        return [{key: str(roots[key] / row[key]) for key in roots} for row in files]

    def tag(self, row: dict[str, Any]) -> dict[str, Any]:
        """Sample ``row`` with the keys that transforms, model and metric look for."""
        fixed: dict[str, Any] = {"label_map": None, "reduce_zero_label": False, "seg_fields": []}
        files = {key: value for key, value in row.items() if self.labels or key != "seg_map_path"}
        return {**files, **fixed, "dataset_name": self.name, "table": self.table}

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Row ``idx`` with the ``label_map`` of its table, which is stored once and not with each row."""
        row = super().get_data_info(idx)
        return {**row, "label_map": label_map(row["table"])}

    def __getitem__(self, idx: int) -> dict:
        """Sample ``idx``; a :class:`SeededIndex` also fixes the augmentations' random numbers."""
        if isinstance(idx, SeededIndex):
            seed_all(idx.seed)
        return super().__getitem__(int(idx))


@DATASETS.register_module()
class ConvertedDataset(TableDataset):
    """What ``rsseg convert`` wrote: ``tiles.csv``, ``gray/`` and, where tiles were cut, ``images/``.

    Args:
        table: As for :class:`TableDataset`.
        data_root: Output folder of the conversion.
        split: ``train`` or ``val`` as in ``tiles.csv``; None takes all tiles.
        image_root: Folder of the source images where no tiles were cut; by default the one in ``manifest.json``.
        **kwargs: As for :class:`TableDataset`.

    Raises:
        FileNotFoundError: The conversion has not finished, or holds no tile of that split.
        DataError: The set was converted with other classes, or in another order.
    """

    def __init__(
        self, table: str, data_root: str, split: str | None = "train", image_root: str | None = None, **kwargs: Any
    ) -> None:
        self.root, self.split, self.image_root = Path(data_root), split, image_root
        super().__init__(table, data_root=data_root, img_suffix=".png", **kwargs)

    def _where(self) -> str:
        return f"of split {self.split!r} in {self.root / 'tiles.csv'}"

    def list_files(self) -> list[dict]:
        """One sample for each row of ``tiles.csv`` that belongs to the split."""
        listing = self.root / "tiles.csv"
        if not listing.is_file():
            raise FileNotFoundError(f"{self.name}: {listing} is missing; run {command('convert')} to its end first")
        check_classes(self.root, load_metainfo(self.table))
        rows = read_tiles(self.root)
        suffixes = tile_suffixes(self.root, rows)
        return [self._files(row, *suffixes) for row in rows if self.split in (None, row["split"])]

    def _files(self, row: dict[str, str], of_images: str, of_labels: str) -> dict[str, str]:
        tile = self.root / "images" / f"{row['tile']}{of_images}"
        if not tile.is_file():
            tile = self._source_root() / row["source"]
        labels = self.root / "gray" / f"{row['tile']}{of_labels}"
        return {"img_path": str(tile), "seg_map_path": str(labels), "tile": row["tile"]}

    def _source_root(self) -> Path:
        if self.image_root is None:
            self.image_root = manifest_source(self.root)["images"]
        return Path(self.image_root)


@DATASETS.register_module()
class ReleasedDataset(TableDataset):
    """One subset of the released SAMRS folders, see :class:`rsseg.datasets.labels.ReleasedSet`.

    Args:
        table: As for :class:`TableDataset`.
        data_root: Folder of the subset.
        split: ``train`` or ``val``, by the lists beside the images; None takes all tiles.
        **kwargs: As for :class:`TableDataset`.

    Raises:
        FileNotFoundError: There are no labels, the list is missing, or a file it names.
    """

    def __init__(self, table: str, data_root: str, split: str | None = "train", **kwargs: Any) -> None:
        self.split = split
        super().__init__(table, data_root=data_root, **kwargs)

    def list_files(self) -> list[dict]:
        """One sample for each stem of the split's list."""
        found = ReleasedSet(Path(self.data_root or ""), classes=self.table)
        names = found.names if self.split is None else found.names_of(self.split)
        missing = f"{self.data_root}/images/"
        return [
            {"img_path": str(found.image_path(name) or missing + name), "seg_map_path": str(found.label_path(name))}
            for name in names
        ]


@DATASETS.register_module()
class OpenEarthMapDataset(TableDataset):
    """OpenEarthMap as unpacked: ``<region>/images/<region>_<n>.tif`` and ``<region>/labels/``.

    ``ann_file`` and ``subset`` list images as ``aachen_1.tif`` (the release), ``aachen_1`` (what
    ``rsseg split-openearthmap`` writes) or ``aachen/aachen_1`` (the authors' lists for domain adaptation); without
    either, every image that has a label is a sample, with ``labels=False`` every image.

    Args:
        table: As for :class:`TableDataset`.
        **kwargs: As there; ``labels=False`` is for the official test list too, whose labels are not public.

    Raises:
        FileNotFoundError: The list is missing, or a file it names; the message says what is known of the reason.
        ValueError: A name has another form.
    """

    METAINFO = TableInfo("openearthmap")

    def __init__(self, table: str = "openearthmap", **kwargs: Any) -> None:
        super().__init__(table, **kwargs)

    def _where(self) -> str:
        return f"in {self.ann_file or self.subset or f'{self.data_root}/<region>/images with a label beside it'}"

    def _listed(self, rows: list[dict], listing: Path) -> list[dict]:
        return super()._listed(rows, listing) if self.ann_file else rows

    def _names(self, listing: Path) -> list[str]:
        return [Path(name).name.removesuffix(".tif") for name in super()._names(listing)]

    def list_files(self) -> list[dict]:
        """One sample for each name in ``ann_file``, else in ``subset``, else for each labelled image."""
        root = Path(self.data_root or "")
        if not self.ann_file and self.subset is None:
            images = [path for path in region_files(root, "images") if not self.labels or _label_of(path).is_file()]
            return [self._row(path) for path in images]
        names = self._names(Path(self.ann_file or self.subset or ""))
        return [self._row(root / region_of(name) / "images" / f"{name}.tif") for name in names]

    def _row(self, image: Path) -> dict[str, str]:
        return {"img_path": str(image), "seg_map_path": str(_label_of(image))}

    def _explain(self, missing: list[str]) -> str:
        images = [path for path in missing if Path(path).parent.name == "images"]
        xbd = [path for path in images if (region := load_regions().get(region_of(path))) and region.images_from_xbd]
        parts = [f"{missing[0]} is listed but missing, as are {len(missing) - 1} other files"]
        if xbd:
            parts.append(
                f"{len(xbd)} of them are images of xBD, which the release leaves out: {command('fill-xbd')} puts them "
                f"in from your xBD folder, {command('split-openearthmap')} --available writes lists without them"
            )
        if len(images) < len(missing):
            parts.append("Labels of the official test list are not public")
        return ". ".join(parts)


def _label_of(image: Path) -> Path:
    return image.parents[1] / "labels" / image.name


def _build_set(item: Any, pipeline: Sequence[Any] | None) -> Any:
    if pipeline is None:
        return DATASETS.build(item) if isinstance(item, dict) else item
    if not isinstance(item, dict) or item.get("pipeline", pipeline) != pipeline:
        name = item.get("name") or item.get("table") if isinstance(item, dict) else item.metainfo.get("dataset_name")
        raise ConfigError(f"set {name!r} has a pipeline of its own, and MultiDataset has one for all sets; remove one")
    return DATASETS.build({**item, "pipeline": pipeline})


@DATASETS.register_module()
class MultiDataset(ConcatDataset):
    """Several sets, each with classes of its own, one after another.

    Attributes:
        set_sizes: Number of samples of each set, for :class:`ProportionalSampler`.

    Args:
        datasets: Datasets or their configs; each names itself (``TableDataset``'s ``name``).
        pipeline: Transforms of all sets, which then have none of their own.  It is where mmseg's tools and inferencer
            look, and what ``rsseg test --tta`` replaces.

    Raises:
        ConfigError: Two sets have the same name, or one has another pipeline than is given for all.
    """

    def __init__(self, datasets: Sequence[Any], pipeline: Sequence[Any] | None = None) -> None:
        built = [_build_set(item, pipeline) for item in datasets]
        super().__init__(built[:1], lazy_init=True)
        self.datasets = built
        self.full_init()
        self.set_sizes = [len(item) for item in built]
        infos = [item.metainfo for item in built]
        names = [info["dataset_name"] for info in infos]
        if len(set(names)) != len(names):
            raise ConfigError(f"every dataset requires a unique name, got {names}")
        self._metainfo = {**infos[0], "sets": dict(zip(names, infos, strict=True))}

    def __getitem__(self, idx: int) -> dict:
        """Sample ``idx`` of all sets in a row; a :class:`SeededIndex` keeps its seed."""
        which, place = self._get_ori_dataset_idx(int(idx))
        return self.datasets[which][SeededIndex(place, idx.seed) if isinstance(idx, SeededIndex) else place]
