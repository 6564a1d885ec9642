"""Checkpoints: zip archives, files from before torch 1.6, safetensors, arrays and TorchScript."""

from __future__ import annotations

import io
import pickle
import pickletools
import random
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from mmengine.logging import HistoryBuffer
from torch import nn

from rsseg.io.checkpoints import load_file
from rsseg.models.gsnet.clip_files import read_clip_state

NAMES = [b"posix\nsystem", b"builtins\neval", b"numpy\ndtype", b"numpy.core.multiarray\nscalar", b"builtins\nbytearray",
         b"numpy\nndarray", b"torch._utils\n_rebuild_tensor_v2", b"torch\nFloatStorage", b"collections\nOrderedDict",
         b"torch\nSize", b"torch\nfloat32", b"_codecs\nencode", b"builtins\ngetattr", b"builtins\nset"]  # fmt: skip
CODES = [op.code.encode("latin1") for op in pickletools.opcodes if op.arg is None]


def _save(content: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, **options)
    return file.getvalue()


def _content() -> dict[str, Any]:
    state = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).state_dict()
    return {
        "state_dict": state, "half": torch.ones(2, dtype=torch.bfloat16), "view": torch.arange(6.0).reshape(2, 3).T,
        "message_hub": {"loss": HistoryBuffer([1.0, 2.0], [1, 1])}, "n": np.float32(1), "a": np.arange(3),
        "meta": {"epoch": 1, "cfg": "a = 1", "dataset_meta": {"classes": ("a", "b"), "palette": [[0, 0, 0]]}},
        "more": [{1, 2}, Counter({1: 2}), torch.Size([1]), nn.Parameter(torch.ones(1)), None, 2.5, b"x"],
    }  # fmt: skip


def _arrays() -> bytes:
    file = io.BytesIO()
    np.savez(file, a=np.arange(6.0), b=np.ones((2, 2), np.float16))
    return file.getvalue()


def _program() -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)
    return file.getvalue()


def _pickled(rng: random.Random, program: bytes) -> bytes:
    """A pickle with another instruction, argument or name."""
    places = [at for _, _, at in pickletools.genops(program)]
    at, kind = rng.choice(places), rng.randrange(5)
    if kind == 0:
        return program[:at] + rng.choice(CODES) + program[at:]
    if kind == 1:
        return program[:at] + b"c" + rng.choice(NAMES) + b"\n" + program[at:]
    if kind == 2:
        value = rng.choice((0, -1, 2**31, 2**62, 7)).to_bytes(9, "little", signed=True)
        return program[:at] + b"\x8a\x09" + value + program[at:]
    end = next((place for place in places if place > at), len(program))
    return program[:at] + program[end:] if kind == 3 else program[:at] + program[at:end] * 2 + program[end:]


def _in_archive(rng: random.Random, data: bytes) -> bytes:
    """A change of the pickle within an archive, or of another part, which keeps the archive whole."""
    out = io.BytesIO()
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
            chosen = rng.choice(old.namelist())
            for name in old.namelist():
                content = old.read(name)
                if name.endswith("data.pkl"):
                    content = _pickled(rng, content)
                elif name == chosen:
                    content = content[: rng.randrange(len(content) + 1)] * rng.choice((1, 1, 2))
                new.writestr(name, content)
    except (zipfile.BadZipFile, zlib.error, ValueError, NotImplementedError, RuntimeError, EOFError, IndexError):
        return data
    return out.getvalue()


def _in_stream(rng: random.Random, data: bytes) -> bytes:
    """A change of one of the pickles of an old file."""
    file, at = io.BytesIO(data), 0
    try:
        for _ in range(rng.randrange(5)):
            for _ in pickletools.genops(file):
                pass
            at = file.tell()
        for _ in pickletools.genops(file):
            pass
        return data[:at] + _pickled(rng, data[at : file.tell()]) + data[file.tell() :]
    except (ValueError, IndexError, pickle.UnpicklingError):
        return data


KINDS: dict[str, tuple[str, list[Callable[[], bytes]], list[Any], Any]] = {
    "zip": (".pth", [lambda: _save(_content())], [_in_archive] * 8, load_file),
    "old": (".pth", [lambda: _save(_content(), _use_new_zipfile_serialization=False)], [_in_stream] * 8, load_file),
    "safetensors": (".safetensors", [lambda: safetensors.torch.save({"a": torch.ones(2, 3)})], [], load_file),
    "npz": (".npz", [_arrays], [], load_file),
    "torchscript": (".pt", [_program], [_in_archive] * 8, read_clip_state),
}


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoints(fuzzer: Any, byte_changes: Any, kind: str) -> None:
    suffix, seeds, changes, read = KINDS[kind]
    fuzzer.run([make() for make in seeds], [read], suffix, [*byte_changes, *changes])
