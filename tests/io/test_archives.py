"""Files of ``torch.save``: read as torch reads them, and nothing in them is run, built or believed."""

from __future__ import annotations

import argparse
import io
import os
import pickle
import struct
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file
from rsseg.io.pickle_reader import PickleReader

CORE = "numpy._core.multiarray" if int(np.__version__.split(".")[0]) > 1 else "numpy.core.multiarray"


def _content() -> dict[str, Any]:
    weight = torch.arange(12.0).reshape(3, 4)
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    model(torch.rand(2, 3, 5, 5)).sum().backward()
    optimizer.step()
    return {
        "state_dict": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "views": [weight, weight.T, weight[1:, ::2], weight[2]],
        "kinds": {str(t): torch.ones(3, dtype=t) for t in (torch.bfloat16, torch.float16, torch.uint8, torch.int64)},
        "more": [torch.tensor(True), torch.tensor(2.5), torch.zeros(0, 3), torch.ones(2, dtype=torch.complex64)],
        "parameter": nn.Parameter(torch.ones(2)),
        "plain": (None, True, -1, 2**40, 2.5, "text", b"bytes", {1: (2, 3)}, [4], {5, 6}, 1j),
        "torch": [torch.Size([1, 2]), torch.float32, torch.device("cpu")],
        "counter": Counter({3: 1}),
        "args": argparse.Namespace(lr=0.1, betas=(0.9, 0.99)),
        "arrays": [np.arange(6.0).reshape(2, 3), np.arange(6, dtype=">i4").reshape(2, 3).T, np.float32(2.5)],
    }


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor | np.ndarray):
        equal = torch.equal if isinstance(one, torch.Tensor) else np.array_equal
        return type(one) is type(two) and equal(one, two) and one.shape == two.shape  # type: ignore[arg-type]
    if isinstance(one, dict):
        return list(one) == list(two) and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list | tuple) and not isinstance(one, torch.Size):
        return type(one) is type(two) and len(one) == len(two) and all(map(_same, one, two))
    return type(one) is type(two) and one == two


@pytest.mark.parametrize("new", [True, False])
def test_files_are_read_as_torch_reads_them(tmp_path: Path, new: bool) -> None:
    content, path = _content(), tmp_path / "a.pth"
    torch.save(content, path, _use_new_zipfile_serialization=new)
    found = load_file(path)
    assert _same(content, found)
    assert found["state_dict"]._metadata == content["state_dict"]._metadata
    first, *others = found["views"]
    assert all(other.untyped_storage().data_ptr() == first.untyped_storage().data_ptr() for other in others)
    assert found["parameter"].requires_grad and isinstance(found["parameter"], nn.Parameter)


