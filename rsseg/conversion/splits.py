"""Which tiles are for training and which for validation: an exact share, chosen by a seeded hash of names."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from rsseg.conversion.storage import Store
from rsseg.io.names import encode_names
from rsseg.io.sums import encode_sums, sum_of
from rsseg.structures.draws import seeded_ranking

__all__ = ["BY", "choose_val", "split_tiles", "write_splits"]

BY = ("source", "tile")
"""What is drawn: whole source images, so that no scene is on both sides, or single tiles, as in the SAMRS release."""


def choose_val(names: Iterable[str], val_fraction: float, seed: int) -> set[str]:
    """The names that belong to ``val``: those with the smallest hash of seed and name.

    Their number is ``val_fraction`` of all, rounded (halves up); where that is strictly between 0 and 1 and there are
    two or more names, both sides get at least one.

    Args:
        names: Names of source images or of tiles; their order changes nothing.
        val_fraction: Share for ``val``, in 0..1.
        seed: Another seed makes another choice.
    """
    ranked = seeded_ranking(names, seed)
    count = math.floor(val_fraction * len(ranked) + 0.5)
    if 0 < val_fraction < 1 and len(ranked) > 1:
        count = min(max(count, 1), len(ranked) - 1)
    return set(ranked[:count])


def split_tiles(
    tiles: Sequence[str], sources: Sequence[str], val_fraction: float, seed: int, by: str = "source"
) -> list[str]:
    """``train`` or ``val`` for each tile.

    Args:
        tiles: T names of tiles.
        sources: Names of the source images they come from, one per tile.
        val_fraction: As for :func:`choose_val`; a share of the source images that have tiles, or of the tiles.
        seed: As for :func:`choose_val`.
        by: One of ``BY``.

    Source: SAMRS paper, section 4.2, 95 % and 5 %; the release drew single tiles.
    """
    names = sources if by == "source" else tiles
    chosen = choose_val(names, val_fraction, seed)
    return ["val" if name in chosen else "train" for name in names]


def write_splits(store: Store, tiles: Sequence[str], splits: Sequence[str]) -> dict[str, Any]:
    """Write ``train.txt`` and ``val.txt``, one tile name a line, and ``splits.sha256`` for ``sha256sum --check``.

    Returns:
        File name -> number of tiles and SHA-256, for the manifest.
    """
    written: dict[str, Any] = {}
    for split in ("train", "val"):
        names = [tile for tile, its in zip(tiles, splits, strict=True) if its == split]
        data = encode_names(names)
        store.write(f"{split}.txt", data)
        written[f"{split}.txt"] = {"tiles": len(names), "sha256": sum_of(data)}
    store.write("splits.sha256", encode_sums({name: row["sha256"] for name, row in written.items()}))
    return written
