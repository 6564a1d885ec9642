"""Pickles of lists, dicts, texts, numbers and arrays of plain numbers; nothing that they ask for is run."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError
from rsseg.io.pickle_reader import Maker, Name, Node, PickleReader, is_shape, shown

__all__ = ["NUMPY", "load_plain"]

_DTYPES = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16"}
_DAMAGE = (ArithmeticError, EOFError, LookupError, MemoryError, TypeError, ValueError, struct.error)
_NDARRAY = Name("numpy.ndarray")


class DtypeNode(Node):
    """Stands for ``numpy.dtype``: booleans, integers and floats only."""

    def __init__(self, code: Any, *_: object) -> None:
        if not isinstance(code, str) or code not in _DTYPES:
            raise ValueError(f"it holds a numpy.dtype of {shown(code)}; only plain numbers are allowed")
        self.value = self.native = np.dtype(code)

    def build(self, state: Any) -> None:
        """Take the order of bytes."""
        if type(state) is not tuple or len(state) < 2 or state[1] not in ("<", ">", "|", "=") or any(state[2:5]):
            raise ValueError("it holds a numpy.dtype with fields; only plain numbers are allowed")
        self.value = self.value.newbyteorder(state[1])

    def read(self, data: Any, shape: Any, order: str = "C") -> NDArray[Any]:
        """Array of ``shape`` in the machine's byte order; ``order`` is ``C`` or ``F``."""
        if type(data) is str:  # as Python 2 wrote bytes that happen to be text
            data = data.encode("ascii")
        if type(data) is not bytes or not is_shape(shape):
            raise ValueError(f"it holds a numpy.ndarray without a shape or with {type(data).__name__} as content")
        if len(data) != math.prod(shape) * self.value.itemsize:
            raise ValueError(f"it holds {len(data)} bytes for an array of shape {shape}")
        values = np.frombuffer(data, self.value).reshape(shape, order="F" if order == "F" else "C")
        return values.astype(self.native)


class ArrayNode(Node):
    """Stands for an array that is filled by its state."""

    def __init__(self, kind: Any = _NDARRAY, *_: object) -> None:
        if kind != _NDARRAY:
            raise ValueError(f"it holds an array of {shown(kind)}")
        self.value: Any = None

    def build(self, state: Any) -> None:
        """Take shape, type and content."""
        _, shape, dtype, fortran, data = state
        self.value = _number_type(dtype).read(data, shape, "F" if fortran is True else "C")

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        """The array."""
        if self.value is None:
            raise ValueError("it holds an array without content")
        return self.value


def _number_type(dtype: Any) -> DtypeNode:
    if not isinstance(dtype, DtypeNode):
        raise ValueError(f"it holds an array of a {type(dtype).__name__}")
    return dtype


def _scalar(dtype: Any, data: Any) -> ArrayNode:
    """Stands for a number of NumPy."""
    node = ArrayNode()
    node.value = _number_type(dtype).read(data, ())[()]
    return node


def _buffer(data: Any, dtype: Any, shape: Any, order: Any, *_: object) -> ArrayNode:
    """Stands for an array that comes with its bytes, as from pickle protocol 5."""
    node = ArrayNode()
    node.value = _number_type(dtype).read(data, shape, order)
    return node


def _latin1(text: Any, encoding: Any) -> bytes:
    """How protocol 2 writes bytes."""
    if encoding != "latin1" or type(text) is not str:
        raise ValueError(f"it holds bytes encoded as {shown(encoding)}")
    return text.encode("latin1")


NUMPY: dict[str, Maker | None] = {"numpy.ndarray": None, "numpy.dtype": DtypeNode, "_codecs.encode": _latin1}
"""Makers of arrays and numbers of NumPy, old and new names."""
for _core in ("core", "_core"):
    NUMPY |= {f"numpy.{_core}.multiarray._reconstruct": ArrayNode, f"numpy.{_core}.multiarray.scalar": _scalar}
    NUMPY |= {f"numpy.{_core}.numeric._frombuffer": _buffer}


def load_plain(data: bytes, limit: int = 1 << 26) -> Any:
    """Lists, tuples, dicts, texts, numbers and numeric arrays from a pickle.

    Args:
        data: The pickle.
        limit: Bytes it may have.

    Raises:
        DataError: It is too large, damaged, or asks for anything else; the message says for what.
    """
    if len(data) > limit:
        raise DataError(f"{len(data)} bytes are too many for the labels of one image; at most {limit} are read")
    try:
        return PickleReader(data, NUMPY).load()
    except _DAMAGE as error:
        raise DataError(f"not a readable pickle of labels: {error}") from error
