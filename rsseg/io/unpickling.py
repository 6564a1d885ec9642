"""Pickles, read without running anything they ask for.

A pickle is a program that may call any function.  For labels its opcodes are checked before it runs, and each of the
few names that NumPy's arrays and numbers need leads to a stand-in below; any other name is refused.  Checkpoints are
pickles, too, which torch's restricted unpickler reads; :func:`checkpoint_globals` says what it may find beside tensors.
"""

from __future__ import annotations

import argparse
import importlib
import io
import math
import pickle
import pickletools
from collections import OrderedDict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError

__all__ = ["checkpoint_globals", "load_plain"]

_OPCODES = {
    *("APPEND", "APPENDS", "EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "SETITEM", "SETITEMS"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "BINFLOAT", "BININT", "BININT1", "BININT2", "LONG1"),
    *("BINBYTES", "BINBYTES8", "BINUNICODE", "BINUNICODE8", "BYTEARRAY8", "SHORT_BINBYTES", "SHORT_BINUNICODE"),
    *("BINGET", "BINPUT", "LONG_BINGET", "LONG_BINPUT", "MEMOIZE", "BUILD", "GLOBAL", "REDUCE", "STACK_GLOBAL"),
    *("FRAME", "MARK", "NEWFALSE", "NEWTRUE", "NONE", "PROTO", "STOP"),
}
_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
_NDARRAY = "numpy.ndarray"
_DAMAGE = (pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, IndexError, KeyError, MemoryError,
           TypeError, ValueError)  # fmt: skip


class _Dtype:
    """Stands for ``numpy.dtype``: booleans, integers and floats only."""

    def __init__(self, code: str, *_: object) -> None:
        if code not in _DTYPES:
            raise ValueError(f"array of {code!r}; only plain numbers are allowed")
        self.value = self.native = np.dtype(code)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise ValueError("array with fields; only plain numbers are allowed")
        self.value = self.value.newbyteorder(state[1])

    def read(self, data: bytes, shape: tuple[int, ...], order: str) -> NDArray[Any]:
        """Array of ``shape`` in the machine's byte order; ``order`` is ``C`` or ``F``."""
        if len(data) != math.prod(shape) * self.value.itemsize:
            raise ValueError(f"{len(data)} bytes for an array of shape {shape}")
        values = np.frombuffer(data, self.value).reshape(shape, order="F" if order == "F" else "C")
        return values.astype(self.native)


class _Array:
    """Stands for an array that is filled by its state."""

    def __init__(self, *_: object) -> None:
        self.value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        self.value = dtype.read(data, shape, "F" if fortran else "C")


class _Buffer(_Array):
    """Stands for an array that comes with its bytes, as from pickle protocol 5."""

    def __init__(self, data: bytes, dtype: _Dtype, shape: tuple[int, ...], order: str, *_: object) -> None:
        self.value = dtype.read(data, shape, order)


class _Scalar(_Array):
    """Stands for a number of NumPy."""

    def __init__(self, dtype: _Dtype, data: bytes) -> None:
        self.value = dtype.read(data, (), "C")[()]


def _latin1(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes encoded as {encoding!r}")
    return text.encode("latin1")


_STAND_INS: dict[tuple[str, str], Any] = {("numpy", "ndarray"): _NDARRAY, ("numpy", "dtype"): _Dtype}
_STAND_INS |= {(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")}
_STAND_INS |= {(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")}
_STAND_INS |= {(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")}
_STAND_INS[("_codecs", "encode")] = _latin1  # how protocol 2 writes bytes


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _STAND_INS:
            raise ValueError(f"it asks for {module}.{name}, which labels never need; nothing was run, do not trust it")
        return _STAND_INS[module, name]


def load_plain(data: bytes, limit: int = 1 << 28) -> Any:
    """Lists, dicts, texts, numbers and numeric arrays from a pickle.

    Args:
        data: The pickle.
        limit: Bytes it may have.

    Raises:
        DataError: It is too large, damaged, or asks for anything else; the message says for what.
    """
    if len(data) > limit:
        raise DataError(f"{len(data)} bytes are too many for the labels of one image; at most {limit} are read")
    try:
        for opcode, value, _ in pickletools.genops(data):
            if opcode.name not in _OPCODES:
                raise ValueError(f"it holds the instruction {opcode.name}, which labels never need; nothing was run")
            if opcode.name == "LONG_BINPUT" and int(value or 0) > len(data):
                raise ValueError(f"it claims {value} remembered objects in {len(data)} bytes")
        return _plain(_Unpickler(io.BytesIO(data)).load())
    except _DAMAGE as error:
        raise DataError(f"not a readable pickle of labels: {error}") from error


def _plain(value: Any, depth: int = 0) -> Any:
    """The value with arrays in place of their stand-ins."""
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError("an array without content")
        return value.value
    if depth > 8:
        raise ValueError("nested more than 8 deep")
    if isinstance(value, list | tuple):
        return [_plain(item, depth + 1) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, depth + 1) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    raise ValueError(f"it holds a {type(value).__name__}")


def checkpoint_globals() -> list[Any]:
    """What torch's restricted unpickler may find in checkpoints beside tensors: arrays, settings, statistics."""
    from mmengine.logging import HistoryBuffer

    def statistic(owner: Any, name: str) -> Any:
        """Stands for ``getattr``: only the statistics that mmengine's log buffers refer to."""
        if owner is not HistoryBuffer or name not in ("min", "max", "mean", "current"):
            raise pickle.UnpicklingError(f"getattr({owner!r}, {name!r}) is not allowed in a checkpoint")
        return getattr(owner, name)

    dtypes = [getattr(np.dtypes, name) for name in dir(np.dtypes) if name.endswith("DType")]
    core = "numpy._core" if int(np.__version__.split(".")[0]) >= 2 else "numpy.core"
    multiarray = importlib.import_module(f"{core}.multiarray")
    arrays = [np.ndarray, np.dtype, multiarray._reconstruct, multiarray.scalar]
    old_names = [(f, f"numpy.core.multiarray.{f.__name__}") for f in (multiarray._reconstruct, multiarray.scalar)]
    # Settings of a run, which others store beside the weights; yacs need not be there.
    settings = [argparse.Namespace, (OrderedDict, "yacs.config.CfgNode")]
    return [*dtypes, *arrays, *old_names, *settings, HistoryBuffer, (statistic, "builtins.getattr")]
