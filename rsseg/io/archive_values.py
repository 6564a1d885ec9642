"""What checkpoints hold, made of what a pickle says: tensors, arrays, settings, statistics; sizes are checked."""

from __future__ import annotations

import argparse
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from rsseg.io.pickle_reader import Maker, Name, Node, PickleReader, is_shape, shown
from rsseg.io.unpickling import NUMPY

__all__ = ["CHECKPOINT", "DTYPES", "Storage", "Storages"]

DTYPES = {f"torch.{name}": value for name, value in vars(torch).items() if isinstance(value, torch.dtype)}
_STORAGES = dict(
    Double=torch.float64, Float=torch.float32, Half=torch.float16, BFloat16=torch.bfloat16, Long=torch.int64,
    Int=torch.int32, Short=torch.int16, Char=torch.int8, Byte=torch.uint8, Bool=torch.bool, Untyped=torch.uint8,
    ComplexDouble=torch.complex128, ComplexFloat=torch.complex64,
)  # fmt: skip


@dataclass(eq=False)
class Storage(Node):
    """The numbers that tensors share.

    Attributes:
        owner: What reads them.
        key: Their name in the file.
        dtype: Their type.
        size: Their bytes.
        location: Where they were when they were saved.
        start: First of their bytes among those of that name.
    """

    owner: Storages
    key: str
    dtype: torch.dtype
    size: int
    location: str
    start: int = 0

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        raise ValueError("it holds numbers that belong to no tensor")


@dataclass(eq=False)
class _Tensor(Node):
    storage: Storage
    dtype: torch.dtype
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]
    trained: bool
    parameter: bool = False

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        numbers, item, count = self.storage, self.dtype.itemsize, math.prod(self.size)
        last = self.offset + sum((n - 1) * step for n, step in zip(self.size, self.stride, strict=True))
        if count and (last + 1) * item > numbers.size:
            raise ValueError(f"it holds a tensor of shape {self.size} in {numbers.size} bytes")
        numbers.owner.use(count * item)
        base = numbers.owner.base(numbers)
        out = torch.empty(0, dtype=self.dtype, device=base.device)
        if count:
            first = numbers.start // item + self.offset
            out.set_(base.untyped_storage(), first, self.size, self.stride)
        else:
            out = out.reshape(self.size)
        if self.parameter:
            return torch.nn.Parameter(out, self.trained)
        return out.requires_grad_() if self.trained and out.is_floating_point() else out


class Storages:
    """Numbers of a file, read when a tensor is made of them.

    Args:
        length: Bytes of the file.
        map_location: As for ``torch.load``, but without it all tensors are on the CPU.
    """

    def __init__(self, length: int, map_location: Any) -> None:
        self.length, self.map_location = length, map_location
        self.known: dict[str, Storage] = {}
        self.fill: Callable[[Storage, memoryview], None]
        self._bases: dict[str, torch.Tensor] = {}
        self._declared = self._used = 0

    def named(self, reference: Any) -> Storage:
        """What a pickle refers to."""
        if type(reference) is not tuple or len(reference) not in (5, 6) or reference[0] != "storage":
            raise ValueError("it refers to something that is no storage of numbers")
        _, kind, key, location, count = reference[:5]
        found = re.fullmatch(r"torch\.(?:cuda\.|storage\.)?(\w+)Storage", kind) if type(kind) is Name else None
        dtype = _STORAGES.get(found[1]) if found else None
        if dtype is None or type(key) is not str or type(location) is not str or not is_shape((count,)):
            raise ValueError(f"it refers to numbers of an unknown kind ({shown(kind)})")
        new = Storage(self, key, dtype, count * dtype.itemsize, location)
        old = self.known.setdefault(key, new)
        if old is new:
            self._declared += new.size
            if self._declared > self.length:
                raise ValueError(f"it claims {self._declared} bytes of numbers in a file of {self.length}")
        elif old.size != new.size:
            raise ValueError(f"it claims two sizes of the numbers {key[:40]!r}")
        return _part(new, reference[5]) if len(reference) == 6 and reference[5] is not None else new

    def use(self, size: int) -> None:
        """Count the bytes of a tensor; tensors may share numbers, but not as often as they like."""
        self._used += size
        if self._used > 4 * self.length + (1 << 26):
            raise ValueError(f"its tensors have {self._used} bytes in a file of {self.length}")

    def base(self, storage: Storage) -> torch.Tensor:
        """(N,) uint8: the numbers where they shall be."""
        if storage.key not in self._bases:
            whole = self.known[storage.key]
            base = torch.empty(whole.size, dtype=torch.uint8)
            if whole.size:
                self.fill(whole, base.numpy().data)
            self._bases[storage.key] = self._place(base, whole.location)
        return self._bases[storage.key]

    def _place(self, base: torch.Tensor, location: str) -> torch.Tensor:
        where = self.map_location
        if isinstance(where, dict):
            where = where.get(location, location)
        if where is None or isinstance(where, str | torch.device):
            return base if where is None else base.to(where)
        moved = where(base.untyped_storage(), location)
        return base if moved is None else torch.empty(0, dtype=torch.uint8, device=moved.device).set_(moved)


