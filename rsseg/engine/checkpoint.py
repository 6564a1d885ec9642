"""Checkpoints: read without running code from them, load without losing a key in silence."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS

from rsseg.command_list import command
from rsseg.engine.adapters import complete_adapters, fresh_adapters, settle_adapters
from rsseg.engine.classes import fit_classes
from rsseg.engine.weights.conversion import name_layout
from rsseg.errors import ConfigError, DataError
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.io.checkpoints import load_file, state_of, write_weights
from rsseg.io.configs import read_config
from rsseg.structures.keys import compare_keys, to_adapted

__all__ = ["load_file", "load_pretrained", "merged_weights", "save_merged", "save_teacher"]


_TRAINING_ONLY = ("adaptation",)
"""Modules of a checkpoint that only its training needs: teacher and discriminators of domain adaptation.  A model
without them loads all the same, and so does a file without any of them: its network is the teacher's as well."""
_TEACHER = "adaptation.teacher."


def _advice(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> str:
    """What to do about a file that does not fit: whose weights it has, and how to go on."""
    found, expected = name_layout(state), name_layout(own)
    out = []
    if found and expected and found[1] != expected[1]:
        out.append(f"The file is {found[1]}, the model {expected[1]}")
    if found and expected and found[0] != expected[0]:
        out.append(f"Third-party weights must be converted first: {command('weights')} FILE OUT")
    return ". ".join(out or ["List the keys that may differ in new= or unused="])


def _under(keys: Iterable[str], prefixes: Sequence[str]) -> list[str]:
    return [key for key in keys if any(key == p or key.startswith(f"{p}.") for p in prefixes)]


def _for_teacher(
    state: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor], fresh: Sequence[str]
) -> dict[str, torch.Tensor]:
    """A plain network's weights for a model's teacher, but for what the model begins afresh."""
    found = {_TEACHER + key: value for key, value in state.items() if key not in fresh}
    return {key: value for key, value in found.items() if key in own and value.shape == own[key].shape}


def _meta_of(content: Any) -> dict[str, Any]:
    meta = content.get("meta") if isinstance(content, dict) else None
    return meta if isinstance(meta, dict) else {}


def load_pretrained(
    model: torch.nn.Module,
    path: str | os.PathLike[str] | None,
    new: Sequence[str] = (),
    unused: Sequence[str] = (),
    trust: bool = False,
    classes: Mapping[str, Sequence[str]] | None = None,
    class_options: ClassOptions | None = None,
    training: bool = False,
) -> dict[str, Any]:
    """Load weights into a model, with every key accounted for.

    Adapters (LoRA) of model or checkpoint are merged into the weights, except those of a model that is to be trained.

    Args:
        model: Where to.
        path: A checkpoint of mmengine, or a plain state dict; a leading ``module.`` is dropped.  None for a model that
            is not trained: it takes the files that its config names.
        new: Modules of the model that the file need not have; they keep their initial weights.
        unused: Modules of the file that the model need not have.
        trust: See :func:`load_file`.
        classes: Class names of each label set: those of the checkpoint are compared with them, and its heads put into
            their order, see :func:`rsseg.engine.classes.fit_classes`.
        class_options: What to do where they differ; by default what the environment says.
        training: The weights begin a training, see there.

    Returns:
        What the file says about itself (``meta``); empty where it holds weights alone.

    Raises:
        DataError: A key is missing, unexpected or of another shape beyond what ``new`` and ``unused`` allow.
        ConfigError: The classes differ; or there is no ``path``, and the model or its config needs one.
    """
    if path is None:
        return _init_named(model)
    content = load_file(path, trust=trust)
    weights, meta = state_of(content, path), _meta_of(content)
    plain = complete_adapters(weights, meta, model, str(path))
    state = to_adapted(weights, own := model.state_dict())
    added = fresh_adapters(state, own)
    spare = [name for name in _TRAINING_ONLY if not _under(own, [name]) and _under(state, [name])]
    lacking = [name for name in _TRAINING_ONLY if _under(own, [name]) and not _under(state, [name])]
    fresh, dropped = [*_under(own, new), *added], _under(state, [*unused, *spare])
    if lacking:
        state |= _for_teacher(state, own, fresh)
        fresh += [key for key in _under(own, lacking) if key not in state]
    fit_classes(state, meta, model, classes or {}, str(path), class_options, training, fresh)
    found = compare_keys(state, own, fresh, dropped)
    if found:
        raise DataError(f"{path} does not fit {type(model).__name__}: {found}. {_advice(state, own)}")
    if callable(check := getattr(model, "check_checkpoint", None)):
        check(content, str(path))
    model.load_state_dict({**own, **{key: state[key] for key in found.fitting}})
    settle_adapters(model, plain, str(path) if added else None, training)
    MMLogger.get_current_instance().info(
        f"{path}: {len(found.fitting)} tensors loaded, {len(own) - len(found.fitting)} initialised anew "
        f"({', '.join([*new, *lacking]) or 'none'}), {len(dropped)} of the file are unused "
        f"({', '.join([*unused, *spare]) or 'none'})"
    )
    return meta


