"""Where BigEarthNet's archives keep patches, and what they say of them."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.datasets.bigearthnet.lists import read_list
from rsseg.errors import ConfigError, DataError, MissingPackageError, UserError
from rsseg.io.names import read_lines
from rsseg.io.progress import Progress
from rsseg.io.tables import csv_writer, parse_json, read_csv
from rsseg.io.workers import map_threads

__all__ = ["PatchInfo", "find_patches", "patch_folder", "read_infos", "season_of"]

_ROOTS = {
    ("v1", "S2"): ("BigEarthNet-v1.0", "BigEarthNet-S2-v1.0", "."),
    ("v1", "S1"): ("BigEarthNet-S1-v1.0", "."),
    ("v2", "S2"): ("BigEarthNet-S2",),
    ("v2", "S1"): ("BigEarthNet-S1",),
    ("v2", "maps"): ("Reference_Maps",),
}
_THREADS = 16
_SEASONS = ("winter", "spring", "summer", "autumn")
_DATE = re.compile(r"_(\d{4})(\d{2})(\d{2})T")
_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-\d{2}")


@dataclass(frozen=True, slots=True)
class PatchInfo:
    """What the archive says of one patch.

    Attributes:
        name: Name of its Sentinel-2 folder.
        labels: Names of its classes, of level 3 in v1 and of the 19 in v2.
        date: Day of acquisition, ``2017-06-17``.
        country: In v2; empty where nothing says it.
        split: ``train``, ``val`` or ``test`` of v2; empty elsewhere.
        s1: Name of the Sentinel-1 patch of the same place; empty where nothing says it.
        excluded: Whether v2 calls it snowy, cloudy or shaded.
        projection: Its coordinate system as WKT, in v1.
        corner: Easting and northing of its upper left corner in metres, in v1.
    """

    name: str
    labels: tuple[str, ...]
    date: str
    country: str = ""
    split: str = ""
    s1: str = ""
    excluded: bool = False
    projection: str = ""
    corner: tuple[float, float] | None = None


def archive_folder(root: Path, version: str, what: str = "S2") -> Path:
    """Folder below which patches lie.

    Args:
        root: Where the archive was unpacked.
        version: ``v1`` or ``v2``.
        what: ``S2``, ``S1``, or ``maps`` (v2).

    Raises:
        FileNotFoundError: It is not there; the message names the places that were looked at.
        ConfigError: That version has no such part.
    """
    names = _ROOTS.get((version, what))
    if names is None:
        raise ConfigError(f"BigEarthNet {version} has no {what}")
    for name in names:
        if (root / name).is_dir() and (name != "." or next(root.glob(f"{what}?_*"), None)):
            return root / name
    looked = ", ".join(str(root / name) for name in names)
    raise FileNotFoundError(f"no {what} patches of BigEarthNet {version}; looked for {looked} (see data/README.md)")


def patch_folder(base: Path | str, version: str, name: str) -> str:
    """Folder of a patch below the archive's folder; in v2 patches of one acquisition share a folder."""
    if version == "v1":
        return f"{base}/{name}"
    parts = name.rsplit("_", 3 if name.startswith("S1") else 2)
    return f"{base}/{parts[0]}/{name}"


def find_patches(root: Path, version: str, what: str = "S2") -> list[str]:
    """Sorted names of all patches of Sentinel-2 (or ``S1``) of an archive; only folders' names are read.

    Raises:
        FileNotFoundError: There are none.
    """
    base = archive_folder(root, version, what)
    folders = [base] if version == "v1" else [Path(entry.path) for entry in os.scandir(base) if entry.is_dir()]
    names = [e.name for folder in folders for e in os.scandir(folder) if e.name.startswith(what) and e.is_dir()]
    if not names:
        raise FileNotFoundError(f"{base}: no patches (folders whose names begin with {what})")
    return sorted(names)


