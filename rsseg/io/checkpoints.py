"""Checkpoint files, read without running code from them."""

from __future__ import annotations

import argparse
import errno
import importlib
import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

__all__ = ["TRUST_VARIABLE", "load_file"]

TRUST_VARIABLE = "RSSEG_TRUST"
"""Environment variable that ``--trust`` sets to 1: files may then run code while they load."""


def _history_method(owner: Any, name: str) -> Any:
    """Stand-in for ``getattr`` in pickles: only the statistics that mmengine's log buffers refer to."""
    if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
        raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) is not allowed in a checkpoint")
    return getattr(owner, name)


def _safe_globals() -> list[Any]:
    dtypes = [getattr(np.dtypes, name) for name in dir(np.dtypes) if name.endswith("DType")]
    core = "numpy._core" if int(np.__version__.split(".")[0]) >= 2 else "numpy.core"
    multiarray = importlib.import_module(f"{core}.multiarray")
    arrays = [np.ndarray, np.dtype, multiarray._reconstruct, multiarray.scalar]
    old_names = [(f, f"numpy.core.multiarray.{f.__name__}") for f in (multiarray._reconstruct, multiarray.scalar)]
    # Settings of a run, which others store beside the weights; yacs need not be there.
    settings = [argparse.Namespace, (OrderedDict, "yacs.config.CfgNode")]
    return [*dtypes, *arrays, *old_names, *settings, HistoryBuffer, (_history_method, "builtins.getattr")]


def load_file(path: str | os.PathLike[str], map_location: Any = "cpu", trust: bool = False) -> Any:
    """Content of a checkpoint file (``.pth`` or ``.safetensors``), without executing code from it.

    Args:
        path: The file.
        map_location: As for ``torch.load``.
        trust: Read with the unrestricted unpickler, which can run any code the file holds.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, or needs objects other than tensors, arrays and plain values.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such checkpoint")
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file as load_tensors

        try:
            return load_tensors(str(file))
        except SafetensorError as error:
            raise ValueError(f"{file}: not loaded, since it is damaged ({error})") from error
    trusted = trust or os.environ.get(TRUST_VARIABLE) == "1"
    try:
        with torch.serialization.safe_globals(_safe_globals()):
            return torch.load(file, map_location=map_location, weights_only=not trusted)
    except (pickle.UnpicklingError, EOFError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # which torch says of some cut files
            raise
        reason = str(error).partition("WeightsUnpickler error:")[2] or str(error) or type(error).__name__
        reason = reason.strip().splitlines()[0]
        raise ValueError(
            f"{file}: not loaded, since it is damaged or holds more than tensors and arrays ({reason}). "
            "If you made this file or trust who did, add --trust: it may then run code"
        ) from error
