"""Writing LandDiscover50K: ``TR_Image/`` and ``GT_ID/`` as published, and what they hold in numbers.

A label holds the ids of the class table, 0 where nothing is known.  Its image is a link to the source's file, or a PNG
where it was cut or copies are wanted.  Names begin with the source's.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.command_list import command
from rsseg.datasets.detection import read_image
from rsseg.datasets.landdiscover.sources import SOURCES, Item, Window, find_items
from rsseg.datasets.pairs import find_pairs
from rsseg.datasets.preparation import ColourCode
from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io.files import remove_abandoned, replacing
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.labels import read_labels
from rsseg.io.output_names import TILE, make_folder, outputs_by_item
from rsseg.io.progress import Progress
from rsseg.io.rgb import convert_to_rgb
from rsseg.io.tables import boxed, write_csv
from rsseg.io.workers import run_threads
from rsseg.messages import few
from rsseg.metainfo import IGNORE, load_metainfo, merged_ids
from rsseg.structures.pictures import indexed
from rsseg.structures.windows import cut_window

__all__ = ["TABLE", "Built", "build_landdiscover"]

_log = logging.getLogger("rsseg")
TABLE = "landdiscover"
_HALF = 127
"""DeepGlobe's release says to cut every channel of a label at 128."""


@dataclass
class Built:
    """What the folder of the set holds after a call of :func:`build_landdiscover`, and what the call did.

    Attributes:
        pairs: Names of the pairs that are there, by source.
        pixels: (40,) int64 pixels of each class, by source; those of class 0 have no label.
        images: (40,) int64 pairs in which each class occurs, by source.
        written: Pairs written by this call.
        failures: ``file: reason`` of what could not be used.
    """

    pairs: dict[str, list[str]] = field(default_factory=dict)
    pixels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    images: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    written: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, item: Item, counts: NDArray[np.int64], written: int) -> None:
        """Count an item in: (pairs, classes) pixels, and how many of its pairs this call wrote."""
        self.pairs.setdefault(item.source, []).extend(item.pairs)
        for totals, own in ((self.pixels, counts.sum(0)), (self.images, (counts > 0).sum(0))):
            totals[item.source] = totals.get(item.source, 0) + own
        self.written += written

    @property
    def account(self) -> str:
        """What is there and what lacks for the published 51,846 pairs, a line for each source."""
        lines, published = [], sum(source.count for source in SOURCES.values())
        for name, source in SOURCES.items():
            count = len(self.pairs.get(name, []))
            more = count - source.count
            verdict = "complete" if more == 0 else f"{abs(more)} {'more than published' if more > 0 else 'are missing'}"
            lines.append(f"{name}: {count} of {source.count} pairs, {verdict}")
        total = sum(map(len, self.pairs.values()))
        whole = all(len(self.pairs.get(name, [])) == source.count for name, source in SOURCES.items())
        lines.append(f"all: {total} of {published} pairs, {'complete, as published' if whole else 'not the whole set'}")
        return "\n".join(lines)

    @property
    def error_summary(self) -> str | None:
        """What could not be used and what to do; None where everything could."""
        if not self.failures:
            return None
        xbd = any(line.startswith("openearthmap") and "missing" in line for line in self.failures)
        hint = f" The release of OpenEarthMap has no images of xBD: {command('fill-xbd')} adds them." if xbd else ""
        advice = f"Fix or remove these files and run the command again.{hint}"
        return f"{few(f'{len(self.failures)} files could not be used:', self.failures)}\n{advice}"


def build_landdiscover(
    folders: Mapping[str, Sequence[Path | str]],
    out: Path | str,
    copy: bool = False,
    workers: int = 1,
    update: bool = False,
) -> Built:
    """Write the pairs of all sources that are given; pairs that are there are whole and are not written again.

    Args:
        folders: Folders of each source, by its name in ``SOURCES``.
        out: Folder of the set; made where it is missing.
        copy: Write all images as PNG, so that the set can be moved; otherwise images that are not cut become links.
        workers: Threads; decoding, encoding and writing let others run.
        update: Write anew the pairs of images and labels that have changed since, and delete those that are gone.

    Raises:
        FileNotFoundError: A folder is missing or holds no labels.
        ConfigError: A source is unknown.
        DataError: Two images have one name.
        JobError: ``out`` was started with another ``copy``, or with images or labels that have changed since.
        OSError: A file cannot be written; the message names it.
    """
    out, built = Path(out), Built()
    if unknown := sorted(set(folders) - set(SOURCES)):
        raise ConfigError(f"unknown source {unknown[0]!r} of LandDiscover50K; expected one of: {', '.join(SOURCES)}")
    items: list[Item] = []
    for name in folders:
        found, problems = find_items(name, folders[name])
        items += found
        built.failures += [f"{name}: {problem}" for problem in problems]
    job = _claim(out, copy, items, set(folders), update)
    items += _items_before(out, set(folders))
    cv2.setNumThreads(1)
    progress, failed = Progress(len(items), "build"), []
    for item, result in run_threads(partial(_write, out=out, copy=copy), items, workers):
        if isinstance(result, str):
            built.failures.append(f"{item.source}: {result}")
            failed.append(_name(item))
            _log.warning("left out: %s", built.failures[-1])
        else:
            built.add(item, *result)
        progress.step()
    seconds = progress.close()
    job.mark(failed)
    built.failures.sort()
    _log.info("%d images, %d pairs written, %.1f s", len(items), built.written, seconds)
    _tell(built, out)
    return built


def _name(item: Item) -> str:
    return f"{item.source}__{item.image.stem}"


