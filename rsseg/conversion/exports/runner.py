"""A whole export: which files are wanted, which are there, what was counted."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rsseg.conversion.exports.coco import write_coco
from rsseg.conversion.exports.formats import ColourExport, Export, PickleExport, YoloExport, write_file
from rsseg.datasets.labels import LabelledSet, LabelledTile, open_labels
from rsseg.errors import ConfigError, JobError
from rsseg.io.files import Writer, remove_abandoned
from rsseg.io.progress import Progress

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
    """

    format: str
    place: str
    written: int = 0
    found: int = 0
    counts: Counter[str] = field(default_factory=Counter)


def export_labels(
    root: Path | str,
    formats: Sequence[str],
    out: Path | str | None = None,
    images: Path | str | None = None,
    classes: str | None = None,
    overwrite: bool = False,
) -> list[Exported]:
    """Export a labelled set.  Every file is written whole or not at all, and finished ones are not written again.

    Args:
        root: As for :func:`rsseg.datasets.labels.open_labels`; so ``images`` and ``classes``.
        formats: Some of :data:`FORMATS`.
        out: Folder to write below; the set's own by default.
        images: Folder of the images.
        classes: Class table.
        overwrite: Write finished files again.

    Returns:
        One row per format, for :func:`export_summary`.

    Raises:
        ValueError: There is no such format, the set is damaged, or the folder holds exports of another conversion.
        FileNotFoundError: The set, or an image that a format needs, is missing.
        OSError: Writing failed; the message names the file, and what was finished before is kept.
    """
    unknown = [name for name in formats if name not in FORMATS]
    if unknown or not formats:
        raise ConfigError(f"no format {unknown[0] if unknown else ''!r}; there are {', '.join(FORMATS)}")
    source = open_labels(root, images, classes)
    folder = Path(root) if out is None else Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    claims = _Claims(folder, _origin(source))
    claims.begin(formats, overwrite)
    rows = []
    by_tile = [name for name in dict.fromkeys(formats) if name in _BY_TILE]
    if source.manifest is None and "pkl" in by_tile:
        by_tile.remove("pkl")
        rows.append(Exported("pkl", f"{source.root}: a released set has its own", found=len(source)))
    rows += _by_tile({name: _BY_TILE[name](source, folder) for name in by_tile}, source, overwrite)
    if "coco" in formats:
        rows.append(_coco(source, folder, overwrite))
    claims.end(formats)
    return rows


def export_summary(rows: Sequence[Exported]) -> str:
    """The outcome as an aligned text table."""
    lines = [f"{'format':<8}{'written':>9}{'found':>9}  where"]
    for row in rows:
        lines.append(f"{row.format:<8}{row.written:>9}{row.found:>9}  {row.place}")
        lines += [f"{'':<8}{number:>9}{'':>9}  {what}" for what, number in row.counts.items() if number]
    return "\n".join(lines)


def _origin(source: LabelledSet) -> str:
    """Hash of what decides masks and label maps of a conversion; empty for a released set, which never changes."""
    if source.manifest is None:
        return ""
    config = {key: value for key, value in source.manifest["config"].items() if key != "split"}
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode())
    with (source.root / "instances.json").open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Claims:
    """Which conversion each format in a folder comes from; what an earlier one left there would stay unnoticed."""

    def __init__(self, folder: Path, origin: str) -> None:
        self.path, self.origin = folder / ".export.json", origin
        self.known: dict[str, str] = json.loads(self.path.read_bytes()) if self.path.exists() else {}

    def begin(self, formats: Sequence[str], overwrite: bool) -> None:
        """Claim formats that nobody holds; a foreign claim ends only when all files are overwritten."""
        foreign = [name for name in formats if self.known.get(name, self.origin) != self.origin]
        if foreign and not overwrite:
            raise JobError(
                f"{self.path.parent} holds {foreign[0]} of another conversion; use --overwrite, or choose another --out"
            )
        self._write({**dict.fromkeys(formats, self.origin), **self.known})

    def end(self, formats: Sequence[str]) -> None:
        """All files of these formats are there."""
        self._write({**self.known, **dict.fromkeys(formats, self.origin)})

    def _write(self, known: dict[str, str]) -> None:
        self.known = known
        write_file(self.path, (json.dumps(known, sort_keys=True) + "\n").encode())


def _by_tile(exports: dict[str, Export], source: LabelledSet, overwrite: bool) -> list[Exported]:
    rows = {name: Exported(name, export.place) for name, export in exports.items()}
    if not exports:
        return []
    for path in (path for export in exports.values() for path in export.folders):
        path.mkdir(parents=True, exist_ok=True)
        remove_abandoned(path)
    tiles: list[tuple[Path, str | None]] = []
    progress = Progress(len(source), f"export {' '.join(exports)}", unit="tile")
    lock, writer = threading.Lock(), Writer(threads=min(os.cpu_count() or 1, 8))

    def write(tile: LabelledTile) -> None:
        for name, export in exports.items():
            finished = not overwrite and all(path.exists() for path in export.files(tile))
            counts = Counter[str]() if finished else export.write(tile)
            with lock:
                rows[name].found += finished
                rows[name].written += not finished
                rows[name].counts += counts
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


def _coco(source: LabelledSet, folder: Path, overwrite: bool) -> Exported:
    if source.manifest is not None:
        return Exported("coco", f"{source.root / 'instances.json'}, from the conversion", found=len(source))
    path = folder / "instances.json"
    if path.exists() and not overwrite:
        return Exported("coco", str(path), found=len(source))
    return Exported("coco", str(path), len(source), 0, Counter(instances=write_coco(source, path)))
