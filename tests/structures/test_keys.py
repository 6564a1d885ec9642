"""Comparing the keys of checkpoints."""

from __future__ import annotations

import numpy as np

from rsseg.structures.keys import compare_keys, some_names


def test_keys_and_shapes_are_compared() -> None:
    file = {"a": np.zeros((2, 3)), "b": np.zeros(4), "c": np.zeros(1), "d": np.zeros(5)}
    model = {"a": np.zeros((2, 3)), "b": np.zeros((4, 1)), "e": np.zeros(1), "d": (5,)}
    found = compare_keys(file, model)
    assert found and (found.missing, found.unexpected) == (["e"], ["c"])
    assert found.mismatched == ["b (4,) for (4, 1)"] and found.fitting == ["a", "d"]
    assert str(found) == "1 missing: e; 1 unexpected: c; 1 size mismatch: b (4,) for (4, 1)"


def test_what_may_differ_is_left_out() -> None:
    file, model = {"a": (1,), "b": (2,), "old": (3,)}, {"a": (1,), "b": (9,), "head": (4,)}
    found = compare_keys(file, model, new=["b", "head"], unused=["old"])
    assert not found and str(found) == "" and found.fitting == ["a"]
    assert compare_keys(file, model, new=["head"], unused=["old", "b"]).mismatched == []


def test_long_lists_are_cut() -> None:
    assert some_names([*"abcdef"]) == "a, b, c, d, e ..."
    assert some_names([*"abc"]) == "a, b, c"
    assert str(compare_keys({}, dict.fromkeys("abcdef", ()))) == "6 missing: a, b, c, d, e ..."