def _part(storage: Storage, view: Any) -> Storage:
    """Numbers of old files may be a part of others: key, offset and size in numbers."""
    if type(view) is not tuple or len(view) != 3 or not is_shape(view[1:]):
        raise ValueError("it refers to a part of numbers without a size")
    start, size = (n * storage.dtype.itemsize for n in view[1:])
    if start + size > storage.size:
        raise ValueError(f"it refers to {size} bytes from {start} on, of {storage.size}")
    return replace(storage, start=start, size=size)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, trained: Any = False, *rest: Any) -> _Tensor:
    """Stands for ``_rebuild_tensor`` and ``_rebuild_tensor_v2``, whose rest are hooks and metadata."""
    return _typed_tensor(storage, offset, size, stride, trained, None, getattr(storage, "dtype", None), *rest[1:])


def _typed_tensor(
    storage: Any, offset: Any, size: Any, stride: Any, trained: Any, hooks: Any, dtype: Any, metadata: Any = None
) -> _Tensor:
    dtype = DTYPES.get(dtype) if type(dtype) is Name else dtype
    if isinstance(size, torch.Size):
        size = tuple(size)
    if not (isinstance(storage, Storage) and isinstance(dtype, torch.dtype) and is_shape((offset,))):
        raise ValueError("it makes a tensor of something that is no storage of numbers")
    if not (is_shape(size) and is_shape(stride) and len(size) == len(stride)) or metadata:
        raise ValueError("it holds a tensor without a shape")
    return _Tensor(storage, dtype, offset, size, stride, trained is True)


def _parameter(tensor: Any, trained: Any, *_: Any) -> _Tensor:
    if not isinstance(tensor, _Tensor):
        raise ValueError(f"it makes a parameter of {shown(tensor)}")
    return replace(tensor, trained=trained is True, parameter=True)


def _from_type(function: Any, _: Any, arguments: Any, *__: Any) -> _Tensor:
    """Stands for what restores a tensor with attributes; they are left out."""
    if type(function) is not Name or function not in _TENSORS or type(arguments) is not tuple:
        raise ValueError(f"it makes a tensor by {shown(function)}")
    return _TENSORS[function](*arguments)


_TENSORS: dict[str, Callable[..., _Tensor]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}


def _size(values: Any = ()) -> torch.Size:
    if not is_shape(values):
        raise ValueError("it holds a torch.Size that is none")
    return torch.Size(values)


def _device(kind: Any, index: Any = None) -> torch.device:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise ValueError("it holds a torch.device that is none")
    return torch.device(kind) if index is None else torch.device(kind, index)


def _ordered(items: Any = ()) -> OrderedDict[Any, Any]:
    return OrderedDict((PickleReader.key(key), value) for key, value in items)


def _counter(counts: Any = None) -> Counter[Any]:
    if type(counts) is not dict:
        raise ValueError(f"it counts a {type(counts).__name__}")
    return Counter(counts)


def _set(values: Any = ()) -> set[Any]:
    return {PickleReader.key(value) for value in values}


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(float(real), float(imaginary))


def _bytes(values: Any = b"", encoding: Any = "latin1") -> bytes:
    """Stands for ``bytearray``."""
    if type(values) is bytes:
        return values
    if type(values) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("it holds a bytearray of something that is no bytes")
    return values.encode("latin1")


class _Settings(Node):
    """Stands for ``argparse.Namespace``, which others store beside the weights."""

    def __init__(self) -> None:
        self.state: Any = {}

    def build(self, state: Any) -> None:
        if type(state) is not dict or not all(type(key) is str for key in state):
            raise ValueError("it holds an argparse.Namespace without names")
        self.state = state

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        return argparse.Namespace(**finish(self.state))


class _History(Node):
    """Stands for mmengine's buffers of logged numbers."""

    def __init__(self) -> None:
        self.state: Any = None

    def build(self, state: Any) -> None:
        if type(state) is not dict:
            raise ValueError("it holds a HistoryBuffer without a state")
        self.state = {key: state.get(key) for key in ("_log_history", "_count_history", "max_length")}

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        from mmengine.logging import HistoryBuffer

        values, counts, longest = finish(self.state).values() if self.state else ((), (), None)
        arrays = [part for part in (values, counts) if isinstance(part, np.ndarray) and part.ndim == 1]
        if len(arrays) != 2 or len(values) != len(counts) or type(longest) is not int or longest < len(values):
            raise ValueError("it holds a HistoryBuffer without as many counts as values")
        return HistoryBuffer(values, counts, longest)


_HISTORY = "mmengine.logging.history_buffer.HistoryBuffer"


def _statistic(owner: Any, name: Any) -> Name:
    """Stands for ``getattr``: only the statistics that mmengine's buffers refer to, which are not read."""
    if type(owner) is not Name or owner != _HISTORY or name not in ("min", "max", "mean", "current"):
        raise ValueError(f"getattr({shown(owner)}, {shown(name)}) is not allowed in a checkpoint")
    return Name(f"{owner}.{name}")


CHECKPOINT: dict[str, Maker | None] = {
    **NUMPY,
    **_TENSORS,
    **dict.fromkeys(DTYPES),
    **{f"torch.{part}{name}Storage": None for part in ("", "cuda.", "storage.") for name in _STORAGES},
    **dict.fromkeys(("torch.Tensor", "torch.nn.parameter.Parameter", "torch.nn.parameter.Buffer")),
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.Size": _size,
    "torch.device": _device,
    "collections.OrderedDict": _ordered,
    "collections.Counter": _counter,
    "yacs.config.CfgNode": _ordered,
    "argparse.Namespace": _Settings,
    "builtins.set": _set,
    "builtins.complex": _complex,
    "builtins.bytearray": _bytes,
    "builtins.getattr": _statistic,
    _HISTORY: _History,
}
"""Makers of what checkpoints hold: tensors, arrays, settings, statistics."""
