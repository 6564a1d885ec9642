"""Checkpoint files, read without running code from them."""

from __future__ import annotations

import errno
import json
import os
import tokenize
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from rsseg.errors import DataError
from rsseg.io.archives import DAMAGE, read_archive
from rsseg.io.file_kinds import explain_file
from rsseg.io.files import replacing
from rsseg.io.hub import local_file
from rsseg.io.pickle_reader import RefusedError
from rsseg.io.tables import parse_json
from rsseg.io.trust import trusted, unforced
from rsseg.structures.keys import some_names

__all__ = ["WRAPPERS", "load_file", "load_open_file", "read_state", "state_of", "write_weights"]

WRAPPERS = ("state_dict", "model", "model_state", "state_dict_ema", "model_ema", "teacher")
"""Keys under which training programs put the weights, the most usual first."""
_ADVICE = "If you made this file or trust who did, add --trust: it may then run code"
_AGAIN = "Download or copy it again, and compare its size with the published one"
_UNPACKED = 20
"""How many times as large as its file an ``.npz`` may be; zeros alone reach a thousand."""

_META = "rsseg"
"""Key of the JSON text in the header of safetensors that holds the ``meta`` of a checkpoint."""

State = dict[str, torch.Tensor]


def load_file(
    path: str | os.PathLike[str], map_location: Any = "cpu", trust: bool | None = False, advice: str | None = None
) -> Any:
    """Content of a checkpoint file (``.pth``, ``.safetensors`` or ``.npz``), without executing code from it.

    Args:
        path: The file, or its address on the hub, see :mod:`rsseg.io.hub`.
        map_location: As for ``torch.load``, but None means the CPU.
        trust: Read with the unrestricted unpickler, which can run any code the file holds; so does the environment's
            ``RSSEG_TRUST=1``, unless this is None.
        advice: What to do where the file is missing or cannot be read.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is damaged, or needs objects other than tensors, arrays and plain values.
    """
    file = local_file(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such checkpoint" + (f"; {advice}" if advice else ""))
    if file.suffix == ".safetensors":
        return _load_safetensors(file)
    if file.suffix == ".npz":
        return _load_arrays(file)
    with file.open("rb") as opened:
        return load_open_file(opened, str(file), map_location, trust, advice)


def load_open_file(
    file: BinaryIO, name: str, map_location: Any = "cpu", trust: bool | None = False, advice: str | None = None
) -> Any:
    """Content of an open file of ``torch.save``; arguments and errors as of :func:`load_file`.

    Args:
        file: The open file.
        name: What errors call it.
        map_location: As for :func:`load_file`.
        trust: As for :func:`load_file`.
        advice: As for :func:`load_file`.

    Raises:
        DataError: It is damaged, or needs objects other than tensors, arrays and plain values.
    """
    unrestricted = trust is not None and (trust or trusted())
    try:
        if not unrestricted:
            return read_archive(file, map_location)
    except DAMAGE as error:
        raise DataError(_refusal(file, name, error, advice)) from error
    try:
        with unforced():
            return torch.load(file, map_location=map_location or "cpu", weights_only=not unrestricted)
    except Exception as error:  # a damaged file raises almost anything, from KeyError to struct.error
        # torch says EINVAL of some cut files; any other number is the system's, such as "permission denied"
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise DataError(_refusal(file, name, error, advice or "")) from error


def _refusal(file: BinaryIO, name: str, error: Exception, advice: str | None) -> str:
    """Why a file is not loaded; code is offered to be run only where a whole file asks for it."""
    if kind := explain_file(file):
        return f"{name}: not loaded: {kind}" + (f". {advice}" if advice else "")
    reason = (str(error) or type(error).__name__).splitlines()[0]
    if isinstance(error, RefusedError):
        what, advice = "it holds more than tensors and arrays", _ADVICE if advice is None else advice
    else:
        what, advice = "it is damaged or no file with weights", _AGAIN if advice is None else advice
    return f"{name}: not loaded, since {what} ({reason}). {advice}".rstrip()


def _load_safetensors(file: Path) -> Any:
    """Weights by name; of a file of :func:`write_weights` what ``torch.save`` would have kept, with its ``meta``."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="pt", device="cpu") as opened:
            about = (opened.metadata() or {}).get(_META)
            state = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        meta = None if about is None else parse_json(about.encode())
        if meta is not None and not isinstance(meta, dict):
            raise ValueError(f"its metadata {_META!r} is no JSON object")
    except (SafetensorError, KeyError, RuntimeError, ValueError) as error:
        with file.open("rb") as raw:
            raise DataError(_refusal(raw, str(file), error, None)) from error
    return state if meta is None else {"meta": meta, "state_dict": state}


def write_weights(path: Path, state: Mapping[str, torch.Tensor], meta: Mapping[str, Any]) -> None:
    """Write weights and what is said about them, as safetensors or by ``torch.save``, as the file's name ends.

    Args:
        path: A ``.safetensors`` holds ``meta`` as JSON in its header: tuples become lists.
        state: Weights by name; tensors that share memory are written once each.
        meta: For ``.safetensors``, what JSON can hold.

    Raises:
        OSError: Writing failed.
    """
    if path.suffix != ".safetensors":
        with replacing(path, "weights") as file:
            torch.save(dict(meta=dict(meta), state_dict=dict(state)), file)
        return
    from safetensors.torch import save

    own, kept = {}, set()
    for key, value in state.items():
        place = value.untyped_storage().data_ptr()
        own[key] = value.detach().cpu().contiguous() if place not in kept else value.detach().cpu().clone()
        kept.add(place)
    with replacing(path, "weights") as file:
        file.write(save(own, {"format": "pt", _META: json.dumps(meta)}))


def _load_arrays(file: Path) -> State:
    try:
        with zipfile.ZipFile(file) as archive:
            size, limit = sum(info.file_size for info in archive.infolist()), _UNPACKED * file.stat().st_size
        if size > limit + (1 << 26):
            raise ValueError(f"it would unpack to {size} bytes, more than {_UNPACKED} times its own")
        with np.load(file, allow_pickle=False) as arrays:
            return {key: torch.from_numpy(_checked(arrays, key, size)) for key in arrays.files}
    except (*DAMAGE, OSError, SyntaxError, tokenize.TokenError) as error:
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        with file.open("rb") as opened:
            raise DataError(_refusal(opened, str(file), error, None)) from error


def _checked(arrays: Any, key: str, size: int) -> np.ndarray:
    """An array of an ``.npz``, made only where its header asks for no more than the archive unpacks to."""
    name = key if key in arrays.zip.namelist() else f"{key}.npy"
    with arrays.zip.open(name) as part:
        version = np.lib.format.read_magic(part)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(part)
    claimed = dtype.itemsize
    for side in shape:
        claimed *= int(side)
    if dtype.kind not in "biufc" or min(shape, default=0) < 0 or claimed > size:
        raise ValueError(f"{key[:40]!r} has shape {shape} of {dtype}, in {size} bytes")
    return np.asarray(arrays[key])


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
    for _ in wrappers:  # a bounded number of times, since a trusted dict can hold itself
        if isinstance(content, dict):
            content = next((content[key] for key in wrappers if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        held = some_names([str(key) for key in content]) if isinstance(content, dict) else type(content).__name__
        raise DataError(
            f"{Path(path)}: holds no weights by name, but {held}; weights are looked for at the top and under "
            f"{', '.join(wrappers)}"
        )
    return {str(key).removeprefix("module."): value for key, value in content.items()}
