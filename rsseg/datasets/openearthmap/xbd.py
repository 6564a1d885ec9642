"""The images that OpenEarthMap's release leaves out, put in from a user's own xBD folder.

Source: OpenEarthMap release: ``xbd_files.csv`` pairs the names, an image gets the georeferencing of its label.  Unlike
the release's script this one also serves regions of several words and images whose labels are withheld.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rasterio.io import MemoryFile

from rsseg.datasets.detection import read_image
from rsseg.datasets.openearthmap.regions import region_of
from rsseg.errors import DataError, UserError
from rsseg.io.files import remove_abandoned, replacing
from rsseg.io.listing import find_files, walk_files
from rsseg.io.names import read_lines, unique_names
from rsseg.io.progress import Progress
from rsseg.io.rasters import opened
from rsseg.io.tables import write_csv
from rsseg.io.workers import map_threads
from rsseg.messages import few

__all__ = ["Filled", "fill_xbd", "read_pairs", "write_account"]

_log = logging.getLogger("rsseg")
_LISTING = "xbd_files.csv"
_ENDING = "_pre_disaster.png"
_SUFFIXES = (".png", ".tif")
"""Of the two archives of xBD, the challenge's pictures and the GeoTIFFs; of an image in both, the first serves."""


@dataclass
class Filled:
    """What became of each pair, by what happened.

    Attributes:
        rows: OpenEarthMap's name, xBD's name, outcome (``written``, in a dry run ``can be written``, ``found``,
            ``not in xBD``, ``failed``), detail.
        unlabelled: Images written, or to be written, whose label is not there; PNGs of these get no georeferencing.
        other_suffix: One of the images that the xBD folder has, but in neither format; None where there is none.
    """

    rows: list[tuple[str, str, str, str]] = field(default_factory=list)
    unlabelled: int = 0
    other_suffix: Path | None = None

    @property
    def counts(self) -> Counter[str]:
        """How many pairs had each outcome."""
        return Counter(row[2] for row in self.rows)

    @property
    def error_summary(self) -> str | None:
        """What is missing and what to do about it; None where nothing is."""
        absent = [row for row in self.rows if row[2] == "not in xBD"]
        failed = [f"{name}: {detail}" for name, _, outcome, detail in self.rows if outcome == "failed"]
        if not absent and not failed:
            return None
        events = Counter(xbd.partition("_")[0] for _, xbd, _, _ in absent)
        lines = [f"  {event}: {count} images" for event, count in sorted(events.items())]
        if absent:
            lines.insert(0, f"{len(absent)} images are not in the xBD folder, for example {absent[0][1]}; by event:")
            lines.append("xBD has four parts (train, tier3, test, hold); unpack the other parts into the same folder.")
        if self.other_suffix is not None:
            lines.append(f"{self.other_suffix} is one of them, but xBD's PNGs or GeoTIFFs are needed.")
        if failed:
            lines.append(few(f"{len(failed)} images could not be used:", failed, "the file of --account"))
        return "\n".join([*lines, "Then repeat the command; existing images are kept."])


def read_pairs(root: Path | str) -> list[tuple[str, str]]:
    """Pairs of the xBD file and the OpenEarthMap file in ``xbd_files.csv`` below ``root``.

    Raises:
        FileNotFoundError: There is no such table.
        DataError: A line is no such pair, or a name of OpenEarthMap is there twice.
    """
    path = Path(root) / _LISTING
    pairs: list[tuple[str, str]] = []
    for number, line in read_lines(path, "a table of the release, beside its lists"):
        row = [Path(field.strip().strip('"')).name for field in line.split(",")]
        if not any(row):
            continue
        if len(row) != 2 or not row[0].endswith(_ENDING):
            raise DataError(f"{path}, line {number}: expected <event>_<number>{_ENDING},<region>_<n>.tif, got {row}")
        region_of(row[1])
        pairs.append((row[0], f"{row[1].removesuffix('.tif')}.tif"))
    unique_names([name for _, name in pairs], str(path))
    return pairs


