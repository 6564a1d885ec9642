"""Files of ``torch.save``, of any age, read by :mod:`rsseg.io.pickle_reader` instead of torch's unpicklers.

torch's restricted unpickler takes the sizes of tensors from the file as they are, and builds NumPy's types from it.
Here a tensor may not reach beyond its numbers, and all numbers together not beyond the file.
"""

from __future__ import annotations

import errno
import pickle
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import torch

from rsseg.io.archive_values import CHECKPOINT, DTYPES, Storage, Storages
from rsseg.io.pickle_reader import Maker, Name, PickleReader, RefusedError

__all__ = ["DAMAGE", "archive_names", "is_program", "read_archive"]

DAMAGE = (
    ArithmeticError, EOFError, LookupError, MemoryError, RuntimeError, TypeError, ValueError, struct.error,
    zipfile.BadZipFile,
)  # fmt: skip
"""What reading a damaged file raises."""
_PICKLE_BYTES = 1 << 28
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001


def _is_versions(row: tuple[Any, Any]) -> bool:
    """Whether this is a module's name, and ``{"version": number}``."""
    name, own = row
    return type(name) is str and isinstance(own, dict) and all(isinstance(v, int | None) for v in own.values())


class _Reader(PickleReader):
    """Reads a pickle with tensors."""

    what = "checkpoints"

    def __init__(self, data: bytes, names: Mapping[str, Maker | None], storages: Storages, start: int = 0) -> None:
        super().__init__(data, names, start, steps=1 << 22, deepest=100)
        self.storages = storages

    def persistent(self) -> None:
        """Put the numbers on the stack to which the pickle refers."""
        self.push(self.storages.named(self.pop()))

    def old_text(self, count: int) -> None:
        """Put a text on the stack that Python 2 wrote; bytes where it is none."""
        data = self.take(count)
        self.push(data.decode("ascii") if data.isascii() else data)

    def add_items(self) -> None:
        """Add values to the set on the stack."""
        values = self.marked()
        if type(self.stack[-1]) is not set:
            raise ValueError(f"it adds to a {type(self.stack[-1]).__name__}")
        self.stack[-1].update(map(self.key, values))

    def build(self) -> None:
        """Give a node its state; of an ``OrderedDict`` the versions of modules are kept, which torch puts there."""
        if type(self.stack[-2]) is not OrderedDict:
            super().build()
            return
        state = self.pop()
        versions = state.get("_metadata") if type(state) is dict else None
        if isinstance(versions, dict) and all(map(_is_versions, versions.items())):
            self.stack[-1]._metadata = versions

    def finish(self, value: Any, part: Callable[[Any], Any]) -> Any:
        """As in labels; also sets, types, shapes and devices of torch, and versions of modules."""
        if type(value) is OrderedDict and hasattr(value, "_metadata"):
            part(value._metadata)
        if type(value) is Name and value in DTYPES:
            return DTYPES[value]
        if isinstance(value, set | torch.Size | torch.device):
            return value
        return super().finish(value, part)


_Reader.codes = {
    **PickleReader.codes,
    pickle.NEWOBJ[0]: _Reader.reduce,
    pickle.BINPERSID[0]: _Reader.persistent,
    pickle.EMPTY_SET[0]: lambda r: r.push(set()),
    pickle.ADDITEMS[0]: _Reader.add_items,
    pickle.SHORT_BINSTRING[0]: lambda r: r.old_text(r.number(1)),
    pickle.BINSTRING[0]: lambda r: r.old_text(r.number(4)),
}


def archive_names(file: BinaryIO) -> set[str]:
    """Names of what a file of ``torch.save`` or ``torch.jit.save`` holds, without the folder in front."""
    start = file.read(4)
    file.seek(0)
    if start != b"PK\x03\x04":
        return set()
    with zipfile.ZipFile(file) as archive:
        return {name.partition("/")[2] for name in archive.namelist()}


