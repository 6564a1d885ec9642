"""Tensors of a TorchScript archive, read without running or even compiling the program in it."""

from __future__ import annotations

import io
import pickle
import zipfile
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from rsseg.errors import DataError

__all__ = ["is_torchscript", "read_torchscript"]

_STORAGES = {
    "DoubleStorage": torch.float64,
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# What zipfile, pickle and torch say of archives that were cut or changed.
_DAMAGED = (
    pickle.UnpicklingError, zipfile.BadZipFile, zlib.error, LookupError, ArithmeticError, RuntimeError, TypeError,
    ValueError, AttributeError, EOFError, MemoryError,
)  # fmt: skip
_ATTRIBUTES = "data.pkl"
_PROGRAM = "code/"


class _Module:
    """Stands for every class of the program; keeps what the archive says of the object."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _tensor(storage: torch.Tensor, offset: int, size: Sequence[int], stride: Sequence[int], *_: Any) -> torch.Tensor:
    return torch.as_strided(storage, size, stride, offset).clone()


def _first(value: Any, *_: Any) -> Any:
    return value


class _Reader(pickle.Unpickler):
    """Knows tensors, plain values and objects without methods; refuses all else."""

    def __init__(self, archive: zipfile.ZipFile, folder: str) -> None:
        super().__init__(io.BytesIO(archive.read(folder + _ATTRIBUTES)))
        self._archive = archive
        self._folder = folder

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        if module == "torch.jit._pickle":
            return _first
        allowed = {("torch._utils", "_rebuild_tensor_v2"): _tensor, ("collections", "OrderedDict"): OrderedDict}
        if (module, name) in allowed:
            return allowed[module, name]
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed")

    def persistent_load(self, pid: Any) -> torch.Tensor:
        _, dtype, key, _, count = pid
        content = self._archive.read(f"{self._folder}data/{key}")
        if len(content) < count * dtype.itemsize:
            raise pickle.UnpicklingError(f"data/{key} has {len(content)} bytes, not {count * dtype.itemsize}")
        return torch.frombuffer(bytearray(content), dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _folder(archive: zipfile.ZipFile) -> str | None:
    """What stands before the archive's names, where there is a program among them."""
    for name in archive.namelist():
        head, _, rest = name.partition("/")
        if rest.startswith(_PROGRAM):
            return f"{head}/"
    return None


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _folder(archive) is not None


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """All tensors that the archive's modules have, by their dotted names.

    Args:
        path: An archive of ``torch.jit.save``.  Of it only attributes and numbers are read.

    Raises:
        ValueError: The archive is damaged, or has attributes other than tensors, plain values and modules.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            root = _Reader(archive, str(_folder(archive))).load()
    except _DAMAGED as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: a TorchScript archive that cannot be read ({reason})") from error
    out: dict[str, torch.Tensor] = {}
    _collect(root, "", out)
    return out


def _collect(module: Any, prefix: str, out: dict[str, torch.Tensor]) -> None:
    state = module.state if isinstance(module, _Module) and isinstance(module.state, dict) else {}
    for name, value in state.items():
        if isinstance(value, torch.Tensor):
            out[prefix + name] = value
        else:
            _collect(value, f"{prefix}{name}.", out)