def fill_xbd(root: Path | str, xbd: Path | str, workers: int = os.cpu_count() or 1, dry: bool = False) -> Filled:
    """Write the missing images of OpenEarthMap as GeoTIFFs; images that are there stay.

    Args:
        root: Folder of the unpacked release.
        xbd: Folder of xBD's images, PNGs or GeoTIFFs, in any sub-folders.
        workers: Threads.
        dry: Write nothing, only say what would be done.

    Raises:
        FileNotFoundError: ``xbd_files.csv`` or the xBD folder is missing.
        DataError: As for :func:`read_pairs`, or two images of xBD have one name.
        OSError: An image cannot be written; the message names it.
    """
    if not Path(xbd).is_dir():
        raise FileNotFoundError(f"{xbd}: no such folder; unpack xBD's images there")
    pairs = read_pairs(root)
    sources = _sources(Path(xbd), {name for name, _ in pairs})
    folders = [Path(root) / region_of(name) for _, name in pairs]
    for folder in {folder / "images" for folder in folders}:
        if not dry:
            folder.mkdir(parents=True, exist_ok=True)
            remove_abandoned(folder)
    out, progress = Filled(), Progress(len(pairs), "fill")
    todo = [(folder, name, sources.get(xbd_name)) for folder, (xbd_name, name) in zip(folders, pairs, strict=True)]
    done = map_threads(lambda item: _fill(*item, dry=dry), todo, workers)
    for (xbd_name, name), (outcome, detail, labelled) in zip(pairs, done, strict=True):
        out.rows.append((name, xbd_name, outcome, detail))
        out.unlabelled += outcome in ("written", "can be written") and not labelled
        progress.step()
    progress.close()
    absent = {Path(row[1]).stem for row in out.rows if row[2] == "not in xBD"}
    out.other_suffix = next((path for path in _other_suffixes(Path(xbd)) if path.stem in absent), None)
    summary = ", ".join(f"{count} {outcome}" for outcome, count in sorted(out.counts.items()))
    _log.info("%d images of xBD: %s; %d of them without label", len(pairs), summary, out.unlabelled)
    return out


def _sources(xbd: Path, wanted: set[str]) -> dict[str, Path]:
    """Those of xBD's images that are wanted, by name; of files of one name, such as masks, that in ``images``.

    Folders of its two archives may lie side by side: the PNG serves, and the GeoTIFF where there is no PNG.
    """
    found: dict[str, list[Path]] = {}
    endings = [_ENDING.replace(".png", suffix) for suffix in _SUFFIXES]
    for path in find_files(xbd, endings, "images of xBD", empty=True):
        if f"{path.stem}.png" in wanted:
            found.setdefault(f"{path.stem}.png", []).append(path)
    chosen = {}
    for name, paths in found.items():
        suffix = next(suffix for suffix in _SUFFIXES if any(path.suffix == suffix for path in paths))
        same = [path for path in paths if path.suffix == suffix]
        likely = [path for path in same if path.parent.name == "images"] or same
        if len(likely) > 1:
            raise DataError(f"{likely[0]} and {likely[1]} have the same name {name!r}; rename or remove one")
        chosen[name] = likely[0]
    return chosen


def _other_suffixes(xbd: Path) -> list[Path]:
    """Images as xBD calls them, but in neither format."""
    start, known = _ENDING.removesuffix(".png"), ("", *_SUFFIXES)
    return sorted(path for path in walk_files(xbd) if path.stem.endswith(start) and path.suffix not in known)


def _fill(folder: Path, name: str, source: Path | None, dry: bool) -> tuple[str, str, bool]:
    """Outcome, detail, and whether there is a label."""
    target, label = folder / "images" / name, folder / "labels" / name
    if target.is_file():
        return "found", "", label.is_file()
    if source is None:
        return "not in xBD", "", label.is_file()
    try:
        pixels = read_image(source)
        place = _place(label if label.is_file() else source, pixels.shape[:2])
    except (UserError, OSError) as error:
        return "failed", str(error), label.is_file()
    if not dry:
        profile = {"driver": "GTiff", "count": 3, "dtype": "uint8", "compress": "deflate", "predictor": 2}
        height, width = pixels.shape[:2]
        with MemoryFile() as memory:
            with memory.open(width=width, height=height, photometric="RGB", **profile, **place) as raster:
                raster.write(pixels.transpose(2, 0, 1))
            with replacing(target) as file:
                file.write(memory.getbuffer())
    return "can be written" if dry else "written", "", label.is_file()


def _place(path: Path, size: tuple[int, int]) -> dict[str, Any]:
    """Georeferencing of a raster, which must have the given size (H, W); nothing where it has none."""
    with opened(path) as raster:
        if raster.shape != size:
            raise DataError(f"{path} is {raster.shape} high and wide, the image {size}")
        return {"crs": raster.crs, "transform": raster.transform} if raster.crs else {}


def write_account(rows: Sequence[Sequence[str]], path: Path) -> None:
    """Write the rows of :class:`Filled` as CSV.

    Raises:
        OSError: The file cannot be written; the message names it.
    """
    write_csv(path, ("image", "xbd", "outcome", "detail"), rows)