def is_program(names: set[str]) -> bool:
    """Whether the names are those of an archive of ``torch.jit.save``."""
    return "constants.pkl" in names or any(name.startswith("code/") for name in names)


def read_archive(
    file: BinaryIO, map_location: Any = "cpu", names: Mapping[str, Maker | None] = CHECKPOINT, program: bool = False
) -> Any:
    """Content of a file of ``torch.save``.

    Args:
        file: The open file.
        map_location: As for ``torch.load``, but without it all tensors are on the CPU.
        names: What makes a value of each name that may be in the file.
        program: Take an archive of ``torch.jit.save``, of which only the attributes are read.

    Raises:
        ValueError: It is damaged, or asks for anything else; also the others of ``DAMAGE``.
    """
    try:
        return _read(file, map_location, names, program)
    except OSError as error:
        if error.errno not in (None, errno.EINVAL):  # which zipfile gives where a file leads it before its start
            raise
        raise ValueError("it is damaged") from error


def _read(file: BinaryIO, map_location: Any, names: Mapping[str, Maker | None], program: bool) -> Any:
    length = file.seek(0, 2)
    file.seek(0)
    found = archive_names(file)
    storages = Storages(length, map_location)
    if not found:
        return _read_stream(file, storages, names)
    if is_program(found) and not program:
        raise RefusedError("it is a TorchScript archive, which is a program")
    with zipfile.ZipFile(file) as archive:
        return _read_zip(archive, storages, names)


def _read_zip(archive: zipfile.ZipFile, storages: Storages, names: Mapping[str, Maker | None]) -> Any:
    root = archive.namelist()[0].partition("/")[0]

    def record(name: str) -> zipfile.ZipInfo:
        info = archive.getinfo(f"{root}/{name}")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > storages.length:
            raise ValueError(f"its part {name[:40]!r} is compressed, which torch never does")
        return info

    def fill(storage: Storage, target: memoryview) -> None:
        info = record(f"data/{storage.key}")
        if info.file_size != len(target):
            raise ValueError(f"it claims {len(target)} bytes of numbers, but holds {info.file_size}")
        with archive.open(info) as part:
            _read_into(part, target)

    if f"{root}/byteorder" in archive.namelist() and archive.read(record("byteorder")) != b"little":
        raise ValueError("it was written on a machine of another order of bytes")
    info = record("data.pkl")
    if info.file_size > _PICKLE_BYTES:
        raise ValueError(f"it has {info.file_size} bytes beside its numbers; at most {_PICKLE_BYTES} are read")
    storages.fill = fill
    return _Reader(archive.read(info), names, storages).load()


def _read_stream(file: BinaryIO, storages: Storages, names: Mapping[str, Maker | None]) -> Any:
    """Files from before torch 1.6: pickles one after another, then the numbers."""
    data, at = file.read(_PICKLE_BYTES), 0
    places: dict[str, int] = {}

    def following() -> _Reader:
        nonlocal at
        reader = _Reader(data, names, storages, at)
        reader.push(reader.run())
        at = reader.at
        return reader

    def fill(storage: Storage, target: memoryview) -> None:
        file.seek(places[storage.key])
        _read_into(file, target)

    if following().pop() != _MAGIC or following().pop() != _PROTOCOL:
        raise ValueError("it is no file of torch.save")
    following()  # what the machine was like
    content, keys = following(), following().pop()
    for key in keys:
        storage = storages.known[key]
        file.seek(at)
        if int.from_bytes(file.read(8), "little") * storage.dtype.itemsize != storage.size:
            raise ValueError(f"it claims {storage.size} bytes of the numbers {key[:40]!r}, but holds others")
        places[key] = at + 8
        at += 8 + storage.size
    storages.fill = fill
    return content.finished(content.pop())


def _read_into(file: Any, target: memoryview) -> None:
    at = 0
    while at < len(target):
        count = file.readinto(target[at : at + (1 << 22)])
        if not count:
            raise EOFError("it is cut short")
        at += count
