"""What a map says: areas per class, and how well it agrees with reference labels."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import locate
from rsseg.io.areas import measure_class_areas
from rsseg.io.georeference import GeoReference
from rsseg.io.tables import aligned, write_csv
from rsseg.mapping.reference import ReferenceLabels
from rsseg.metainfo import IGNORE, ClassTable, load_metainfo, merged_ids, unmatched_ids
from rsseg.structures.confusion import confusion_matrix, scores

__all__ = ["Accuracy", "AreaTable", "Reference", "measure_accuracy", "measure_areas"]

Bytes = NDArray[np.uint8]


@dataclass
class AreaTable:
    """Area of every class in a map.

    Attributes:
        classes: Names.
        pixels: (C,) int64.
        metres: (C,) float64 square metres, or None where pixels have no size.
        method: How a pixel's area was found, in words.
        unmapped: Pixels without a class.
        reason: Why they have none.
    """

    classes: tuple[str, ...]
    pixels: NDArray[np.int64]
    metres: NDArray[np.float64] | None
    method: str
    unmapped: int
    reason: str = "without data"

    def rows(self) -> list[list[str]]:
        """Header and a row per class: class, pixels, m2, km2, percent of what is mapped."""
        total = max(int(self.pixels.sum()), 1) if self.metres is None else max(float(self.metres.sum()), 1e-300)
        out = [["class", "pixels", "m2", "km2", "percent"]]
        for i, name in enumerate(self.classes):
            size = int(self.pixels[i]) if self.metres is None else float(self.metres[i])
            square = ["", ""] if self.metres is None else [f"{size:.2f}", f"{size / 1e6:.6f}"]
            out.append([name, str(int(self.pixels[i])), *square, f"{100 * size / total:.3f}"])
        return out

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        columns, *rows = self.rows()
        write_csv(path, columns, rows)

    def __str__(self) -> str:
        return "\n".join([aligned(self.rows()), f"areas: {self.method}; {self.unmapped} pixels {self.reason}"])


def measure_areas(path: Path, table: ClassTable) -> AreaTable:
    """Count a class map, a few rows at a time.

    Raises:
        OSError: The map cannot be read.
    """
    found = measure_class_areas(path, table.num_classes)
    with rasterio.open(path) as file:
        tags = file.tags()
    reasons = {"RSSEG_AREA": " or outside of the area", "RSSEG_THRESHOLD": " or below the threshold"}
    reason = "without data" + "".join(text for key, text in reasons.items() if key in tags)
    return AreaTable(table.classes, found.pixels, found.metres, found.method, found.unmapped, reason)


@dataclass(frozen=True)
class Reference:
    """Labels to compare a map with.

    Attributes:
        path: A raster of one 8-bit band.
        labels: Class table (name or path) of its values; None for the map's.
        merge: Common table (name or path) in which both label sets meet; None where they have the same classes.
        mapped: Class table (name or path) of the map; or the classes themselves, where they are only words: those are
            compared with the labels' classes of the same name or first prompt, and the other labels do not count.

    Raises:
        ConfigError: The classes differ and there is no common table, or it does not know both sets.
    """

    path: str
    labels: str | None = None
    merge: str | None = None
    mapped: str | ClassTable | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", locate(self.path))  # whose text may be shown
        if isinstance(self.mapped, ClassTable):
            if self.labels is None or self.merge is not None:
                raise ConfigError(
                    "--merge does not apply to --vocabulary; name the class table of the labels with "
                    "--reference-classes only"
                )
            if (self._named == IGNORE).all():
                raise ConfigError(f"none of {', '.join(self.mapped.classes)} is a class of {self.labels}, which has "
                                 f"{', '.join(load_metainfo(self.labels).classes)}")  # fmt: skip
        elif self.labels is None and self.merge is None:
            return
        elif self.mapped is None:
            raise ConfigError("--merge requires a map with a class table")
        elif self.merge is not None:
            unmatched_ids(self.merge, self.mapped, self.labels or self.mapped)
        elif load_metainfo(self.labels or "").classes != load_metainfo(self.mapped).classes:
            raise ConfigError(
                f"the map has the classes of {self.mapped!r}, but the reference those of {self.labels!r}; name a "
                "common "
                "class table with --merge, for example landcover6"
            )

    def common(self, table: ClassTable) -> tuple[ClassTable, tuple[int, ...]]:
        """The table in which a map of ``table`` is compared, and which of its classes stay out of the means."""
        if isinstance(self.mapped, ClassTable):
            held = set(self._named.tolist())
            return table, tuple(i for i in range(table.num_classes) if i not in held)
        if self.merge is None or self.mapped is None:
            return table, table.unscored
        return load_metainfo(self.merge), unmatched_ids(self.merge, self.mapped, self.labels or self.mapped)

    def ids(self, mapped: Bytes, values: Bytes, table: ClassTable) -> tuple[Bytes, Bytes]:
        """Class ids of the map and of label values, both in the common table."""
        truth = (load_metainfo(self.labels) if self.labels else table).encode(values, self.path)
        if isinstance(self.mapped, ClassTable):
            return mapped, self._named[truth]
        if self.merge is None or self.mapped is None:
            return mapped, truth
        return merged_ids(self.merge, self.mapped)[mapped], merged_ids(self.merge, self.labels or self.mapped)[truth]

    @functools.cached_property
    def _named(self) -> Bytes:
        """(256,) id of a label -> id of the word that it is called by; 255 where there is none."""
        assert isinstance(self.mapped, ClassTable) and self.labels is not None
        labels, out = load_metainfo(self.labels), np.full(256, IGNORE, np.uint8)
        words = {name.lower(): i for i, name in enumerate(self.mapped.classes)}
        for i, (name, text) in enumerate(zip(labels.classes, labels.texts, strict=True)):
            for one in (name, name.replace("-", " ").replace("_", " "), text):
                out[i] = words.get(one.lower(), out[i])
        return out


@dataclass
class Accuracy:
    """Agreement of a map with reference labels.

    Attributes:
        classes: Names.
        confusion: (C, C) int64, rows true, columns mapped.
        unmapped: Labelled pixels where the map has no data, or a class that no common one takes; they do not count.
        unscored: Ids of classes that stay out of the means.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.int64]
    unmapped: int
    unscored: tuple[int, ...] = ()

    def rows(self) -> list[list[str]]:
        """Header, a row per class (IoU, F1, recall in percent, labelled pixels), and the means with OA."""
        found = scores(self.confusion, self.unscored)
        out = [["class", "IoU", "F1", "Acc", "pixels"]]
        for i, name in enumerate(self.classes):
            out.append([name, *(f"{100 * found[key][i]:.2f}" for key in ("IoU", "F1", "Acc"))])
            out[-1].append(str(int(self.confusion[i].sum())))
        means = [f"{100 * float(found[key]):.2f}" for key in ("mIoU", "mF1", "mAcc")]
        total = str(int(self.confusion.sum()))
        return [*out, ["mean", *means, total], ["OA", "", "", f"{100 * float(found['OA']):.2f}", total]]

    def write(self, path: Path) -> None:
        """Write the rows as CSV."""
        columns, *rows = self.rows()
        write_csv(path, columns, rows)

    def __str__(self) -> str:
        lines = [aligned(self.rows())]
        left = [f"{self.unmapped} labelled pixels are not mapped and not scored"] if self.unmapped else []
        names = ", ".join(self.classes[i] for i in self.unscored)
        out = [f"mean and OA leave out {names}"] if names else []
        return "\n".join(lines + left + out)


