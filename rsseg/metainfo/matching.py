"""Which class of a checkpoint is which class of a config, where their lists are not the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rsseg.errors import ConfigError
from rsseg.metainfo.table import name_key

__all__ = ["ClassMatch", "ClassPairs", "match_classes"]

ClassPairs = Sequence[tuple[str, str]]
"""Pairs of a checkpoint's class and the config's class that it stands for; an empty second name leaves it out."""


@dataclass(frozen=True)
class ClassMatch:
    """Classes of a checkpoint, matched with those of a config.

    Attributes:
        index: For each class of the config the number of the checkpoint's class that stands for it, None without one.
        missing: Classes of the config that none stands for.
        left: Classes of the checkpoint that stand for none and were not left out by name.
        repeated: Names that one of the two lists has twice, so that they cannot be matched by name.
    """

    index: tuple[int | None, ...]
    missing: tuple[str, ...]
    left: tuple[str, ...]
    repeated: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every class has its counterpart."""
        return not (self.missing or self.left or self.repeated)

    def same_rows(self, count: int) -> bool:
        """Whether the ``count`` classes of the checkpoint are those of the config, in the same order."""
        return self.index == tuple(range(count))

    def __str__(self) -> str:
        parts = [("only in the checkpoint", self.left), ("only in the config", self.missing)]
        texts = [f"{what}: {', '.join(names)}" for what, names in (*parts, ("twice", self.repeated)) if names]
        return "; ".join(texts)


def match_classes(found: Sequence[str], expected: Sequence[str], pairs: ClassPairs = ()) -> ClassMatch:
    """Match two lists of class names; case, spaces, ``_`` and ``-`` make no difference.

    Args:
        found: Names of the checkpoint.
        expected: Names of the config.
        pairs: What is called otherwise; pairs that name a class of neither list are passed over.

    Raises:
        ConfigError: Two classes of the checkpoint shall stand for one class of the config.
    """
    repeated = tuple(name for names in (found, expected) for name in _repeated(names))
    if repeated:
        rows = range(len(expected)) if list(map(name_key, found)) == list(map(name_key, expected)) else ()
        return ClassMatch(tuple(rows) or (None,) * len(expected), (), (), () if rows else repeated)
    own = {name_key(name): i for i, name in enumerate(found)}
    targets = {name_key(name) for name in expected}
    used = [pair for pair in pairs if name_key(pair[0]) in own and (not pair[1] or name_key(pair[1]) in targets)]
    renamed = {name_key(old) for old, _ in used}
    source = {key: i for key, i in own.items() if key in targets and key not in renamed}
    for old, new in used:
        if new and source.setdefault(name_key(new), own[name_key(old)]) != own[name_key(old)]:
            other = found[source[name_key(new)]]
            raise ConfigError(
                f"--class-map: {other!r} and {old!r} of the checkpoint cannot both stand for {new!r}; leave one out "
                f"({old}=)"
            )
    index = tuple(source.get(name_key(name)) for name in expected)
    missing = tuple(name for name, i in zip(expected, index, strict=True) if i is None)
    left = tuple(name for i, name in enumerate(found) if i not in index and name_key(name) not in renamed)
    return ClassMatch(index, missing, left)


def _repeated(names: Sequence[str]) -> list[str]:
    keys = [name_key(name) for name in names]
    return [name for i, name in enumerate(names) if keys[i] in keys[:i]]
