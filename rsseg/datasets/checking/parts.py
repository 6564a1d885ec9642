"""What the loaders of a segmentation config read: which files, which classes, and what each label value means."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.checking.pixels import Transform, build_loaders
from rsseg.errors import ConfigError, DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.labels import read_labels
from rsseg.io.listing import find_files
from rsseg.metainfo import IGNORE, load_metainfo

__all__ = ["SPLITS", "UNKNOWN", "Part", "open_parts"]

SPLITS = ("train", "val", "test")
UNKNOWN = -1
"""In a part's ``meaning``: the value is neither a class nor ignored."""
_LABEL_LOADERS = ("LoadLabels", "LoadAnnotations")


@dataclass
class Part:
    """One dataset of one split.

    Attributes:
        split: ``train``, ``val`` or ``test``.
        name: Name of the set, or of the dataset's class.
        classes: Class names by training id.
        meaning: (256,) int16, value in a label file -> training id, 255 where ignored, ``UNKNOWN`` where not allowed.
        files: Image and label of each sample; no label where the split is read without.
        stray: Label files without an image.
        read: Label file -> values (H, W) uint8, as they are stored.
        rows: The samples, as transforms get them; as many as ``files``.
        load_image: The transform of the pipeline that loads images; None where there is none.
        load_label: That which loads labels; None where the split is read without.
        spec: What the pipeline's ``LoadImage`` declares; None where images are loaded otherwise.
        failure: Why the dataset cannot be opened; the rest is then empty.
        table: Class table; None where the dataset has none.
    """

    split: str
    name: str
    classes: tuple[str, ...] = ()
    meaning: NDArray[np.int16] = field(default_factory=lambda: np.full(256, UNKNOWN, np.int16))
    files: list[tuple[Path, Path | None]] = field(default_factory=list)
    stray: list[Path] = field(default_factory=list)
    read: Callable[[str], NDArray[Any]] = read_labels
    rows: list[dict[str, Any]] = field(default_factory=list)
    load_image: Transform | None = None
    load_label: Transform | None = None
    spec: PixelSpec | None = None
    failure: str | None = None
    table: str | None = None

    def ids(self, label: Path) -> NDArray[np.uint8]:
        """Training ids (H, W) uint8 of a label file, 255 where ignored.

        Raises:
            DataError: The file is damaged, or a value is neither a class nor ignored.
        """
        values = self.read(str(label))
        unknown = np.flatnonzero((np.bincount(values.ravel(), minlength=256) > 0) & (self.meaning == UNKNOWN))
        if len(unknown):
            raise DataError(f"{label}: value {unknown[0]} is neither a class nor ignored")
        return np.where(self.meaning == UNKNOWN, IGNORE, self.meaning).astype(np.uint8)[values]


def open_parts(config: Mapping[str, Any]) -> list[Part]:
    """The datasets in ``train_dataloader``, ``val_dataloader`` and ``test_dataloader`` of a config, wrappers opened.

    A dataset that cannot be opened becomes a part with a ``failure``.  ``init_default_scope`` must have been called.
    """
    parts = []
    for split in SPLITS:
        loader = config.get(f"{split}_dataloader")
        for leaf in _leaves(loader["dataset"]) if loader else ():
            try:
                parts.append(_open(split, leaf))
            except (OSError, ValueError, AssertionError, LookupError, TypeError, AttributeError) as error:
                name = str(leaf.get("name") or leaf.get("table") or leaf.get("type"))
                reason = str(error).strip() or f"{type(error).__name__} in {leaf.get('type')}"
                parts.append(Part(split, name, failure=reason))
    return parts


