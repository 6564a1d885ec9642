"""A checkpoint's classes against those of a config: compared by name, and its weights put into the config's order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from mmengine.logging import MMLogger
from torch import nn

from rsseg.errors import ConfigError
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.metainfo import explain_difference, match_classes, trained_names
from rsseg.metainfo.table import name_key

__all__ = ["ClassRows", "class_tensors", "fit_classes", "move_rows", "reorder_optimizer"]

State = dict[str, torch.Tensor]

_LAST = re.compile(
    r"(conv_seg|pam_conv_seg|cam_conv_seg|cls_embed|fc_cls|classifier|fc|auxiliary\.\d+|(conv_seg|auxiliary|twin)\.convs\.\d+|"
    r"(heads(8|16|32)|decoders\.\d+\.heads\.\d+)\.conv_1x1)"
    r"\.(weight|bias)"
)
"""Parameters of a head with a row for each class, as mmseg, mmpretrain and this package name them."""
_OWN = re.compile(r"adaptation\.(?!teacher\.)")
"""Parts of a method of domain adaptation; they keep the order of classes that they were trained with."""
_WITHOUT = ("KernelUpdateHead",)
"""Heads that know the number of classes, and treat all of them alike."""


@dataclass(frozen=True)
class ClassRows:
    """How the rows of some weights were chosen.

    Attributes:
        index: For each class of the config the row of the file, None where the model keeps its own.
        classes: Number of classes in the file, whose further rows (Mask2Former's "none") stay behind.
    """

    index: tuple[int | None, ...]
    classes: int


def class_tensors(model: nn.Module, name: str, count: int) -> list[str]:
    """Keys of a model's weights that have a row for each of the ``count`` classes of a label set.

    Args:
        model: A model of mmseg or mmpretrain, without wrappers.
        name: Label set, for models with several heads.
        count: Its number of classes.

    Raises:
        ConfigError: A head keeps its classes in another way, so that they cannot be told apart.
    """
    heads, state = getattr(model, "heads", None), model.state_dict()
    if isinstance(heads, nn.ModuleDict):
        return [key for key in state if key.startswith(f"heads.{name}.")]
    out: list[str] = []
    found_heads = {
        p: m for p, m in model.named_modules() if getattr(m, "num_classes", None) == count and not _OWN.match(f"{p}.")
    }
    for prefix, module in found_heads.items():
        start = f"{prefix}." if prefix else ""
        inner = any(name.startswith(start) for name in found_heads if name != prefix)
        if inner or type(module).__name__ in _WITHOUT:  # a model, or a head of several, has those of its parts
            continue
        own = [key.removeprefix(start) for key in state if key.startswith(start)]
        found = [key for key in own if _LAST.fullmatch(key)]
        if any(key.startswith("classifier.") for key in found):  # then fc is the layer before it
            found = [key for key in found if not key.startswith("fc.")]
        if not found or not {state[start + key].shape[0] for key in found} <= {count, count + 1}:
            raise ConfigError(f"{type(module).__name__} has no weights with a row for each class")
        out += [start + key for key in found if start + key not in out]
    return out


def fit_classes(
    state: State,
    meta: Mapping[str, Any],
    model: nn.Module,
    expected: Mapping[str, Sequence[str]],
    checkpoint: str,
    options: ClassOptions | None = None,
    training: bool = False,
    skipped: Sequence[str] = (),
) -> dict[str, ClassRows]:
    """Compare the classes of a checkpoint with those of a config, and put its weights into the config's order.

    Another order of the same names is put right; what else differs is an error, unless ``options`` say what to do.
    Checkpoints that name no classes, and models that are asked with words, pass.

    Args:
        state: Weights by name; those of the heads are replaced in it.
        meta: ``meta`` of the checkpoint.
        model: Without wrappers.
        expected: Class names of each label set, see :func:`rsseg.metainfo.class_names`.
        checkpoint: The file, for messages.
        options: What to do where they differ; None takes those of the environment.
        training: The weights begin a training: heads of another size start afresh, and with a ``--class-map`` also
            classes that the checkpoint lacks.
        skipped: Keys that are not going to be loaded.

    Returns:
        What was changed, by key.

    Raises:
        ConfigError: The classes differ; the message lists how.
    """
    options = ClassOptions.of_environment() if options is None else options
    sets = {} if hasattr(model, "set_vocabulary") else {name: trained_names(meta, name) for name in expected}
    known = {name: (found, tuple(expected[name])) for name, found in sets.items() if found}
    _check_pairs(options, known, checkpoint)
    changed: dict[str, ClassRows] = {}
    for name, (found, names) in known.items():
        match = match_classes(found, names, options.pairs)
        if match.complete and match.same_rows(len(found)):
            continue
        keys, error = _loaded(state, model, name, len(names), skipped, training and not options.pairs)
        if not (keys or error):  # the head starts afresh, or is missing and named as such
            continue
        text = f"{checkpoint}: its classes{f' of {name}' if name else ''}"
        how = str(match) or explain_difference(found, names) or "by --class-map"
        if options.trust:
            _log(f"{text} are not those of the config ({how}); they are loaded as they are (--trust-classes)")
        elif not match.complete and not (training and options.pairs and not match.repeated):
            raise ConfigError(f"{text} are not those of the config: {how}. {_advice(training)}")
        elif error:
            order = f"are those of the config in another order ({how}), into which they cannot be put"
            raise ConfigError(f"{text} {order}: {error}. {_advice(training)}")
        else:
            changed |= dict.fromkeys(keys, ClassRows(match.index, len(found)))
            _log(f"{text} are put into the order of the config ({how})")
    move_rows(state, changed, model.state_dict())
    return changed


def _check_pairs(options: ClassOptions, sets: Mapping[str, tuple[Sequence[str], Sequence[str]]], file: str) -> None:
    """Refuse pairs that no label set knows: they are typing errors."""
    for old, new in options.pairs if sets else ():
        for found, names in sets.values():
            if name_key(old) in map(name_key, found) and (not new or name_key(new) in map(name_key, names)):
                break
        else:
            lists = [
                f"{', '.join(found)} in {file} and {', '.join(names)} in the config" for found, names in sets.values()
            ]
            raise ConfigError(f"--class-map {old}={new}: no such pair of classes; there are {'; '.join(lists)}")


def _loaded(
    state: State, model: nn.Module, name: str, count: int, skipped: Sequence[str], same_shape: bool
) -> tuple[list[str], str | None]:
    """Keys of the weights with a row for each class that are going to be loaded; or why they are not known."""
    try:
        keys = class_tensors(model, name, count)
    except ConfigError as error:
        return [], str(error)
    own, there = model.state_dict(), [key for key in keys if key in state and key not in skipped]
    return [key for key in there if not same_shape or state[key].shape == own[key].shape], None


def move_rows(state: State, changed: Mapping[str, ClassRows], own: Mapping[str, torch.Tensor]) -> None:
    """Choose rows of weights, in place.

    Args:
        state: Tensors by key; others than those of ``changed`` stay.
        changed: See :func:`fit_classes`.
        own: Tensors by key, of which rows are taken that the file lacks.
    """
    for key, chosen in changed.items():
        old = state.get(key)
        if old is None or old.ndim == 0 or len(old) < chosen.classes:
            continue
        rows = [own[key][i].to(old) if row is None else old[row] for i, row in enumerate(chosen.index)]
        state[key] = torch.cat([torch.stack(rows), old[chosen.classes :]])


def reorder_optimizer(optimizer: torch.optim.Optimizer, model: nn.Module, changed: Mapping[str, ClassRows]) -> None:
    """Let momentum and the like follow the weights that :func:`fit_classes` has put into another order."""
    named = dict(model.named_parameters())
    for key in changed.keys() & named.keys():
        kept = optimizer.state.get(named[key], {})
        for what, value in kept.items():
            if isinstance(value, torch.Tensor) and value.shape == named[key].shape:
                part = {key: value}
                move_rows(part, changed, {key: torch.zeros_like(value)})
                kept[what] = part[key]


def _advice(training: bool) -> str:
    afresh = ", or let the head start afresh (the hook LoadPretrained with new=[...])" if training else ""
    return (
        "Use the class table that the checkpoint was trained with, say which class is which (--class-map OLD=NEW ..., "
        f"'OLD=' leaves one out), load the weights as they are (--trust-classes){afresh}"
    )


def _log(text: str) -> None:
    MMLogger.get_current_instance().warning(text)
