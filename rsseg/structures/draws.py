"""Random choices that depend on a seed and on names alone: the same on every machine, whatever else there is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

__all__ = ["seeded_fraction", "seeded_ranking"]


def seeded_ranking(names: Iterable[str], seed: int) -> list[str]:
    """Names in a random order: by the SHA-256 of seed and name.

    Args:
        names: Their own order changes nothing; a name that occurs twice counts once.
        seed: Another seed gives another order.
    """
    return sorted(set(names), key=lambda name: (_digest(seed, name), name))


def seeded_fraction(seed: int, name: str) -> float:
    """A number in [0, 1): the first 48 bits of the SHA-256 of seed and name."""
    return int.from_bytes(_digest(seed, name)[:6], "big") / 2**48


def _digest(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
