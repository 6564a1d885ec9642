"""Checkpoints: read without running code from them, load without losing a key in silence."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import get_torchvision_models

from rsseg.io.checkpoints import load_file

__all__ = ["load_file", "load_pretrained"]


@CheckpointLoader.register_scheme(prefixes="", force=True)
def load_from_local(filename: str, map_location: Any) -> Any:
    """Local files in mmengine's loader, resume included, by :func:`load_file` (mmengine's own falls back to code)."""
    if not Path(filename).expanduser().is_file():
        raise FileNotFoundError(
            f"{filename}: no such checkpoint; weights of others are made ready by tools/convert_weights.py FILE OUT, "
            "the config says from which file"
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


def _state_dict(content: Any, path: Path) -> dict[str, torch.Tensor]:
    state = content.get("state_dict", content) if isinstance(content, dict) else content
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError(f"{path}: holds no state dict; tools/convert_weights.py FILE OUT reads files of others")
    return {key.removeprefix("module."): value for key, value in state.items()}


def _advice(state: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> str:
    """What to do about a file that does not fit: whose weights it has, and how to go on."""
    from rsseg.engine.weights import name_layout  # it reads files by this module

    found, wanted = name_layout(state), name_layout(own)
    out = []
    if found and wanted and found[1] != wanted[1]:
        out.append(f"The file is {found[1]}, the model {wanted[1]}")
    if found and wanted and found[0] != wanted[0]:
        out.append("Files that were not made here are converted by tools/convert_weights.py FILE OUT")
    return ". ".join(out or ["Name what may differ in new= or unused="])


def _under(keys: Iterable[str], prefixes: Sequence[str]) -> list[str]:
    return [key for key in keys if any(key == p or key.startswith(f"{p}.") for p in prefixes)]


def load_pretrained(
    model: torch.nn.Module,
    path: str | os.PathLike[str],
    new: Sequence[str] = (),
    unused: Sequence[str] = (),
    trust: bool = False,
) -> dict[str, Any]:
    """Load weights into a model, with every key accounted for.

    Args:
        model: Where to.
        path: A checkpoint of mmengine, or a plain state dict; a leading ``module.`` is dropped.
        new: Modules of the model that the file need not have; they keep their initial weights.
        unused: Modules of the file that the model need not have.
        trust: See :func:`load_file`.

    Returns:
        What the file says about itself (``meta``); empty where it holds weights alone.

    Raises:
        ValueError: A key is missing, unexpected or of another shape beyond what ``new`` and ``unused`` allow.
    """
    content = load_file(path, trust=trust)
    state = _state_dict(content, Path(path))
    own = model.state_dict()
    fresh, dropped = set(_under(own, new)), set(_under(state, unused))
    missing = [key for key in own if key not in state and key not in fresh]
    extra = [key for key in state if key not in own and key not in dropped]
    fits = {key: value for key, value in state.items() if key in own and key not in dropped | fresh}
    shapes = [
        f"{key} {tuple(value.shape)} for {tuple(own[key].shape)}"
        for key, value in fits.items()
        if value.shape != own[key].shape
    ]
    problems = {"missing": missing, "unexpected": extra, "size mismatch": shapes}
    if any(problems.values()):
        text = "; ".join(
            f"{len(v)} {k}: {', '.join(v[:5])}{' ...' if len(v) > 5 else ''}" for k, v in problems.items() if v
        )
        raise ValueError(f"{path} does not fit {type(model).__name__}: {text}. {_advice(state, own)}")
    model.load_state_dict({**own, **fits})
    MMLogger.get_current_instance().info(
        f"{path}: {len(fits)} tensors loaded, {len(own) - len(fits)} start afresh "
        f"({', '.join(new) or 'none'}), {len(dropped)} of the file unused"
    )
    meta = content.get("meta") if isinstance(content, dict) else None
    return meta if isinstance(meta, dict) else {}
