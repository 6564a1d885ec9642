"""Checkpoints: read without running code from them, load without losing a key in silence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models

from rsseg.engine.classes import fit_classes
from rsseg.engine.weights.conversion import name_layout
from rsseg.errors import DataError
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.io.checkpoints import load_file, state_of
from rsseg.structures.keys import compare_keys

__all__ = ["load_file", "load_pretrained"]


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str, map_location: Any) -> Any:
    """Local files in mmengine's loader, resume included, by :func:`load_file` (mmengine's own falls back to code)."""
    if not Path(filename).expanduser().is_file():
        raise FileNotFoundError(
            f"{filename}: no such checkpoint; third-party weights must be converted first: tools/convert_weights.py "
            "FILE OUT; the docstring of the config says from which file"
        )
    return load_file(filename, map_location)


@CheckpointLoader.register_scheme(prefixes=("http://", "https://"), force=True)
def load_from_http(filename: str, map_location: Any = "cpu") -> Any:
    """Download once into torch's checkpoint cache, then read by :func:`load_file` (mmengine's own unpickles it)."""
    cached = Path(torch.hub.get_dir()) / "checkpoints" / filename.rpartition("/")[2]
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        torch.hub.download_url_to_file(filename, str(cached), progress=False)
    return load_file(cached, map_location)


@CheckpointLoader.register_scheme(prefixes=("modelzoo://", "torchvision://"), force=True)
def load_from_torchvision(filename: str, map_location: Any = "cpu") -> Any:
    """ImageNet weights of torchvision by model name, for example ``torchvision://resnet50``."""
    return load_from_http(get_torchvision_models()[filename.rpartition("//")[2]], map_location)


def _advice(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> str:
    """What to do about a file that does not fit: whose weights it has, and how to go on."""
    found, expected = name_layout(state), name_layout(own)
    out = []
    if found and expected and found[1] != expected[1]:
        out.append(f"The file is {found[1]}, the model {expected[1]}")
    if found and expected and found[0] != expected[0]:
        out.append("Third-party weights must be converted first: python tools/convert_weights.py FILE OUT")
    return ". ".join(out or ["List the keys that may differ in new= or unused="])


def _under(keys: Iterable[str], prefixes: Sequence[str]) -> list[str]:
    return [key for key in keys if any(key == p or key.startswith(f"{p}.") for p in prefixes)]


def load_pretrained(
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    new: Sequence[str] = (),
    unused: Sequence[str] = (),
    trust: bool = False,
    classes: Mapping[str, Sequence[str]] | None = None,
    class_options: ClassOptions | None = None,
    training: bool = False,
) -> dict[str, Any]:
    """Load weights into a model, with every key accounted for.

    Args:
        model: Where to.
        path: A checkpoint of mmengine, or a plain state dict; a leading ``module.`` is dropped.
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
        ConfigError: The classes differ.
    """
    content = load_file(path, trust=trust)
    state = state_of(content, path)
    own = model.state_dict()
    fresh, dropped = _under(own, new), _under(state, unused)
    meta = content.get("meta") if isinstance(content, dict) else None
    meta = meta if isinstance(meta, dict) else {}
    fit_classes(state, meta, model, classes or {}, str(path), class_options, training, fresh)
    found = compare_keys(state, own, fresh, dropped)
    if found:
        raise DataError(f"{path} does not fit {type(model).__name__}: {found}. {_advice(state, own)}")
    model.load_state_dict({**own, **{key: state[key] for key in found.fitting}})
    MMLogger.get_current_instance().info(
        f"{path}: {len(found.fitting)} tensors loaded, {len(own) - len(found.fitting)} initialised anew "
        f"({', '.join(new) or 'none'}), {len(dropped)} of the file are unused"
    )
    return meta
