"""Pipelines of configs without what only training and tests need: for a file or an array, as mmseg's APIs take them."""

from __future__ import annotations

import copy
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from rsseg.io.pixel_settings import share_pixels

__all__ = ["inference_config", "inference_pipeline", "restore_first_step"]

_LABELS = {"LoadLabels", "LoadAnnotations", "LoadReferenceMap"}
_FOR_SCORES = {"CentreCrop"}
_FIRST = "FileOrArray"
_LOADERS = {"LoadImage": "LoadImageOrArray", "LoadBands": "LoadBands"}


def _name(step: Mapping[str, Any]) -> str:
    return str(step.get("type", "")).rpartition(".")[2]


def _test_pipeline(config: Mapping[str, Any]) -> Sequence[Any] | None:
    """The pipeline of a config's test set, of its first part where it has several."""
    dataset = (config.get("test_dataloader") or {}).get("dataset") or {}
    while dataset.get("pipeline") is None and dataset.get("datasets"):
        dataset = dataset["datasets"][0]
    return dataset.get("pipeline")


def inference_pipeline(config: Mapping[str, Any], test_set: bool = True) -> list[dict[str, Any]] | None:
    """What a config's tests do with an image, for images that have no labels and no data set.

    Labels are not read, and no part of the image is cut out for scores.  The loader takes the path of a file, or an
    array, see :class:`rsseg.datasets.LoadImageOrArray`.

    Args:
        config: With ``test_dataloader`` or ``test_pipeline``, after :func:`rsseg.io.pixel_settings.share_pixels`.
        test_set: Take the pipeline of the test set where there is one, as mmseg's inferencer does; else
            ``test_pipeline`` comes first, as for mmseg's ``inference_model``.

    Returns:
        The steps; None where none of them is a loader of this package.
    """
    both = _test_pipeline(config), config.get("test_pipeline")
    pipeline = next((own for own in (both if test_set else both[::-1]) if own is not None), ())
    kept = [dict(step) for step in pipeline if _name(step) not in _LABELS | _FOR_SCORES]
    loaders = [step for step in kept if _name(step) in _LOADERS]
    for step in loaders:
        step["type"] = _LOADERS[_name(step)]
        if step["type"] == "LoadBands":
            step["bands"] = config.get("bands")
    return kept if loaders else None


def inference_config(config: Any) -> Any:
    """A copy of a config whose ``test_pipeline`` mmseg's ``inference_model`` can use for files and for arrays.

    ``inference_model`` makes ``LoadImageFromNDArray`` of the first step where it is given arrays: that is a step of its
    own, which does nothing for files.
    """
    out = copy.deepcopy(config)
    content = getattr(out, "_cfg_dict", out)
    if isinstance(content, MutableMapping):
        share_pixels(content)
        steps = inference_pipeline(content, test_set=False)
        if steps is not None:
            out["test_pipeline"] = [dict(type=_FIRST), *steps]
    return out


def restore_first_step(config: Any) -> None:
    """Let an :func:`inference_config` take files again after arrays, for which mmseg has changed its first step."""
    steps: Sequence[Any] = config.get("test_pipeline") or []
    if len(steps) > 1 and _name(steps[0]) == "LoadImageFromNDArray" and _name(steps[1]) in _LOADERS.values():
        steps[0]["type"] = _FIRST
