"""Images and labels that patterns find, in whichever of several layouts a set comes."""

from __future__ import annotations

import glob
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmseg.registry import DATASETS

from rsseg.datasets.segmentation import TableDataset
from rsseg.errors import ConfigError, DataError
from rsseg.io.jobs import RECORD
from rsseg.metainfo import load_metainfo

__all__ = ["FoundPairs", "PairsDataset", "find_pairs"]

_log = logging.getLogger("rsseg")


@dataclass
class FoundPairs:
    """What :func:`find_pairs` found.

    Attributes:
        pairs: Image and label of each name, by name.
        alone: Images without a label.
        orphans: Labels without an image.
    """

    pairs: dict[str, tuple[Path, Path]] = field(default_factory=dict)
    alone: list[Path] = field(default_factory=list)
    orphans: list[Path] = field(default_factory=list)


def find_pairs(root: Path | str, images: str | Sequence[str], labels: str | Sequence[str]) -> FoundPairs:
    """Images and labels below a folder; what the last ``*`` of a pattern stands for is the name they share.

    ``img/IMG_*.tif`` and ``msk/MSK_*.tif`` make a pair of ``img/IMG_7.tif`` and ``msk/MSK_7.tif``, named ``7``.

    Args:
        root: The folder.
        images: Patterns of images, as for :func:`glob.glob`; ``**`` is any number of folders.
        labels: Patterns of labels.

    Raises:
        UserError: Two images, or two labels, have one name.
    """
    found, wanted = _by_name(Path(root), images), _by_name(Path(root), labels)
    out = FoundPairs(orphans=[path for name, path in wanted.items() if name not in found])
    for name, image in found.items():
        if name in wanted:
            out.pairs[name] = image, wanted[name]
        else:
            out.alone.append(image)
    return out


def _by_name(root: Path, patterns: str | Sequence[str]) -> dict[str, Path]:
    out: dict[str, Path] = {}
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        name = _name_pattern(pattern)
        for file in sorted(glob.glob(pattern, root_dir=root, recursive=True)):
            path, match = root / file, name.fullmatch(Path(file).name)
            if match is None or not path.is_file():
                continue
            if out.setdefault(match[1], path) != path:
                raise DataError(f"{out[match[1]]} and {path} have the same name ({match[1]}); keep one of them")
    return out


def _name_pattern(pattern: str) -> re.Pattern[str]:
    before, star, after = Path(pattern).name.rpartition("*")
    if not star:
        raise ConfigError(f"{pattern!r} requires a * in its last part, which stands for the names of the samples")
    suffix = r"\.\w+" if not after else re.escape(after)
    return re.compile(re.escape(before) + r"([^.].*?)" + suffix)


@DATASETS.register_module()
class PairsDataset(TableDataset):
    """Images and labels by patterns; of several layouts in which a set may come, the first that is there is read.

    Args:
        table: As for :class:`TableDataset`.
        layouts: Each ``dict(images=..., labels=..., table=...)``: patterns below ``data_root`` as for
            :func:`find_pairs`, and the table that explains the values of the labels where it is another one; its
            classes are the same.
        hint: What to do where no layout is there, for the error.
        count: Number of pairs of the whole set as it is published; None where fewer are no matter.  A set that rsseg
            built itself, of which there is a record, may have fewer: the log says so.
        **kwargs: As for :class:`TableDataset`.

    Raises:
        FileNotFoundError: None of the layouts is there, there are fewer pairs than ``count``, or an image has no label
            or a label no image.
        ValueError: Two images have one name, or a layout's table has other classes.
    """

    def __init__(
        self,
        table: str,
        layouts: Sequence[Mapping[str, Any]],
        hint: str | None = None,
        count: int | None = None,
        **kwargs: Any,
    ) -> None:
        self.layouts, self.hint, self.count = layouts, hint, count
        super().__init__(table, **kwargs)

    def list_files(self) -> list[dict]:
        """One sample for each pair of the first layout that has any; ``tile`` is its name."""
        for layout in self.layouts:
            found = find_pairs(self.data_root or "", layout["images"], layout["labels"])
            if found.pairs:
                self._check_count(len(found.pairs))
                return self._rows(found, layout)
        patterns = "\n  ".join(f"{layout['images']} with {layout['labels']}" for layout in self.layouts)
        hint = f"\n{self.hint}" if self.hint else ""
        raise FileNotFoundError(
            f"{self.name}: nothing in {self.data_root} is laid out as any of\n  {patterns}{hint}\n"
            "See data/README.md for the layout"
        )

    def _check_count(self, found: int) -> None:
        if self.count is None or found >= self.count:
            return
        if (Path(self.data_root or "") / RECORD).is_file():
            _log.warning("%s: %d of the %d published pairs were built", self.name, found, self.count)
            return
        hint = f" {self.hint}." if self.hint else ""
        raise FileNotFoundError(
            f"{self.name}: {self.data_root} has {found} of the {self.count} published pairs; was the archive unpacked "
            f"to its end?{hint} To train on what is there: train_dataloader.dataset.count=None"
        )

    def _rows(self, found: FoundPairs, layout: Mapping[str, Any]) -> list[dict]:
        for kind, lacking, paths in (("an image", "a label", found.alone), ("a label", "an image", found.orphans)):
            if paths:
                raise FileNotFoundError(
                    f"{self.name}: {paths[0]} is {kind} without {lacking}, as are {len(paths) - 1} others; "
                    f"{len(found.pairs)} pairs were found by {layout['images']} and {layout['labels']}"
                )
        own = layout.get("table") or self.table
        if load_metainfo(own).classes != load_metainfo(self.table).classes:
            raise ConfigError(f"{self.name}: {own} must have the same classes as {self.table}")
        self.table = own
        _log.info("%s: %d pairs by %s in %s", self.name, len(found.pairs), layout["images"], self.data_root)
        return [
            {"img_path": str(image), "seg_map_path": str(label), "tile": name}
            for name, (image, label) in found.pairs.items()
        ]
