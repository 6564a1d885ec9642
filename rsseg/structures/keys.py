"""Comparing the keys and shapes of two sets of arrays: a checkpoint's and a model's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["KeyComparison", "compare_keys", "plain_key", "some_names", "to_adapted"]

_INNER = ".base_layer"
"""What peft puts into the names of layers that have adapters."""


@dataclass(frozen=True)
class KeyComparison:
    """How a file's arrays fit a model's.

    Attributes:
        missing: Keys that the model has and the file lacks.
        unexpected: Keys that the file has and the model lacks.
        mismatched: Keys of both whose shapes differ, each as ``key (file's shape) for (model's shape)``.
        fitting: Keys of both whose shapes agree.
    """

    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    mismatched: list[str] = field(default_factory=list)
    fitting: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether anything does not fit."""
        return bool(self.missing or self.unexpected or self.mismatched)

    def __str__(self) -> str:
        """What does not fit, in one line; empty where all does."""
        kinds = {"missing": self.missing, "unexpected": self.unexpected, "size mismatch": self.mismatched}
        return "; ".join(f"{len(keys)} {kind}: {some_names(keys)}" for kind, keys in kinds.items() if keys)


def compare_keys(
    found: Mapping[str, Any], expected: Mapping[str, Any], new: Iterable[str] = (), unused: Iterable[str] = ()
) -> KeyComparison:
    """Compare what a file has with what a model wants.

    Args:
        found: The file's arrays, or their shapes, by key.
        expected: The model's.
        new: Keys that the file may lack; where it has them all the same, they are not used.
        unused: Keys that the model may lack; where it has them all the same, they are not used.
    """
    fresh, dropped = set(new), set(unused)
    both = [key for key in expected if key in found and key not in fresh | dropped]
    shapes = {key: (_shape(found[key]), _shape(expected[key])) for key in both}
    return KeyComparison(
        [key for key in expected if key not in found and key not in fresh],
        [key for key in found if key not in expected and key not in dropped],
        [f"{key} {file} for {model}" for key, (file, model) in shapes.items() if file != model],
        [key for key, (file, model) in shapes.items() if file == model],
    )


def _shape(value: Any) -> tuple[int, ...]:
    return tuple(getattr(value, "shape", value))


def some_names(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, for a message."""
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")


def plain_key(key: str) -> str:
    """The name that a weight has in a model without adapters."""
    return key.replace(_INNER, "")


def to_adapted(state: Mapping[str, Any], own: Iterable[str]) -> dict[str, Any]:
    """Arrays of a plain model by the names of a model with adapters.

    Args:
        state: Arrays by key; those that have the names already keep them.
        own: Keys of the model.
    """
    names = {plain_key(key): key for key in own if _INNER in key}
    return {names.get(key, key): value for key, value in state.items()}
