"""A whole export: which files are wanted, which are there, what was counted."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from rsseg.conversion.exports.coco import write_coco
from rsseg.conversion.exports.formats import ColourExport, Export, PickleExport, YoloExport, write_file
from rsseg.datasets.labels import LabelledSet, LabelledTile, open_labels
from rsseg.errors import ConfigError, DataError
from rsseg.io.files import Writer, remove_abandoned, sha256_of
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.output_names import make_folder, outputs_by_item
from rsseg.io.progress import Progress
from rsseg.io.sums import sum_of
from rsseg.io.tables import aligned

__all__ = ["FORMATS", "Exported", "export_labels", "export_summary"]

_log = logging.getLogger("rsseg")
_BY_TILE: dict[str, type[Export]] = {"pkl": PickleExport, "color": ColourExport, "yolo": YoloExport}
FORMATS = (*_BY_TILE, "coco")
"""Names of the formats."""


@dataclass
class Exported:
    """What became of one format.

    Attributes:
        format: Its name.
        place: Where it is.
        written: Tiles written by this call.
        found: Tiles found finished.
        counts: What else was counted in the tiles written by this call.
        problems: Why tiles could not be written, one line each.
    """

    format: str
    place: str
    written: int = 0
    found: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


def export_labels(
    root: Path | str,
    formats: Sequence[str],
    out: Path | str | None = None,
    images: Path | str | None = None,
    classes: str | None = None,
    overwrite: bool = False,
    update: bool = False,
) -> list[Exported]:
    """Export a labelled set.  Every file is written whole or not at all, and finished ones are not written again.

    Args:
        root: As for :func:`rsseg.datasets.labels.open_labels`; so ``images`` and ``classes``.
        formats: Some of :data:`FORMATS`.
        out: Folder to write below; the set's own by default.
        images: Folder of the images.
        classes: Class table.
        overwrite: Write finished files again.
        update: Write those of the tiles again whose instances have changed since, and delete those of tiles that are
            gone.

    Returns:
        One row per format, for :func:`export_summary`.

    Raises:
        ConfigError: There is no such format.
        DataError: The set is damaged; a label map that cannot be read is a problem of its tile only.
        JobError: The folder holds exports of another conversion, or of instances that have changed since.
        FileNotFoundError: The set, or an image that a format needs, is missing.
        OSError: Writing failed; the message names the file, and what was finished before is kept.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ConfigError(f"unknown format {unknown[0] if unknown else ''!r}; expected one of: {', '.join(FORMATS)}")
    source = open_labels(root, images, classes)
    folder = Path(root) if out is None else Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    by_tile = [name for name in dict.fromkeys(formats) if name in _BY_TILE]
    if source.manifest is None and "pkl" in by_tile:
        by_tile.remove("pkl")
        rows.append(Exported("pkl", f"{source.root}: a released set has its own", found=len(source)))
    exports = {name: _BY_TILE[name](source, folder) for name in by_tile}
    for path in (path for export in exports.values() for path in export.folders):
        make_folder(folder, *path.relative_to(folder).parts)
    _claim(exports, "coco" in formats, source, folder, overwrite, update)
    rows += _by_tile(exports, source)
    if "coco" in formats:
        rows.append(_coco(source, folder))
    return rows


def export_summary(rows: Sequence[Exported]) -> str:
    """The outcome as an aligned text table."""
    lines: list[tuple[Any, ...]] = [("format", "written", "found", "where")]
    for row in rows:
        lines.append((row.format, row.written, row.found, row.place))
        lines += [("", number, "", what) for what, number in row.counts.items() if number]
    return aligned(lines, left=(0, 3))


def _claim(
    exports: Mapping[str, Export], coco: bool, source: LabelledSet, folder: Path, overwrite: bool, update: bool
) -> None:
    """See for each format that what is finished comes from the set as it is now."""
    manifest = source.manifest or {}
    config = {key: value for key, value in manifest.get("config", {}).items() if key != "split"}
    depends = {"config": config, "predictor": manifest.get("predictor"), "class_table": source.table.rows}
    digests = _digests(source) if exports or (coco and source.manifest is None) else {}
    items = {name: {"tile": Input(source.root, name, digest)} for name, digest in digests.items()}
    outputs = {name: Outputs.existing(partial(outputs_by_item, export.folders)) for name, export in exports.items()}
    if coco and source.manifest is None:  # one file of all tiles
        path, first = folder / "instances.json", next(iter(items), "")
        outputs["coco"] = Outputs(lambda: {first: [path]} if path.exists() else {}, lambda _: path.exists(), [path])
    for name, found in outputs.items():
        job = Job(folder, f"{name} of a conversion", f".export.{name}.json", "use --overwrite, or choose another --out")
        if overwrite:
            job.path.unlink(missing_ok=True)
            for path in (path for own in found.files().values() for path in own):
                path.unlink(missing_ok=True)
        job.claim(depends, items, found, update or overwrite)


def _digests(source: LabelledSet) -> dict[str, str]:
    """Hash of each tile's instances; of a released set also of its label map, which a conversion makes itself."""
    progress = Progress(len(source), "read", unit="tile")
    found = {}
    for tile in source:
        labels = sha256_of(tile.labels) if source.manifest is None else ""
        found[tile.name] = sum_of(f"{(tile.size, tile.instances)!r}{labels}".encode())[:32]
        progress.step()
    progress.close()
    return found


def _by_tile(exports: dict[str, Export], source: LabelledSet) -> list[Exported]:
    rows = {name: Exported(name, export.place) for name, export in exports.items()}
    if not exports:
        return []
    for path in (path for export in exports.values() for path in export.folders):
        remove_abandoned(path)
    tiles: list[tuple[Path, str | None]] = []
    progress = Progress(len(source), f"export {' '.join(exports)}", unit="tile")
    lock, writer = threading.Lock(), Writer(threads=min(os.cpu_count() or 1, 8))

    def write(tile: LabelledTile) -> None:
        for name, export in exports.items():
            finished = all(path.exists() for path in export.files(tile))
            counts, problem = Counter[str](), None
            try:
                counts = Counter[str]() if finished else export.write(tile)
            except (DataError, FileNotFoundError) as error:  # of its label map; what cannot be written ends the export
                problem = str(error)
                if str(tile.labels) not in problem:
                    raise
                _log.warning("left out: %s", problem)
            with lock:
                rows[name].found += finished
                rows[name].written += not finished and problem is None
                rows[name].counts += counts
                rows[name].problems += [] if problem is None else [problem]
        with lock:
            progress.step()

    try:
        for tile in source:
            tiles.append((Path(f"{tile.name}{tile.image.suffix if tile.image else '.png'}"), tile.split))
            writer.submit_checked(write, tile)
        writer.close_checked()
    finally:
        writer.close(cancel=True)
        progress.close()
    for export in exports.values():
        for path, text in export.lists(tiles).items():
            write_file(path, text.encode())
    return list(rows.values())


def _coco(source: LabelledSet, folder: Path) -> Exported:
    if source.manifest is not None:
        return Exported("coco", f"{source.root / 'instances.json'}, from the conversion", found=len(source))
    path = folder / "instances.json"
    if path.exists():
        return Exported("coco", str(path), found=len(source))
    return Exported("coco", str(path), len(source), 0, Counter(instances=write_coco(source, path)))
