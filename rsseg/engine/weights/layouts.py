"""How files and models name weights: a layout is a way of naming, a target a model with what it can do without."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

__all__ = ["Layout", "State", "Target", "Translation", "count", "explain"]

State = dict[str, torch.Tensor]
"""Weights by name."""


@dataclass(frozen=True)
class Layout:
    """One way of naming a backbone's weights.

    Args:
        name: Whose names these are, for the report.
        mark: Regular expression of a key that only files of this layout have.
        targets: Backbones that such a file is for, by their names among the targets; the first is the default.
        rename: Regular expressions and what replaces them, one after the other, from the start of a key.
        unused: Regular expressions of the file's own keys that no backbone needs, with the reason.
        rewrite: The value that the model wants, of the model's key and the file's value.
        prepare: What to do with the file's weights first, where a key's name and value are not enough.
        when: What else has to hold, where names are not enough to know a file.
    """

    name: str
    mark: str
    targets: tuple[str, ...]
    rename: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = ()
    unused: Mapping[str, str] = field(default_factory=dict)
    rewrite: Callable[[str, torch.Tensor], torch.Tensor] | None = None
    prepare: Callable[[State], State] | None = None
    when: Callable[[State], bool] | None = None

    def fits(self, state: State) -> bool:
        """Whether any key is this layout's mark, and what else has to hold does."""
        return any(re.fullmatch(self.mark, key) for key in state) and (self.when is None or self.when(state))

    def translate(self, state: State, prefix: str = "") -> Translation:
        """Weights by the model's names, and what they were in the file.

        Args:
            state: The file's weights, without what stands before their names.
            prefix: What stands before them.
        """
        out = Translation({}, {}, {})
        for key, value in (self.prepare(state) if self.prepare else state).items():
            reason = explain(key, self.unused)
            if reason:
                out.skipped.setdefault(reason, []).append(prefix + key)
                continue
            new = key
            for pattern, replacement in self.rename:
                new = re.sub(rf"^(?:{pattern})", replacement, new)
            out.state[new] = self.rewrite(new, value) if self.rewrite else value
            out.origin[new] = prefix + key
        return out


@dataclass
class Translation:
    """Weights by the model's names, the file's name of each, and the file's names without use by reason."""

    state: State
    origin: dict[str, str]
    skipped: dict[str, list[str]]

    def choose(self, unused: Mapping[str, str], rename: Iterable[tuple[str, str]] = ()) -> None:
        """Leave out what a target has no use for, and give the rest its names.

        Args:
            unused: Regular expressions of keys, with the reason.
            rename: Regular expressions and what replaces them.
        """
        state, origin = dict[str, torch.Tensor](), dict[str, str]()
        for key, value in self.state.items():
            reason = explain(key, unused)
            if reason:
                self.skipped.setdefault(reason, []).append(self.origin[key])
                continue
            new = key
            for pattern, replacement in rename:
                new = re.sub(rf"^(?:{pattern})", replacement, new)
            state[new], origin[new] = value, self.origin[key]
        self.state, self.origin = state, origin


@dataclass(frozen=True)
class Target:
    """A backbone that weights can be for.

    Args:
        type: Its name in mmseg's registry.
        settings: Its settings, as the shapes of the weights say.
        fresh: Regular expressions of its keys that a file need not have, with the reason; of the keys of one expression
            a file has all or none.
        unused: Regular expressions of keys that it has no use for, with the reason.
        rename: Regular expressions and what replaces them, one after the other, from the start of a key, for files with
            several networks; before the settings are read.
        fit: Weights with tables for the model's windows, given its settings, or with other channels; it takes from the
            settings what is for it and not for the model.
        whole: It is no backbone but a whole model.
    """

    type: str
    settings: Callable[[State], dict[str, Any]]
    fresh: Mapping[str, str] = field(default_factory=dict)
    unused: Mapping[str, str] = field(default_factory=dict)
    rename: tuple[tuple[str, str], ...] = ()
    fit: Callable[[State, dict[str, Any]], State] | None = None
    whole: bool = False


def explain(key: str, reasons: Mapping[str, str]) -> str | None:
    """The reason of the first expression that matches the start of a key."""
    return next((reason for pattern, reason in reasons.items() if re.match(pattern, key)), None)


def count(state: Iterable[str], pattern: str) -> int:
    """How many different numbers the group of ``pattern`` finds at the start of keys, as ``blocks\\.(\\d+)`` does."""
    found = (re.match(pattern, key) for key in state)
    return len({match[1] for match in found if match})