def _init_named(model: Any) -> dict[str, Any]:
    if not getattr(model, "training_free", False):
        raise ConfigError(
            f"name the weights of {type(model).__name__}; only a model that is not trained, such as SegEarthOV, takes "
            "the files that its config names"
        )
    files = ", ".join(model.weight_files)  # before anything is read: a part without a file is an error
    model.init_weights()
    MMLogger.get_current_instance().info(f"{type(model).__name__}: weights of {files}")
    return {}


def merged_weights(
    config: Any, path: str | os.PathLike[str], trust: bool = False
) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Weights of a checkpoint with adapters (LoRA) as those of a plain model, and what it says about itself.

    Args:
        config: The model's config, with ``model``.
        path: The checkpoint.
        trust: See :func:`load_file`.

    Raises:
        UserError: The checkpoint does not fit, or the file that its adapters stand beside is missing.
    """
    init_default_scope(config.get("default_scope", "mmseg"))
    settings = copy.deepcopy(config.model)
    settings.pop("pretrained", None)
    model = MODELS.build(settings)
    meta = load_pretrained(model, path, trust=trust)
    return model.state_dict(), {key: value for key, value in meta.items() if key != "adapters"}


def save_merged(
    config: str | None, path: str | os.PathLike[str], out: str | os.PathLike[str], trust: bool = False
) -> int:
    """Write a checkpoint with adapters as a plain one.

    Args:
        config: Config file of its training.
        path: The checkpoint.
        out: The file to write; what the checkpoint says about itself (``meta``) goes along.
        trust: See :func:`load_file`.

    Returns:
        Number of tensors.

    Raises:
        ConfigError: There is no config.
        UserError: As for :func:`merged_weights`.
    """
    if config is None:
        raise ConfigError("--to merged requires --config CONFIG, with which the checkpoint was trained")
    state, meta = merged_weights(read_config(config, trust=trust), path, trust)
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_weights(Path(out), state, meta)
    return len(state)


def save_teacher(path: str | os.PathLike[str], out: str | os.PathLike[str], trust: bool = False) -> int:
    """Write the teacher of a checkpoint of domain adaptation as a plain checkpoint, in the student's place.

    Args:
        path: The checkpoint.
        out: The file to write; what the checkpoint says about itself (``meta``) goes along.
        trust: See :func:`load_file`.

    Returns:
        Number of tensors.

    Raises:
        DataError: The checkpoint has no teacher.
        OSError: Writing failed.
    """
    content = load_file(path, trust=trust)
    state = {k.removeprefix(_TEACHER): v for k, v in state_of(content, path).items() if k.startswith(_TEACHER)}
    if not state:
        raise DataError(f"{path}: has no teacher (no weights {_TEACHER}*); methods with a teacher are DAFormer and MIC")
    Path(out).parent.mkdir(parents=True, exist_ok=True)
    write_weights(Path(out), state, content.get("meta") or {})
    return len(state)
