"""Lists of patches: snow and clouds, splits that the user has, and one drawn where there is none."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from rsseg.errors import ConfigError, DataError
from rsseg.io.files import replacing
from rsseg.io.names import encode_names, read_lines
from rsseg.io.sums import check_sum, encode_sums, read_sums, sum_of
from rsseg.structures.draws import seeded_ranking

__all__ = ["EXCLUDED", "PAIRS", "PARTS", "draw_split", "read_list", "split_names"]

_log = logging.getLogger("rsseg")

PARTS = ("train", "val", "test")
EXCLUDED = ("patches_with_seasonal_snow", "patches_with_cloud_and_shadow")
"""The authors' lists of patches covered by snow, and by clouds or their shadow."""
PAIRS = ("s1_s2_mapping", "s1_s2_name_country_season")
"""The authors' lists of Sentinel-1 and Sentinel-2 patches of the same places."""
_SUFFIXES = (".csv", ".txt", ".csv.gz", ".csv.bz2")
_SHARES = (0.6, 0.2)
_SUMS = "splits.sha256"


def find_list(folder: Path, *names: str) -> Path | None:
    """The first file of these names with one of the suffixes that lists have, or None."""
    places = (folder / f"{name}{suffix}" for name in names for suffix in _SUFFIXES)
    return next((path for path in places if path.is_file()), None)


def has_lists(folder: Path) -> bool:
    """Whether a folder has a list of any part of a split."""
    return any(find_list(folder, part) for part in PARTS)


def read_list(path: Path) -> list[tuple[str, str]]:
    """Patches of a list: plain text or the authors' CSV files, also compressed (``.gz``, ``.bz2``).

    Args:
        path: One patch a line; in a CSV file a second column may name the Sentinel-1 patch.  A header is skipped.

    Returns:
        Names of Sentinel-2 patches, and of their Sentinel-1 patches or an empty string.

    Raises:
        DataError: A line holds no patch, or a patch stands in the list twice.
    """
    rows: dict[str, str] = {}
    for number, line in read_lines(path, "a list of patches"):
        cells = [cell.strip().strip('"') for cell in line.split(",")]
        found = [cell for cell in cells if cell[:2] in ("S1", "S2")]
        if not found:
            if number == 1:
                continue
            raise DataError(f"{path}, line {number}: {line!r} is not the name of a patch (S2..., or S1... and S2...)")
        name = next((cell for cell in found if cell.startswith("S2")), "")
        if not name or name in rows:
            problem = "stands there twice" if name else "names no Sentinel-2 patch"
            raise DataError(f"{path}, line {number}: {line!r} {problem}")
        rows[name] = next((cell for cell in found if cell.startswith("S1")), "")
    return list(rows.items())


def draw_split(names: Iterable[str], seed: int = 0) -> dict[str, list[str]]:
    """Divide patches at random 60:20:20.

    Args:
        names: Patches; their order makes no difference.
        seed: Another seed draws another split.

    Returns:
        Sorted names of ``train``, ``val`` and ``test``; 519,339 patches give 311,603, 103,868 and 103,868.

    Source: BigEarthNet paper, section 4; its own split is not published.
    """
    order = seeded_ranking(names, seed)
    train, val = (round(share * len(order)) for share in _SHARES)
    parts = order[:train], order[train : train + val], order[train + val :]
    return {part: sorted(found) for part, found in zip(PARTS, parts, strict=True)}


def excluded_patches(folder: Path, drawing: bool) -> set[str]:
    """Patches of the lists of snow and clouds in a folder; says what is missing where a split is to be drawn."""
    found = {name: find_list(folder, name) for name in EXCLUDED}
    out = {patch for path in found.values() if path is not None for patch, _ in read_list(path)}
    missing = [f"{name}.csv" for name, path in found.items() if path is None]
    if missing and drawing:
        _log.warning("%s has no %s: such patches are kept (the paper removes them)", folder, " and no ".join(missing))
    return out


def split_names(folder: Path, split: str, patches: Sequence[str], seed: int = 0) -> list[tuple[str, str]]:
    """Patches of one part of a split, and their Sentinel-1 patches as far as the list says.

    The lists ``train``, ``val`` and ``test`` (``.csv``, also compressed, or ``.txt``) of ``folder`` decide.  Where
    there is none of them, :func:`draw_split` divides ``patches``, and the lists are written with ``splits.sha256``
    beside them.  Snow and clouds are left out either way.

    Args:
        folder: Where the lists are.
        split: ``train``, ``val`` or ``test``.
        patches: Patches that there are.
        seed: Of a new split.

    Raises:
        FileNotFoundError: Some lists are there, but not this one.
        OSError: A drawn split cannot be written, as where the folder may only be read.
        UserError: There is no such part, a list is broken, or is not what ``splits.sha256`` says.
    """
    if split not in PARTS:
        raise ConfigError(f"split must be one of {', '.join(PARTS)}, not {split!r}")
    sums = read_sums(folder / _SUMS)
    drawing = not has_lists(folder) or not all((folder / name).is_file() for name in sums)
    excluded = excluded_patches(folder, drawing)
    if drawing:
        _write_split(folder, [name for name in patches if name not in excluded], seed, sums)
    path = find_list(folder, split)
    if path is None:
        have = ", ".join(str(found) for part in PARTS if (found := find_list(folder, part)))
        raise FileNotFoundError(f"{folder}: no list of {split} ({split}.csv or {split}.txt), but {have}")
    if path.name in sums:
        check_sum(path, folder / _SUMS, "restore the list, or delete all of them")
    return [row for row in read_list(path) if row[0] not in excluded]


def _write_split(folder: Path, patches: Sequence[str], seed: int, sums: dict[str, str]) -> None:
    """Draw a split and write it, or what is missing of the one that ``sums`` tell of.

    The checksums come first: other processes, or the next run after a kill, complete the same lists.
    """
    drawn = draw_split(patches, seed)
    data = {f"{part}.txt": encode_names(names) for part, names in drawn.items()}
    found = {name: sum_of(text) for name, text in data.items()}
    if sums and sums != found:
        raise DataError(
            f"{folder}: a list is missing, and seed {seed} does not give the split of {_SUMS} for these patches; "
            "restore the list, or delete all of them"
        )
    data = {_SUMS: encode_sums(found), **data}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in data.items():
            if not (folder / name).is_file():
                with replacing(folder / name) as file:
                    file.write(text)
    except OSError as error:
        raise OSError(
            f"{folder}: the drawn split cannot be written there ({error}); with dataset.lists (of train, val and test) "
            "name another folder for it"
        ) from error
    sizes = ", ".join(f"{len(names)} {part}" for part, names in drawn.items())
    _log.info("%s: drew a split of %d patches with seed %d: %s", folder, len(patches), seed, sizes)