def season_of(date: str) -> str:
    """``winter`` (December to February), ``spring``, ``summer`` or ``autumn`` of ``2017-06-17``; "" where no day is.

    Source: BigEarthNet paper, section 3, whose four counts are those of the days in the names of its 590,326 patches.
    """
    return _SEASONS[int(date[5:7]) % 12 // 3] if date else ""


def date_of(name: str) -> str:
    """Day of acquisition in a patch's name, whatever its time looks like; empty where it has none."""
    found = _DATE.search(name)
    return "-".join(found.groups()) if found else ""


def read_json(folder: str, name: str) -> PatchInfo:
    """What ``<name>_labels_metadata.json`` says; for a Sentinel-1 patch ``s1`` is the Sentinel-2 patch of its place.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no JSON, has no list of labels, or half a place.
    """
    path = f"{folder}/{name}_labels_metadata.json"
    try:
        with open(path, "rb") as file:
            data = parse_json(file.read())
        labels, corner = data["labels"], data.get("coordinates")
        if not isinstance(labels, list):
            raise TypeError(f"its labels are {labels!r}, not a list")
        labels = tuple(map(sys.intern, labels))
        place = (float(corner["ulx"]), float(corner["uly"])) if corner else None
        date = str(data.get("acquisition_date") or data.get("acquisition_time"))[:10]
    except FileNotFoundError:
        raise FileNotFoundError(f"patch {name}: no file {path}; see data/README.md for the layout") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"patch {name}: {path} cannot be read as a file of labels ({error}); unpack it again"
        ) from error
    return PatchInfo(
        name,
        labels,
        date if _DAY.fullmatch(date) else date_of(name),
        s1=data.get("corresponding_s2_patch", ""),
        projection=data.get("projection") or "",
        corner=place,
    )


