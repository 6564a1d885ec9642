"""Tensors of a TorchScript archive, read without running or even compiling the program in it.

``torch.load(weights_only=True)`` refuses such archives, and ``torch.jit.load`` runs what they ask for.  So torch's
restricted unpickler is given a copy with the attributes alone, without the program.
"""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from pathlib import Path
from typing import Any

import torch

from rsseg.errors import DataError

__all__ = ["is_torchscript", "read_torchscript"]

# What zipfile, pickle and torch say of archives that were cut or changed.
_DAMAGED = (
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, LookupError, ArithmeticError, RuntimeError, TypeError,
    ValueError, AttributeError, EOFError, MemoryError,
)  # fmt: skip
_ATTRIBUTES = ("data.pkl", "version", "byteorder", ".format_version", ".storage_alignment")
_PROGRAM, _TENSORS = "code/", "data/"
_CLASSES, _VALUES = "__torch__.", "torch.jit._pickle."


class _Module:
    """Stands for every class of the program; keeps what the archive says of the object."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _first(value: Any, *_: Any) -> Any:
    """Stands for the functions that give a list its type."""
    return value


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.partition("/")[2].startswith(_PROGRAM) for name in archive.namelist())


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """All tensors that the archive's modules have, by their dotted names.

    Args:
        path: An archive of ``torch.jit.save``.  Of it only attributes and numbers are read.

    Raises:
        DataError: The archive is damaged, or has attributes other than tensors, plain values and modules.
    """
    try:
        root = _load(_without_program(path))
    except _DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: this TorchScript archive cannot be read ({reason})") from error
    out: dict[str, torch.Tensor] = {}
    _collect(root, "", out)
    return out


def _without_program(path: Path) -> io.BytesIO:
    """A copy of the archive that torch takes for a checkpoint."""
    copy = io.BytesIO()
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(copy, "w") as out:
        for name in archive.namelist():
            rest = name.partition("/")[2]
            if rest in _ATTRIBUTES or rest.startswith(_TENSORS):
                out.writestr(name, archive.read(name))
    copy.seek(0)
    return copy


def _load(archive: io.BytesIO) -> Any:
    names = torch.serialization.get_unsafe_globals_in_checkpoint(archive)
    for name in names:
        if not name.startswith((_CLASSES, _VALUES)):
            raise pickle.UnpicklingError(f"{name} is not allowed")
    stand_ins: list[Any] = [(_Module if name.startswith(_CLASSES) else _first, name) for name in names]
    archive.seek(0)
    with torch.serialization.safe_globals(stand_ins):
        return torch.load(archive, map_location="cpu", weights_only=True)


def _collect(module: Any, prefix: str, out: dict[str, torch.Tensor]) -> None:
    state = module.state if isinstance(module, _Module) and isinstance(module.state, dict) else {}
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            out[prefix + name] = value.detach()
        else:
            _collect(value, f"{prefix}{name}.", out)
