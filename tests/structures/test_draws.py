"""Seeded choices: the same on every machine."""

from __future__ import annotations

import hashlib

from rsseg.structures.draws import seeded_fraction, seeded_ranking


def test_the_ranking_is_by_the_hash_of_seed_and_name() -> None:
    # sha256sum of "0:a" begins with 9df3, of "0:b" with e021, of "0:c" with be08
    assert seeded_ranking(["c", "b", "a", "b"], 0) == ["a", "c", "b"]
    assert seeded_ranking("abc", 0) == seeded_ranking("cab", 0)
    assert len({tuple(seeded_ranking("abcdefgh", seed)) for seed in range(20)}) > 15


def test_a_fraction_is_the_first_48_bits() -> None:
    digits = hashlib.sha256(b"7:tile:x").hexdigest()
    assert seeded_fraction(7, "tile:x") == int(digits[:12], 16) / 2**48
    values = [seeded_fraction(0, str(i)) for i in range(1000)]
    assert 0 <= min(values) < max(values) < 1 and abs(sum(values) / 1000 - 0.5) < 0.03