def read_jsons(
    base: Path, names: Sequence[str], what: str = "read labels", problems: list[str] | None = None
) -> Iterator[PatchInfo]:
    """:func:`read_json` of many patches of v1, in their order, by threads and with progress.

    Args:
        base: Folder of the patches' folders.
        names: Patches.
        what: What the progress is called.
        problems: Gets a line for each patch that cannot be read, which is left out; by default such a one is an error.

    Raises:
        FileNotFoundError: A file is missing.
        DataError: A file is broken.
    """

    def read(name: str) -> PatchInfo | str:
        try:
            return read_json(f"{base}/{name}", name)
        except (OSError, UserError) as error:
            if problems is None:
                raise
            return str(error)

    progress = Progress(len(names), what, unit="patch")
    for info in map_threads(read, names, _THREADS):
        progress.step()
        if isinstance(info, PatchInfo):
            yield info
        elif problems is not None:
            problems.append(info)
    progress.close()


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    """Rows of a parquet table of v2, a block at a time."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingPackageError(
            "the tables of BigEarthNet v2 require pyarrow: pip install 'rsseg[optional]'"
        ) from error
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such table; v2's metadata.parquet comes beside its archives")
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path}: no parquet table ({error}); download it again") from error
    if not {"patch_id", "labels"} <= set(table.column_names):
        raise DataError(f"{path}: columns are {', '.join(table.column_names)}, but patch_id and labels are needed")
    for block in table.to_batches(max_chunksize=8192):
        yield from block.to_pylist()


def read_parquet(path: Path) -> list[PatchInfo]:
    """Patches of v2's ``metadata.parquet``.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: pyarrow is not installed.
        DataError: It is no such table.
    """
    return [
        PatchInfo(
            row["patch_id"],
            tuple(map(sys.intern, row["labels"])),
            date_of(row["patch_id"]),
            row.get("country") or "",
            (row.get("split") or "").replace("validation", "val"),
            row.get("s1_name") or "",
            bool(row.get("contains_seasonal_snow") or row.get("contains_cloud_or_shadow")),
        )
        for row in _rows(path)
    ]


INDEX = "patches.csv"
_COLUMNS = ("patch", "labels", "date", "country", "split", "s1", "excluded")


def write_index(path: Path, infos: Iterable[PatchInfo]) -> None:
    """Write ``patches.csv``, from which a data set starts without reading a file per patch."""
    with csv_writer(path, _COLUMNS) as add_rows:
        for info in infos:
            labels = "|".join(info.labels)
            add_rows([(info.name, labels, info.date, info.country, info.split, info.s1, info.excluded)])


def read_index(path: Path) -> list[PatchInfo]:
    """What :func:`write_index` wrote."""
    rows = [[row[key] for key in _COLUMNS] for _, row in read_csv(path, _COLUMNS)]
    return [
        PatchInfo(name, tuple(labels.split("|")) if labels else (), date, country, split, s1, excluded == "True")
        for name, labels, date, country, split, s1, excluded in rows
    ]


def known_infos(root: Path, version: str, packed: Path | None = None) -> dict[str, PatchInfo]:
    """Patches that one table tells of, by name: ``patches.csv`` or v2's ``metadata.parquet``; none for plain v1.

    Args:
        root: Where the archive was unpacked.
        version: ``v1`` or ``v2``.
        packed: Folder of the packed file, whose ``patches.csv`` comes first.

    Raises:
        FileNotFoundError: v2 has neither table.
        DataError: A table is broken.
    """
    for folder in (packed, root):
        if folder is not None and (folder / INDEX).is_file():
            return {info.name: info for info in read_index(folder / INDEX)}
    return {info.name: info for info in read_parquet(root / "metadata.parquet")} if version == "v2" else {}


def read_infos(
    root: Path, version: str, names: Sequence[str] | None = None, packed: Path | None = None
) -> list[PatchInfo]:
    """What the archive says of patches: from one table, or in v1 from a JSON file for each.

    Args:
        root: Where the archive was unpacked.
        version: ``v1`` or ``v2``.
        names: Which patches, and their order; by default all.
        packed: As for :func:`known_infos`.

    Raises:
        FileNotFoundError: A file, or a patch of ``names``, is missing.
        UserError: A file is broken.
    """
    known = known_infos(root, version, packed)
    if not known:
        return list(read_jsons(archive_folder(root, version), find_patches(root, version) if names is None else names))
    missing = [name for name in names or () if name not in known]
    if missing:
        raise FileNotFoundError(f"{root}: no labels of {len(missing)} patches of the list, such as {missing[0]}")
    return list(known.values()) if names is None else [known[name] for name in names]


def read_countries(path: Path) -> dict[str, str]:
    """Country of patches of v1 by their names.

    Args:
        path: v2's ``metadata.parquet`` (``s2v1_name``, those that v2 kept), or the authors' list of all,
            ``s1_s2_name_country_season.csv``, also compressed.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no such table.
    """
    if path.suffix == ".parquet":
        return {row["s2v1_name"]: row["country"] for row in _rows(path) if row.get("s2v1_name") and row.get("country")}
    rows = csv.DictReader(line for _, line in read_lines(path))
    if not {"s2_name", "country"} <= set(rows.fieldnames or ()):
        raise DataError(f"{path}: columns are {', '.join(rows.fieldnames or ())}, but s2_name and country are needed")
    return {row["s2_name"]: row["country"] for row in rows if row["country"]}


def pair_radar(root: Path, mapping: Path | None) -> dict[str, str]:
    """Sentinel-1 patch of each Sentinel-2 patch of v1: from a list of both, or from the Sentinel-1 JSON files.

    Args:
        root: Where the archive was unpacked.
        mapping: List with both names in a line, such as the authors' (``PAIRS``).

    Raises:
        FileNotFoundError: There is no Sentinel-1 archive.
        UserError: A file is broken.
    """
    if mapping is not None:
        return dict(read_list(mapping))
    base, names = archive_folder(root, "v1", "S1"), find_patches(root, "v1", "S1")
    return {info.s1: info.name for info in read_jsons(base, names, "pair Sentinel-1")}
