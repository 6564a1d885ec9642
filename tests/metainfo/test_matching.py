"""Two lists of class names, matched by hand."""

from __future__ import annotations

import pytest

from rsseg.errors import ConfigError
from rsseg.metainfo import match_classes


@pytest.mark.parametrize(
    ("found", "expected", "pairs", "index", "text"),
    [
        ("a b c", "a b c", {}, (0, 1, 2), ""),
        ("c a B", "a b c", {}, (1, 2, 0), ""),
        ("a b", "a c", {}, (0, None), "only in the checkpoint: b; only in the config: c"),
        ("a b", "a c", {"b": "c"}, (0, 1), ""),
        ("a b c", "c a", {}, (2, 0), "only in the checkpoint: b"),
        ("a b c", "c a", {"B": ""}, (2, 0), ""),  # left out by name
        ("a b", "a b", {"a": "b", "b": "a"}, (1, 0), ""),  # each is called as the other
        ("a b", "a b", {"x": "y"}, (0, 1), ""),
        ("a", "a b", {}, (0, None), "only in the config: b"),
        ("a a", "a b", {}, (None, None), "twice: a"),
        ("a a", "a A", {}, (0, 1), ""),  # the same list
    ],
)
def test_classes_are_matched_by_name(
    found: str, expected: str, pairs: dict[str, str], index: tuple[int | None, ...], text: str
) -> None:
    match = match_classes(found.split(), expected.split(), tuple(pairs.items()))
    assert match.index == index and str(match) == text and match.complete == (not text)


def test_two_classes_cannot_stand_for_one() -> None:
    with pytest.raises(ConfigError, match="'b' and 'a' of the checkpoint cannot both stand for 'b'"):
        match_classes(["a", "b"], ["b", "c"], (("a", "b"),))
    with pytest.raises(ConfigError, match="cannot both stand for 'car'"):
        match_classes(["van", "bus"], ["car"], (("van", "car"), ("bus", "car")))
