"""From an architecture as data to the settings of the networks that are trained after a search, for all methods."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rsseg.errors import DataError
from rsseg.models.search import fasterseg_structure, sparsemask_pruning
from rsseg.structures.architectures import RETRAIN, TEACHER

__all__ = ["retrain_models"]

Models = dict[str, dict[str, Any]]


def _sparsemask(architecture: Mapping[str, Any], source: str, base: Mapping[str, Any], folder: Path) -> Models:
    own = sparsemask_pruning.architecture_of(sparsemask_pruning.mask_of(architecture, source))
    return {RETRAIN: dict(decode_head=dict(architecture=dict(_delete_=True, **own)))}


def _fasterseg(architecture: Mapping[str, Any], source: str, base: Mapping[str, Any], folder: Path) -> Models:
    """The teacher's own training, and the student's with it."""

    def own(content: Mapping[str, Any]) -> dict[str, Any]:
        return fasterseg_structure.architecture_of(fasterseg_structure.structure_of(content, source))

    student = dict(_delete_=True, **own(architecture))
    if "teacher" not in architecture:
        return {RETRAIN: dict(architecture=student)}
    teacher = own(architecture["teacher"])
    parts = {key: dict(base["model"][key]) for key in ("backbone", "decode_head")}
    model = dict(type="FasterSeg", architecture=teacher, test_cfg=dict(mode="whole"), **parts)
    last = base["train_cfg"]["max_iters"]
    checkpoint = folder / Path(TEACHER).stem / f"iter_{last}.pth"
    return {
        TEACHER: dict(architecture=dict(_delete_=True, **teacher)),
        RETRAIN: dict(architecture=student, teacher=dict(model=model, checkpoint=checkpoint.as_posix())),
    }


_METHODS: dict[str, Callable[..., Models]] = {"SparseMask": _sparsemask, "FasterSeg": _fasterseg}


def retrain_models(architecture: Mapping[str, Any], source: str, base: Mapping[str, Any], folder: Path) -> Models:
    """Settings ``model`` of each config that trains what was found, by the config's name, in the order of training.

    Args:
        architecture: What a JSON file holds.
        source: What errors call it.
        base: The config that they are based on.
        folder: Where they will be, and below it their work dirs, of which one gets the teacher's checkpoint.

    Raises:
        DataError: It is of an unknown method, damaged or empty.
    """
    method = architecture.get("method")
    if method not in _METHODS:
        raise DataError(f"{source}: is of method {method!r}; expected one of: {', '.join(_METHODS)}")
    return _METHODS[method](architecture, source, base, folder)