def _claim(out: Path, copy: bool, items: Sequence[Item], given: set[str], update: bool) -> Job:
    kinds = [out / kind for kind in ("TR_Image", "GT_ID")]
    for folder in kinds:
        make_folder(out, folder.name)
        remove_abandoned(folder)
    tables = {name: load_metainfo(name).rows for name in (TABLE, *(source.table for source in SOURCES.values()))}
    inputs = {
        _name(item): {
            "image": Input(item.image, item.image.name, hashed=False),
            "labels": Input(item.label, item.label.name, always=True),
        }
        for item in items
    }

    def outputs() -> dict[str, list[Path]]:
        found = outputs_by_item(kinds)  # quarters of DeepGlobe's images besides
        quarters = outputs_by_item(kinds, TILE).items()
        return {**found, **{name: files for name, files in quarters if name.startswith("deepglobe__")}}

    job = Job(out, "a set", hint="go on so, or remove it")
    depends = {"images": "copies" if copy else "links", "class_tables": tables}
    job.claim(depends, inputs, Outputs.existing(outputs), update, own=lambda name: name.partition("__")[0] in given)
    return job


def _items_before(out: Path, given: set[str]) -> list[Item]:
    """Pairs that earlier calls made of sources that are not given now, to be counted."""
    found = find_pairs(out, "TR_Image/*", "GT_ID/*.png").pairs
    items = [Item(name.partition("__")[0], *paths, pairs={name: None}) for name, paths in found.items()]
    return [item for item in items if item.source in SOURCES and item.source not in given]


def _write(item: Item, out: Path, copy: bool) -> tuple[NDArray[np.int64], int] | str:
    """Pixels (pairs, classes) of an item and how many of its pairs were written, or why it cannot be used."""
    places = {name: _places(out, name, item, window, copy) for name, window in item.pairs.items()}
    counts, written = [], 0
    try:
        todo = [name for name, (image, label) in places.items() if not (image.exists() and label.exists())]
        for name in places.keys() - set(todo):
            counts.append(_count(read_labels(str(places[name][1]))))
        # decoded also where it is only linked: it may be cut short
        pixels = read_image(item.image, repeat_grey=True) if todo else None
        ids = None if pixels is None else _ids(item, pixels.shape[:2])
    except UserError as error:
        return str(error)
    except OSError as error:
        return f"{item.label} or its image cannot be read ({error})"
    for name in todo:
        assert ids is not None and pixels is not None
        (image, label), window = places[name], item.pairs[name]
        own = _cut(ids, window)
        with replacing(label) as file:  # the label first: an image is what says that a pair is there
            indexed(own, _palette()).save(file, format="PNG")
        if copy or item.coloured:
            with replacing(image) as file:
                file.write(cv2.imencode(".png", np.ascontiguousarray(_cut(pixels, window)[..., ::-1]))[1].tobytes())
        else:
            _link(item.image, image)
        counts.append(_count(own))
        written += 1
    return np.stack(counts), written


def _places(out: Path, name: str, item: Item, window: Window | None, copy: bool) -> tuple[Path, Path]:
    suffix = ".png" if copy or window else item.image.suffix.lower()
    return out / "TR_Image" / f"{name}{suffix}", out / "GT_ID" / f"{name}.png"


def _ids(item: Item, size: tuple[int, ...]) -> NDArray[np.uint8]:
    """(H, W) uint8 ids of the common table, 0 where there is no label; ``size`` (H, W) is the image's."""
    table, where = load_metainfo(SOURCES[item.source].table), str(item.label)
    raw = _colours().encode(convert_to_rgb(where), where)[0] if item.coloured else read_labels(where)
    if raw.shape != size:
        raise DataError(f"{where}: is {raw.shape} high and wide, its image {item.image} {size}")
    common = merged_ids(TABLE, SOURCES[item.source].table)[table.encode(raw, where)]
    return np.where(common == IGNORE, 0, common).astype(np.uint8)


def _cut(plane: NDArray[np.uint8], window: Window | None) -> NDArray[np.uint8]:
    return plane if window is None else np.ascontiguousarray(cut_window(plane, window))


def _count(ids: NDArray[np.uint8]) -> NDArray[np.int64]:
    classes = load_metainfo(TABLE).num_classes
    found = np.bincount(ids.ravel(), minlength=classes)
    if len(found) > classes:
        raise DataError(f"a label holds {len(found) - 1}, ids end at {classes - 1}; remove the folder, build it again")
    return found


@functools.cache
def _colours() -> ColourCode:
    return ColourCode("deepglobe", {(0, 0, 0): 0}, _HALF)


@functools.cache
def _palette() -> NDArray[np.uint8]:
    palette = np.zeros((256, 3), np.uint8)
    palette[: load_metainfo(TABLE).num_classes] = load_metainfo(TABLE).palette
    return palette


def _link(source: Path, target: Path) -> None:
    """Link in one step: another process may make the same link, and an old one may point to where the source was."""
    try:
        with replacing(target) as file:
            Path(file.name).unlink()
            Path(file.name).symlink_to(source.resolve())
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; --copy writes images instead of links") from error


def _tell(built: Built, out: Path) -> None:
    """Log the table of pixels and write it to ``counts.csv``."""
    names = [name for name in SOURCES if name in built.pixels]
    if not names:
        return
    columns = ["class", *names, "pixels", "images"]
    pixels, images = (np.stack([totals[name] for name in names], 1) for totals in (built.pixels, built.images))
    counts = np.column_stack([pixels, pixels.sum(1), images.sum(1)]).tolist()
    rows = [[name, *own] for name, own in zip(load_metainfo(TABLE).classes, counts, strict=True)]
    _log.info("%s\n%s", boxed(columns, rows), built.account)
    write_csv(out / "counts.csv", columns, rows)
