"""Which rasters are mapped, and what their maps are called: NAME.tif, so that tools pair maps with labels by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsseg.errors import DataError
from rsseg.io.listing import RASTER_SUFFIXES, find_files, has_suffix
from rsseg.io.names import read_lines
from rsseg.mapping.mosaic import VRT

__all__ = ["MAP_ENDS", "check_jobs", "sources_of"]

MAP_ENDS = (".tif", ".png", "_probabilities.tif", "_overlay.png")
"""What follows the name of a map in the names of the rasters that are made of it."""

Job = tuple[str, Path]


def sources_of(source: str, target: Path) -> list[Job]:
    """Rasters and their maps: one, those in a folder, or those of a ``.txt`` list (paths from the list's folder).

    Maps have the names of their rasters.  Those of a folder keep its sub-folders; where some are called ``images`` and
    others ``labels``, only rasters in the former are taken.  A map that would lie beside its raster is called
    NAME_map.tif; such maps, and those in a sub-folder that is the target, are no sources.

    Raises:
        FileNotFoundError: There is no such folder or list, or no raster in it.
        DataError: The list is empty, or a single map's name ends in neither .tif nor .png; or as for
            :func:`check_jobs`.
    """
    path = Path(source)
    if path.is_dir():
        jobs = [(str(file), _map_of(file, target / file.relative_to(path).parent)) for file in _rasters(path, target)]
    elif path.suffix == ".txt":
        files = [path.parent / line for _, line in read_lines(path, "a text file with one raster per line")]
        if not files:
            raise DataError(f"{path}: the list is empty; expected one raster per line")
        jobs = [(str(file), _map_of(file, target)) for file in files]
    elif target.is_dir() or has_suffix(target, (".tif", ".tiff", ".png")):
        return [(source, _map_of(path, target) if target.is_dir() else target)]
    else:
        raise DataError(
            f"{target}: the name of a map must end in .tif or .png; for a folder of maps, create {target} first"
        )
    check_jobs(jobs)
    return jobs


def _rasters(folder: Path, target: Path) -> list[Path]:
    files = find_files(folder, RASTER_SUFFIXES, "rasters")
    if {"images", "labels"} <= {file.parent.name for file in files}:
        files = [file for file in files if file.parent.name == "images"]
    out = target.resolve()
    if out == folder.resolve():
        made = {file.with_name(f"{file.stem}_map{end}") for file in files for end in MAP_ENDS} | {folder / VRT}
        found = [file for file in files if file not in made]
    else:
        found = [file for file in files if out not in file.resolve().parents]
    if not found:
        raise FileNotFoundError(f"{folder}: contains only maps of {target}; expected rasters")
    return found


def _map_of(raster: Path, folder: Path) -> Path:
    beside = folder.resolve() == raster.parent.resolve()
    return folder / f"{raster.stem}{'_map' if beside else ''}.tif"


def check_jobs(jobs: Sequence[Job]) -> None:
    """See before the work that no two maps have one name, whatever its suffix and case, and none replaces a raster.

    Raises:
        DataError: Otherwise; the message names both.
    """
    owners: dict[str, str] = {}
    for source, target in jobs:
        key = _key(target.with_suffix(""))
        other = owners.get(key)
        if other == source:
            raise DataError(f"{source}: is listed twice; list it once")
        if other is not None:
            raise DataError(
                f"{other} and {source}: two rasters would become maps of the same name, {target.stem}; rename one, or "
                "map them by two commands into a folder each"
            )
        owners[key] = source
    for source, target in jobs:
        for end in MAP_ENDS[2:]:
            other = owners.get(_key(target.with_name(target.stem + Path(end).stem)))
            if other is not None:
                raise DataError(
                    f"{other}: its map would have the name of another file of the map of {source}, {target.stem}{end}; "
                    "rename one, or map them by two commands into a folder each"
                )
    rasters = {Path(source).resolve(): source for source, _ in jobs}
    for source, target in jobs:
        other = rasters.get(target.resolve())
        if other is not None:
            raise DataError(f"{target}: the map of {source} would replace the raster {other}; choose another folder")


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
