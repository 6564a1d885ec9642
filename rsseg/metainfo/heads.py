"""Do the heads of a model, the names in its checkpoint and the class table of the data belong together?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rsseg.metainfo.table import load_metainfo, name_key

__all__ = ["class_names", "explain_difference", "head_errors", "head_settings", "trained_names"]

_BOUNDARIES = ("STDCHead",)
"""Heads of mmseg that do not predict the classes of the data."""


def class_names(metainfo: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """Classes of each label set, by its name, from the ``metainfo`` of a dataset (or of several sets in one).

    A dataset without a name is called ``""``; one without classes is left out.
    """
    sets = metainfo.get("sets") or {metainfo.get("dataset_name", ""): metainfo}
    return {name: tuple(info["classes"]) for name, info in sets.items() if info.get("classes")}


def trained_names(meta: Mapping[str, Any], name: str = "") -> tuple[str, ...] | None:
    """The class names that a checkpoint itself has for a label set; None where it has none.

    Args:
        meta: ``meta`` of a checkpoint of mmengine, or of mmseg before version 1.
        name: Label set, for models with several heads.
    """
    info = meta.get("dataset_meta") or {"classes": meta.get("CLASSES")}
    sets = info.get("sets")
    if sets:
        info = sets.get(name) or {}
    return tuple(map(str, info["classes"])) if info.get("classes") else None


def explain_difference(found: Sequence[str], expected: Sequence[str]) -> str | None:
    """Where two lists of class names differ, or None; case, spaces, ``_`` and ``-`` make no difference."""
    if len(found) != len(expected):
        return f"{len(found)} classes and {len(expected)} classes"
    pairs = enumerate(zip(found, expected, strict=True))
    return next((f"class {i} is {a!r} and {b!r}" for i, (a, b) in pairs if name_key(a) != name_key(b)), None)


def _heads(node: Any, where: str, inside: bool = False) -> Iterator[tuple[str, int]]:
    """Dotted path and ``num_classes`` of every head in a model's config, wherever it stands."""
    if isinstance(node, Mapping):
        if inside and isinstance(node.get("num_classes"), int) and node.get("type") not in _BOUNDARIES:
            yield f"{where}.num_classes", node["num_classes"]
        for key, value in node.items():
            if not str(key).startswith("loss"):
                yield from _heads(value, f"{where}.{key}", str(key).endswith("head"))
    elif isinstance(node, (list, tuple)):
        for i, value in enumerate(node):
            yield from _heads(value, f"{where}.{i}", inside)


def head_settings(model: Mapping[str, Any], name: str) -> list[tuple[str, int | None]]:
    """Settings of a model's config that say how many classes a label set has."""
    if model.get("heads"):
        return [(f"model.heads.{name}", model["heads"].get(name))]
    vocabulary = model.get("vocabulary")
    if vocabulary:
        count = load_metainfo(vocabulary).num_classes if isinstance(vocabulary, str) else len(vocabulary)
        return [("model.vocabulary", count)]
    return list(_heads(model, "model"))


def head_errors(model: Mapping[str, Any], classes: Mapping[str, Sequence[str]]) -> list[str]:
    """What does not fit between the heads of a model and the classes of its data; empty where all does.

    Args:
        model: The model's config.  Heads are all dicts under keys that end in ``head``, and ``heads`` of models with
            several label sets.
        classes: Class names of each label set, see :func:`class_names`.
    """
    out = []
    for name, names in classes.items():
        needed = f"{len(names)} classes ({', '.join(names[:4])}{' ...' if len(names) > 4 else ''})"
        for setting, count in head_settings(model, name):
            if count is None:
                out.append(f"dataset {name!r} has no head; add {setting}={len(names)}")
            elif count != len(names):
                out.append(f"{setting} is {count}, but dataset {name!r} has {needed}; set {setting}={len(names)}")
    return list(dict.fromkeys(out))