def measure_accuracy(
    path: Path, reference: Reference, table: ClassTable, source: GeoReference | None = None
) -> Accuracy:
    """Compare a class map with reference labels, window by window; where there is no label, nothing counts.

    Args:
        path: The map.
        reference: The labels.
        table: Classes of the map.
        source: Where the mapped raster lies, if the map has other pixels: see :class:`ReferenceLabels`.

    Raises:
        OSError: The labels cannot be read.
        DataError: The two have no ground in common, or a value is no label of its table.
    """
    common, unscored = reference.common(table)
    confusion, unmapped = np.zeros((common.num_classes,) * 2, np.int64), 0
    with rasterio.open(path) as file, ReferenceLabels(reference.path, GeoReference.of(file), source) as labels:
        for window in labels.windows():
            values, labelled = labels.read(window)
            mapped, truth = reference.ids(file.read(1, window=window), values, table)
            truth[~labelled] = IGNORE
            unmapped += int(((mapped == IGNORE) & (truth != IGNORE)).sum())
            truth[mapped == IGNORE] = IGNORE
            confusion += confusion_matrix(mapped, truth, common.num_classes, IGNORE)
    if not confusion.any():
        raise DataError(f"{reference.path}: labels no pixel of the map; check that both cover the same ground")
    return Accuracy(common.classes, confusion, unmapped, unscored)