def _leaves(dataset: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Configs of the datasets inside of wrappers such as MultiDataset, ConcatDataset and RepeatDataset."""
    if "datasets" in dataset:
        shared = {key: dataset[key] for key in ("pipeline",) if dataset.get(key) is not None}
        for inner in dataset["datasets"]:
            yield from _leaves({**inner, **shared})
    elif {"source", "target"} <= set(dataset):
        from rsseg.datasets.adaptation import domain_configs

        yield from domain_configs(dataset["source"], dataset["target"])
    elif "dataset" in dataset:
        yield from _leaves(dataset["dataset"])
    else:
        yield dict(dataset)


def _loader(pipeline: Any) -> dict[str, Any] | None:
    """The transform that reads labels, wherever it stands in a pipeline."""
    if isinstance(pipeline, Mapping):
        if str(pipeline.get("type", "")).rpartition(".")[2] in _LABEL_LOADERS:
            return dict(pipeline)
        pipeline = list(pipeline.values())
    if isinstance(pipeline, (list, tuple)):
        return next(filter(None, map(_loader, pipeline)), None)
    return None


def _open(split: str, leaf: dict[str, Any]) -> Part:
    from mmseg.registry import DATASETS

    from rsseg.datasets import TableDataset
    from rsseg.datasets.segmentation import label_map

    config = copy.deepcopy(leaf)
    pipeline = config.pop("pipeline", ())
    loader = _loader(pipeline)
    dataset: Any = DATASETS.build({**config, "pipeline": [], "lazy_init": True})
    ours = isinstance(dataset, TableDataset)
    chosen_by_name = getattr(dataset, "subset", None) is not None
    # list_files leaves it to this check to find what is missing
    rows = dataset.list_files() if ours and not chosen_by_name else dataset.load_data_list()
    if dataset._indices is not None:
        chosen = dataset._indices
        if isinstance(chosen, int):
            rows = rows[:chosen] if chosen >= 0 else rows[chosen:]
        else:
            rows = [rows[i] for i in chosen]
    if not rows:
        raise FileNotFoundError(f"no images *{dataset.img_suffix} in {dataset.data_prefix.get('img_path')}")
    classes = tuple(dataset.metainfo.get("classes") or ())
    if not classes:
        raise ConfigError("the dataset names no classes; give metainfo=dict(classes=...)")
    label = "seg_map_path" if loader else ""
    if ours:
        rows = [{**dataset.tag(row), "label_map": label_map(dataset.table)} for row in rows]
    return Part(
        split,
        dataset.name if ours else type(dataset).__name__,
        classes,
        load_metainfo(dataset.table).table if ours else _meaning(dataset, len(classes)),
        [(Path(row["img_path"]), Path(row[label]) if row.get(label) else None) for row in rows],
        _stray(dataset, rows) if loader and not chosen_by_name else [],
        read_labels if ours else partial(_read_as_mmseg, backend=(loader or {}).get("imdecode_backend", "pillow")),
        rows,
        *build_loaders(pipeline),
        table=dataset.table if ours else None,
    )


def _meaning(dataset: Any, classes: int) -> NDArray[np.int16]:
    """What mmseg's LoadAnnotations makes of each value, for a dataset without a class table."""
    ids = np.arange(256)
    if dataset.reduce_zero_label:
        ids = np.where((ids == 0) | (ids == IGNORE), IGNORE, ids - 1)
    mapped = np.array([(dataset.label_map or {}).get(int(i), int(i)) for i in ids])
    out = np.where(mapped < classes, mapped, UNKNOWN)
    out[(mapped == dataset.ignore_index) | (mapped == IGNORE)] = IGNORE
    return out.astype(np.int16)


def _read_as_mmseg(path: str, backend: str) -> NDArray[np.uint8]:
    import mmcv

    labels = mmcv.imfrombytes(Path(path).read_bytes(), flag="unchanged", backend=backend)
    if labels is None:
        raise DataError(f"{path}: {backend} cannot read it")
    labels = labels.squeeze()
    if labels.ndim != 2:
        raise DataError(f"{path}: labels must be one channel, found an array of shape {labels.shape}")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > IGNORE:
        raise DataError(f"{path}: values {low}..{high}; only 0..255 are kept, other values would wrap around")
    return labels.astype(np.uint8)


def _stray(dataset: Any, rows: list[dict[str, Any]]) -> list[Path]:
    """Label files that no image of a folder asks for; of a list of names nothing can be said."""
    from mmseg.datasets import BaseSegDataset

    from rsseg.datasets import TableDataset

    folder = dataset.data_prefix.get("seg_map_path")
    by_folder = type(dataset).load_data_list in (BaseSegDataset.load_data_list, TableDataset.load_data_list)
    by_folder &= getattr(dataset, "by_folder", True)
    if not folder or not by_folder or Path(dataset.ann_file or "").is_file() or dataset._indices is not None:
        return []
    requested = {Path(row["seg_map_path"]) for row in rows if "seg_map_path" in row}
    found = find_files(folder, [dataset.seg_map_suffix], "label files", empty=True)
    return [path for path in found if path not in requested]
