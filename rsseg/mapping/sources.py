"""Which rasters are mapped, and what their maps are called: NAME.tif, so that tools pair maps with labels by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import Address, hide_secrets, is_address, locate, opened_name
from rsseg.io.listing import RASTER_SUFFIXES, find_files, has_suffix
from rsseg.io.names import read_lines
from rsseg.io.remote import list_prefix
from rsseg.io.storage import is_storage
from rsseg.mapping.mosaic import VRT, is_own
from rsseg.mapping.stac import STAC, StacRequest, items_of

__all__ = ["MAP_ENDS", "check_jobs", "sources_of"]

MAP_ENDS = (".tif", ".png", "_probabilities.tif", "_overlay.png")
"""What follows the name of a map in the names of the rasters that are made of it."""

Job = tuple[str, Path]


def sources_of(
    source: str,
    target: Path,
    request: StacRequest = StacRequest(),  # noqa: B008, frozen
    place: Path | str = "",
) -> list[Job]:
    """Rasters and their maps: one, those in a folder or below a prefix, items of STAC, or those of a ``.txt`` list.

    Maps have the names of their rasters: the last part of an address without its query, an item's id.  Those of a
    folder keep its sub-folders; where some are called ``images`` and others ``labels``, only rasters in the former are
    taken.
    A map that would lie beside its raster is called NAME_map.tif; such maps, and those in a sub-folder that is the
    target, are no sources.  Paths in a list are relative to the list's folder; addresses stay as they are; lines that
    begin with ``#`` are comments, unless a file has that name.

    Args:
        source: A path or an address; one that ends in a slash is a prefix.
        target: The map, or a folder of maps.
        request: Which items of STAC, and which of their assets.
        place: Where the maps go from there; "" where they stay.

    Raises:
        FileNotFoundError: There is no such folder or list, or no raster in it.
        ConfigError: The request selects items of STAC or their assets, and the source has none.
        DataError: The list is empty, or the map of a single raster ends in neither .tif nor .png; or as for
            :func:`check_jobs` and :func:`rsseg.mapping.stac.items_of`.
    """
    source = _without_scheme(source)
    path = Path(source)
    if path.suffix.lower() == ".txt":
        if is_address(source):
            raise DataError(f"{locate(source)}: a list of rasters must be a local file; download it first")
        lines = [line for _, line in read_lines(path, "a text file with one raster per line")
                 if not line.startswith("#") or (path.parent / line).exists()]  # fmt: skip
        if not lines:
            raise DataError(f"{path}: the list is empty; expected one raster per line")
        jobs = [job for line in lines for job in _jobs_of(_in_list(line, path.parent), target, request, place)]
    else:
        jobs = _jobs_of(source, target, request, place)
    _check_assets(jobs, source, request)
    if path.suffix.lower() != ".txt" and len(jobs) == 1 and not (_is_folder(source) or target.is_dir()):
        if not has_suffix(target, (".tif", ".tiff", ".png")):
            if _is_item(jobs[0][0]):  # a search may find one item as well as many
                return jobs
            if not is_address(source) and not path.exists():
                raise FileNotFoundError(f"{source}: there is no such file or folder")
            shown = str(locate(source))
            is_prefix = is_address(source) and not Path(shown).suffix
            prefix = f"; a prefix of rasters ends in a slash: {shown.rstrip('/')}/" if is_prefix else ""
            raise DataError(f"{target}: the name of a map must end in .tif or .png; for a folder of maps, create "
                            f"{target} first{prefix}")  # fmt: skip
        return [(jobs[0][0], target)]
    check_jobs(jobs)
    return jobs


def _check_assets(jobs: Sequence[Job], source: str, request: StacRequest) -> None:
    """See that some source is an item of STAC where assets are chosen."""
    chosen = ",".join(request.assets or ())
    if chosen and not any(_is_item(found, chosen) for found, _ in jobs):
        raise ConfigError(f"--assets {chosen}: {locate(source)} is no item of STAC; choose bands with --bands")


def _is_item(found: str, assets: str = "") -> bool:
    """Whether a raster is an item of STAC, or these assets of one."""
    return isinstance(found, Address) and found.endswith(f"[{assets}]" if assets else "]")


def _in_list(line: str, folder: Path) -> str:
    """The source that a line names; it may have a colon in its name and yet be a file beside the list."""
    if line.startswith(STAC):
        return f"{STAC}{_in_list(line.removeprefix(STAC), folder)}"
    return line if is_address(line) and not (folder / line).exists() else str(folder / line)


def _without_scheme(source: str) -> str:
    """A path in the place of ``file://``."""
    return str(locate(source)) if source.lower().startswith("file://") else source


def _is_folder(source: str) -> bool:
    """Whether it is a folder of rasters or a prefix; a store of Zarr is a raster, although it is a folder."""
    if is_address(source):
        return source.endswith("/")
    return Path(source).is_dir() and Path(source).suffix.lower() != ".zarr"


def _jobs_of(source: str, target: Path, request: StacRequest, place: Path | str) -> list[Job]:
    """What a source other than a list holds, and the maps in a folder."""
    source, final = _without_scheme(source), opened_name(str(place)).rstrip("/")
    items = items_of(source, request)
    if items is not None:
        return [(item, target / f"{item.name}.tif") for item in items]
    if request.is_search:
        raise ConfigError(f"{locate(source)}: is no STAC, so --collections, --datetime, --query and --max-items cannot "
                          "select in it; remove them")  # fmt: skip
    if is_address(source) and _is_folder(source):
        prefix = locate(source)
        assert isinstance(prefix, Address)
        return [(file, (target / below).with_suffix(".tif")) for file, below in _rasters_below(prefix, final)]
    if isinstance(address := locate(source), Address):
        return [(address, target / f"{address.name}.tif")]
    path = Path(source)
    if _is_folder(source):
        files = _rasters(path, Path(final) if is_storage(place) else target)
        return [(str(file), _map_of(file, target / file.relative_to(path).parent)) for file in files]
    return [(source, _map_of(path, target))]


def _rasters_below(prefix: Address, place: str) -> list[tuple[Address, str]]:
    found = list_prefix(prefix, RASTER_SUFFIXES)
    if place and f"{place}/" != prefix.gdal:
        found = [(file, below) for file, below in found if not file.gdal.startswith(f"{place}/")]
    if not found:
        raise FileNotFoundError(f"{prefix}: contains only maps of {hide_secrets(place)}; expected rasters")
    return found


def _rasters(folder: Path, target: Path) -> list[Path]:
    files = find_files(folder, RASTER_SUFFIXES, "rasters")
    if {"images", "labels"} <= {file.parent.name for file in files}:
        files = [file for file in files if file.parent.name == "images"]
    out = target.resolve()
    if out == folder.resolve():
        made = {file.with_name(f"{file.stem}_map{end}") for file in files for end in MAP_ENDS}
        if (folder / VRT).is_file() and is_own((folder / VRT).read_bytes()):
            made.add(folder / VRT)
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
        if other is not None and _opened_as(other) == _opened_as(source):
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
    rasters = {Path(source).resolve(): source for source, _ in jobs if not isinstance(source, Address)}
    for source, target in jobs:
        other = rasters.get(target.resolve())
        if other is not None:
            raise DataError(f"{target}: the map of {source} would replace the raster {other}; choose another folder")


def _opened_as(source: str) -> tuple[str, ...]:
    """What GDAL opens; the text of an address does not say all of it."""
    return (source.gdal, *source.parts) if isinstance(source, Address) else (source,)


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()