def _zip(path: Path, program: bytes, numbers: dict[str, bytes] | None = None, kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/version", "3\n")
        for name, data in (numbers or {}).items():
            archive.writestr(f"archive/data/{name}", data)
    return path


def _stream(path: Path, program: bytes, numbers: dict[str, bytes] | None = None) -> Path:
    data = [pickle.dumps(value, protocol=2) for value in (0x1950A86A20F9469CFC6C, 1001, {})]
    data += [program, pickle.dumps(list(numbers or {}), protocol=2)]
    path.write_bytes(b"".join(data) + b"".join(struct.pack("<q", len(v) // 4) + v for v in (numbers or {}).values()))
    return path


def _call(name: str, *arguments: bytes) -> bytes:
    module, _, attribute = name.rpartition(".")
    return b"c%s\n%s\n(%stR" % (module.encode(), attribute.encode(), b"".join(arguments))


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def _whole(value: int) -> bytes:
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def _reference(count: int, key: str = "0", kind: str = "FloatStorage", tail: bytes = b"") -> bytes:
    return b"(" + _text("storage") + b"ctorch\n%s\n" % kind.encode() + _text(key) + _text("cpu") + _whole(count) + (
        tail + b"tQ"
    )  # fmt: skip


def _tensor(storage: bytes, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    shapes = [b"(" + b"".join(map(_whole, sides)) + b"t" for sides in (size, stride)]
    return _call("torch._utils._rebuild_tensor_v2", storage, _whole(offset), *shapes, b"\x89", b"N")


OBJECT = (
    _call("numpy.dtype", _text("O8"), b"\x89\x88")
    + b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK?tb"
)
FLOAT = _call("numpy.dtype", _text("f8"), b"\x89\x88")
EIGHT = b"U\x08AAAAAAAA"
NUMBERS = {"0": b"\0" * 16}

PROGRAMS: dict[str, tuple[bytes, str]] = {
    "a function of the system": (_call("posix.system", _text("touch ran")), "posix.system"),
    "a function by protocol 4": (b"\x8c\x05posix\x8c\x06system\x93\x8c\x09touch ran\x85R", "posix.system"),
    "eval": (_call("builtins.eval", _text("open('ran','w')")), "builtins.eval"),
    "getattr of a class": (_call("builtins.getattr", b"ccollections\nOrderedDict\n", _text("fromkeys")), "getattr"),
    "a class to import": (b"cantigravity\nthe\n)\x81", "antigravity.the"),
    "a storage from bytes": (_call("torch.storage._load_from_bytes", EIGHT), "torch.storage._load_from_bytes"),
    "an object of NumPy": (_call(f"{CORE}.scalar", OBJECT, EIGHT), "numpy.dtype of O8"),
    "an object of old NumPy": (_call("numpy.core.multiarray.scalar", OBJECT, EIGHT), "numpy.dtype of O8"),
    "an array of objects": (
        _call(f"{CORE}._reconstruct", b"cnumpy\nndarray\n", b"(K\x00t", b"U\x01b")
        + b"(K\x01(K\x01t" + OBJECT + b"\x89" + EIGHT + b"tb", "numpy.dtype of O8"),
    "text of NumPy": (_call("numpy.dtype", _text("U2"), b"\x89\x88"), "numpy.dtype of U2"),
    "a record of NumPy": (_call("numpy.dtype", _text("V8"), b"\x89\x88"), "numpy.dtype of V8"),
    "a number of too few bytes": (_call(f"{CORE}.scalar", FLOAT, b"U\x01A"), "1 bytes for an array"),
    "a number of no type": (_call(f"{CORE}.scalar", b"N", EIGHT), "array of a NoneType"),
    "fields by a state": (FLOAT + b"(K\x03X\x01\x00\x00\x00<N(U\x01at}tb", "numpy.dtype with fields"),
    "an endless array": (
        _call(f"{CORE}._reconstruct", b"cnumpy\nndarray\n", b"(K\x00t", b"U\x01b")
        + b"(K\x01(" + _whole(2**62) + b"t" + FLOAT + b"\x89" + EIGHT + b"tb", "8 bytes for an array"),
    "an array of a class": (_call(f"{CORE}._reconstruct", b"ccollections\nOrderedDict\n"), "array of collections.Ord"),
    "an array without content": (_call(f"{CORE}._reconstruct", b"cnumpy\nndarray\n", b"(" + _whole(2**62) + b"t",
                                       b"U\x01b"), "without content"),
    "a bytearray of any size": (_call("builtins.bytearray", _whole(2**40)), "bytearray"),
    "bytes by a codec": (_call("_codecs.encode", _text("a"), _text("idna")), "encoded as idna"),
    "a tensor beyond its numbers": (_tensor(_reference(4), 0, (5,), (1,)), "shape (5,) in 16 bytes"),
    "a tensor by its offset": (_tensor(_reference(4), 3, (2,), (1,)), "shape (2,) in 16 bytes"),
    "a tensor by its stride": (_tensor(_reference(4), 0, (2,), (2**62,)), "in 16 bytes"),
    "a stride below 0": (_tensor(_reference(4), 3, (2,), (-1,)), "without a shape"),
    "a tensor that repeats itself": (_tensor(_reference(4), 0, (2**31, 2**31), (0, 0)), "its tensors have"),
    "more numbers than the file": (_tensor(_reference(2**40), 0, (2**40,), (1,)), "claims 4398046511104 bytes"),
    "other numbers than there are": (_tensor(_reference(5), 0, (5,), (1,)), "claims"),
    "numbers that are not there": (_tensor(_reference(4, "1"), 0, (4,), (1,)), "1'"),
    "numbers elsewhere": (_tensor(_reference(4, "../version"), 0, (4,), (1,)), "version'"),
    "numbers of no type": (_tensor(_reference(4, kind="Storage"), 0, (4,), (1,)), "torch.Storage"),
    "numbers without a tensor": (_reference(4), "belong to no tensor"),
    "a reference by a number": (b"K\x05Q", "no storage"),
    "a state for a class": (b"cnumpy\ndtype\n(N}X\x01\x00\x00\x00aK\x01stb", "gives a state"),
    "a state for a function": (b"c_codecs\nencode\n}b", "gives a state"),
    "a call of a text": (_text("builtins.eval") + b")R", "it calls"),
    "it contains itself": (b"]q\x00h\x00a", "contains itself"),
    "parts that repeat": (
        b"(]q\x00" + b"".join(b"](" + b"h%c" % i * 99 + b"eq%c" % (i + 1) for i in range(20)) + b"t", "repeats its"),
    "a deep list": (b"]" * 300 + b"a" * 299, "nested more than 100"),
    "keys of one hash": (b"}(" + _whole(2**61 - 1) + b"Nu", "too long a number"),
    "no keys": (b"}(]Nu", "list is a key"),
    "a text that is none": (b"X\x02\x00\x00\x00\xff\xfe", "utf-8"),
    "cut short": (b"X\xff\xff\xff\xffabc", "cut short"),
    "an extension": (b"\x82\x01", "EXT1"),
    "nothing": (b"", "ends before"),
}  # fmt: skip


@pytest.mark.parametrize("write", [_zip, _stream])
@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_run_or_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, write: Callable[..., Path]
) -> None:
    monkeypatch.chdir(tmp_path)
    program, message = PROGRAMS[name]
    if write is _stream and b"Q" in program[-60:]:  # there references say of which part they are
        program = program.replace(b"tQ", b"NtQ")
    path = write(
        tmp_path / "evil.pth", b"\x80\x02" + program + b".", NUMBERS if _text("0") in program or write is _zip else {}
    )
    with pytest.raises(DataError) as error:
        load_file(path)
    assert "evil.pth: not loaded" in str(error.value) and message in str(error.value), str(error.value)
    assert sorted(os.listdir(tmp_path)) == ["evil.pth"]


def test_what_a_pickle_says_does_not_stay(tmp_path: Path) -> None:
    """A state that would change what later files are read by."""
    state = b"(N}" + _text("build") + b"N" + b"stb"
    with pytest.raises(DataError):
        load_file(_zip(tmp_path / "evil.pth", b"\x80\x02cnumpy\ndtype\n" + state + b"."))
    test_files_are_read_as_torch_reads_them(tmp_path, True)


def test_archives_that_are_bombs(tmp_path: Path) -> None:
    big = _zip(tmp_path / "zip.pth", b"\x80\x02]" + b"]a" * (1 << 22) + b".", kind=zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match="is compressed"):
        load_file(big)
    with pytest.raises(ValueError, match="more than 100 instructions"):
        PickleReader(b"\x80\x02]" + b"]a" * 100 + b".", {}, steps=100).load()
    np.savez_compressed(tmp_path / "zeros.npz", a=np.zeros(1 << 25, np.float32))
    with pytest.raises(DataError, match="would unpack to"):
        load_file(tmp_path / "zeros.npz")
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, dict(descr="<f8", fortran_order=False, shape=(2**40, 2**20)))
    with zipfile.ZipFile(tmp_path / "shape.npz", "w") as archive:
        archive.writestr("a.npy", header.getvalue())
    with pytest.raises(DataError, match="has shape"):
        load_file(tmp_path / "shape.npz")
    with zipfile.ZipFile(tmp_path / "deep.npz", "w") as archive:
        archive.writestr("a.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"[" * 8999 + b"\n")
    with pytest.raises(DataError, match=r"deep\.npz: not loaded"):
        load_file(tmp_path / "deep.npz")
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with pytest.raises(DataError, match=r"objects\.npz: not loaded"):
        load_file(tmp_path / "objects.npz")


def test_programs_are_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "jit.pt")
    with pytest.raises(DataError, match="is a TorchScript archive"):
        load_file(tmp_path / "jit.pt")
    torch.save(nn.Linear(2, 2), tmp_path / "module.pth")
    with pytest.raises(DataError, match=r"torch\.nn\.modules\.linear\.Linear"):
        load_file(tmp_path / "module.pth")


def test_order_of_keys_stays(tmp_path: Path) -> None:
    content = OrderedDict((name, torch.ones(1)) for name in "bca")
    torch.save(content, tmp_path / "a.pth")
    found = load_file(tmp_path / "a.pth")
    assert list(found) == list("bca") and type(found) is OrderedDict
