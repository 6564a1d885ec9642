"""Files with weights of mask models: read without running code from them, loaded with every key accounted for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

__all__ = ["misfits", "read_weights"]

_WRAPPERS = ("model", "state_dict")
"""Keys under which training programs put the weights; SAM 2's own files use the first."""


def read_weights(path: Path, option: str) -> dict[str, torch.Tensor]:
    """Weights by name, on the CPU; read with ``weights_only=True``, whatever the environment says.

    Args:
        path: A file of ``torch.save``: names to tensors, or that under the key ``model`` or ``state_dict``.
        option: Config path of the file's name, for the messages.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is truncated, damaged, no checkpoint, or would run code to load.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such SAM checkpoint; give another with --cfg-options {option}=FILE")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises almost anything, from KeyError to struct.error
        reason = (str(error).partition("WeightsUnpickler error:")[2] or str(error)).strip()
        first = reason.splitlines()[0] if reason else "no message"
        raise ValueError(
            f"{path}: cannot be read as weights: it is truncated, damaged or no checkpoint, or holds objects other "
            f"than tensors, which are never loaded ({type(error).__name__}: {first}). "
            f"Fetch the published file again and compare its size, or give another with --cfg-options {option}=FILE"
        ) from error
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    names = list(content) if isinstance(content, dict) else [type(content).__name__]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise ValueError(f"{path}: holds no weights by name, but {_some([str(name) for name in names])}")
    return {str(name): value for name, value in content.items()}


def misfits(model: torch.nn.Module, state: dict[str, torch.Tensor]) -> str:
    """What keeps ``state`` from being all weights of ``model`` and nothing else; empty where it fits."""
    own = model.state_dict()
    shapes = [
        f"{key} {tuple(state[key].shape)} for {tuple(value.shape)}"
        for key, value in own.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = {
        "missing": [key for key in own if key not in state],
        "unexpected": [key for key in state if key not in own],
        "size mismatch": shapes,
    }
    return "; ".join(f"{len(keys)} {what}: {_some(keys)}" for what, keys in problems.items() if keys)


def _some(names: Sequence[str], most: int = 3) -> str:
    return ", ".join(names[:most]) + (" ..." if len(names) > most else "")
