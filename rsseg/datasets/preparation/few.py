"""Lists of a few per cent of a training set, drawn evenly from its source images.

``<folder>/few_<percent>_seed<seed>.txt`` names one tile a line; ``few.sha256`` holds the lists' checksums for
``sha256sum --check``.  Lists of one seed contain each other: 1 % is part of 3 %, which is part of 5 %.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from rsseg.command_list import command
from rsseg.datasets.preparation.sets import SETS
from rsseg.datasets.preparation.tiles import tile_names
from rsseg.errors import ConfigError, DataError
from rsseg.io.listing import find_files
from rsseg.io.names import check_same, read_names, write_names
from rsseg.io.sums import check_sum, write_sums
from rsseg.io.tables import read_csv
from rsseg.structures.draws import seeded_fraction

__all__ = ["choose_few", "few_path", "read_few", "training_tiles", "write_every", "write_few"]

_log = logging.getLogger("rsseg")
_SUMS = "few.sha256"
_POTSDAM_SIZE = (6000, 6000)
_WINDOW = re.compile(r"(__\d+_\d+|(_\d+){4})$")
"""What follows the source image in the name of a tile, by our tools or by mmseg's converters."""


def choose_few(tiles: Sequence[str], sources: Sequence[str], percent: float, seed: int) -> list[str]:
    """A share of the tiles, of each source image as nearly the same share as whole tiles allow.

    Tiles of a source get evenly spaced ranks, in the order of a seeded hash; those with the lowest ranks are taken.  A
    source with n tiles thus gives floor(n q) or ceil(n q) of them, q the same for all, and a larger share contains
    a smaller one.

    Args:
        tiles: T names of tiles; their order changes nothing.
        sources: Names of the source images they come from, one per tile.
        percent: Share in (0, 100] of T; the number of tiles is rounded (halves up) and at least 1.
        seed: Another seed makes another choice.

    Returns:
        Sorted names.

    Raises:
        ConfigError: The share is not possible, there are no tiles, or a name occurs twice.

    Source: SAMRS paper, tables 5 and 6, which do not say how tiles were drawn; the rule is ours.
    """
    if not 0 < percent <= 100:
        raise ConfigError(f"a share of {percent} % is not possible; expected more than 0 and at most 100")
    if not tiles or len(set(tiles)) != len(tiles):
        raise ConfigError(
            f"{len(tiles)} names of tiles, of which only {len(set(tiles))} are different; the names must be unique"
        )
    own: dict[str, list[str]] = {}
    for tile, source in zip(tiles, sources, strict=True):
        own.setdefault(source, []).append(tile)
    ranked = []
    for source, names in own.items():
        names.sort(key=lambda name: (seeded_fraction(seed, f"tile:{name}"), name))
        shift = seeded_fraction(seed, f"source:{source}")
        ranked += [((place + shift) / len(names), name) for place, name in enumerate(names)]
    count = max(1, math.floor(len(tiles) * percent / 100 + 0.5))
    return sorted(name for _, name in sorted(ranked)[:count])


def training_tiles(where: str, splits: Path | str = "data/splits") -> tuple[list[str], list[str]]:
    """Names of a set's training tiles and of the source images they come from.

    Args:
        where: A folder of image tiles; a converted set (with ``tiles.csv``, of which split ``train`` counts); a list
            with one name per line; or ``potsdam``, the tiles of the official training images (no data are needed).
        splits: Folder of the lists of official images.

    Raises:
        FileNotFoundError: There is no such folder or list.
        DataError: It names no tiles.
    """
    path = Path(where)
    if where == "potsdam":
        ids = read_names(Path(splits) / "potsdam" / "train.txt", "the list of official training images")
        names = [tile for name in ids for tile in tile_names(name, _POTSDAM_SIZE, SETS["potsdam"].layout)]
    elif (path / "tiles.csv").is_file():
        columns = ("tile", "source", "split")
        rows = [row for _, row in read_csv(path / "tiles.csv", columns) if row["split"] == "train"]
        return _some([row["tile"] for row in rows], path), [row["source"] for row in rows]
    elif path.is_dir():
        names = sorted(file.stem for file in find_files(path, what="tiles", recursive=False))
    elif path.is_file():
        names = read_names(path)
    else:
        raise FileNotFoundError(f"{where}: no folder of tiles, no converted set, no list, and not the word potsdam")
    return _some(names, path), [_WINDOW.sub("", name) for name in names]


def _some(names: list[str], path: Path) -> list[str]:
    if not names:
        raise DataError(f"{path}: no training tiles in it")
    return names


def few_path(folder: Path | str, percent: float, seed: int) -> Path:
    """Where a list is kept."""
    return Path(folder) / f"few_{percent:g}_seed{seed}.txt"


def write_few(
    tiles: Sequence[str], sources: Sequence[str], folder: Path | str, percents: Iterable[float], seeds: Iterable[int]
) -> list[Path]:
    """Write a list for every share and seed, and the checksums of all lists in the folder.

    Args:
        tiles: As for :func:`choose_few`.
        sources: As for :func:`choose_few`.
        folder: Where to; made where it is missing.
        percents: As for :func:`choose_few`.
        seeds: As for :func:`choose_few`.

    Returns:
        The lists.

    Raises:
        UserError: As for :func:`choose_few`; or a list is there with other names, which a new one would replace.
        OSError: A list cannot be written; the message names it.
    """
    folder, seeds = Path(folder), list(seeds)
    folder.mkdir(parents=True, exist_ok=True)
    todo = {}
    for percent in percents:
        for seed in seeds:
            path = few_path(folder, percent, seed)
            names = choose_few(tiles, sources, percent, seed)
            todo[path] = names
            check_same(path, names)
            _log.info("%s: %d of %d tiles, %d source images", path, len(names), len(tiles), len(set(sources)))
    for path, names in todo.items():
        write_names(path, names)
    write_sums(folder / _SUMS, sorted(folder.glob("few_*.txt")))
    return list(todo)


def write_every(tiles: Sequence[str], folder: Path | str, step: int) -> Path:
    """Write a list of every ``step``-th tile, the first one among them, and the checksums of all lists in the folder.

    Args:
        tiles: Names, in their order.
        folder: Where to; made where it is missing.
        step: Distance from one chosen name to the next.

    Raises:
        UserError: ``step`` is less than 1; or the list is there with other names, which the new one would replace.
        OSError: The list cannot be written; the message names it.
    """
    if step < 1:
        raise ConfigError(f"every {step}-th tile is not possible; expected at least 1")
    folder, names = Path(folder), list(tiles[::step])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"few_every_{step}.txt"
    check_same(path, names)
    write_names(path, names)
    _log.info("%s: %d of %d tiles", path, len(names), len(tiles))
    write_sums(folder / _SUMS, sorted(folder.glob("few_*.txt")))
    return path


def read_few(path: Path | str) -> list[str]:
    """Names in a list, which is checked against its folder's checksums.

    Raises:
        FileNotFoundError: There is no such list.
        ValueError: Its checksum is missing or differs.
    """
    path = Path(path)
    names = read_names(path, f"a list that {command('few-lists')} writes")
    check_sum(path, path.parent / _SUMS, f"write both anew with {command('few-lists')}")
    return names
