"""Checkpoint files, read without running code from them."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rsseg.errors import DataError
from rsseg.io.checkpoint_options import TRUST_VARIABLE
from rsseg.io.unpickling import checkpoint_globals
from rsseg.structures.keys import some_names

__all__ = ["WRAPPERS", "load_file", "read_state", "state_of"]

WRAPPERS = ("state_dict", "model", "model_state", "state_dict_ema", "model_ema", "teacher")
"""Keys under which training programs put the weights, the most usual first."""

State = dict[str, torch.Tensor]


def load_file(
    path: str | os.PathLike[str], map_location: Any = "cpu", trust: bool | None = False, advice: str | None = None
) -> Any:
    """Content of a checkpoint file (``.pth``, ``.safetensors`` or ``.npz``), without executing code from it.

    Args:
        path: The file.
        map_location: As for ``torch.load``.
        trust: Read with the unrestricted unpickler, which can run any code the file holds; so does the environment's
            ``RSSEG_TRUST=1``, unless this is None.
        advice: What to do where the file is missing or cannot be read.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged, or needs objects other than tensors, arrays and plain values.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such checkpoint" + (f"; {advice}" if advice else ""))
    trusted = trust is not None and (trust or os.environ.get(TRUST_VARIABLE) == "1")
    if advice is None:
        advice = "If you made this file or trust who did, add --trust: it may then run code"
    if file.suffix == ".safetensors":
        return _load_safetensors(file)
    if file.suffix == ".npz":
        return _load_arrays(file)
    try:
        with torch.serialization.safe_globals(checkpoint_globals()):
            return torch.load(file, map_location=map_location, weights_only=not trusted)
    except Exception as error:  # a damaged file raises almost anything, from KeyError to struct.error
        # torch says EINVAL of some cut files; any other number is the system's, such as "permission denied"
        if isinstance(error, OSError) and error.errno not in (None, 22):
            raise
        reason = str(error).partition("WeightsUnpickler error:")[2] or str(error) or type(error).__name__
        reason = reason.strip().splitlines()[0]
        raise DataError(
            f"{file}: not loaded, since it is damaged or holds more than tensors and arrays ({reason}). {advice}"
        ) from error


def _load_safetensors(file: Path) -> State:
    from safetensors import SafetensorError
    from safetensors.torch import load_file as load_tensors

    try:
        return load_tensors(str(file))
    except SafetensorError as error:
        raise DataError(f"{file}: not loaded, since it is damaged ({error})") from error


def _load_arrays(file: Path) -> State:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    except (ValueError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: not loaded, since it is damaged or holds more than arrays ({error})") from error


def read_state(path: str | os.PathLike[str], trust: bool | None = False, advice: str | None = None) -> State:
    """Weights by name of a checkpoint file, without ``module.`` of parallel training.

    Args:
        path: The file; its weights are at its top, or under one of ``WRAPPERS``.
        trust: As for :func:`load_file`.
        advice: As for :func:`load_file`.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged, would run code to load, or holds no weights by name.
    """
    return state_of(load_file(path, trust=trust, advice=advice), path)


def state_of(content: Any, path: str | os.PathLike[str], wrappers: Sequence[str] = WRAPPERS) -> State:
    """Weights by name in the content of a checkpoint file, without ``module.`` of parallel training.

    Args:
        content: What :func:`load_file` gave.
        path: The file, for errors.
        wrappers: Keys under which the weights may be; one within another is opened, too.

    Raises:
        DataError: There are no weights by name.
    """
    for _ in wrappers:  # a bounded number of times, since a dict can hold itself
        if isinstance(content, dict):
            content = next((content[key] for key in wrappers if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        held = some_names([str(key) for key in content]) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{Path(path)}: holds no weights by name, but {held}; weights are looked for at the top and under "
            f"{', '.join(wrappers)}"
        )
    return {str(key).removeprefix("module."): value for key, value in content.items()}
