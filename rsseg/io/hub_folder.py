"""Folders of models as transformers saves them: a local one, or those files of a repository on the hub."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from rsseg.errors import ConfigError, DataError
from rsseg.io.hub import WEIGHTS, HubAddress, commit_of, fetch, is_hub
from rsseg.io.tables import read_json

__all__ = ["model_folder", "weight_files"]

_CONFIG, _INDEX = "config.json", "model.safetensors.index.json"
_OPTIONAL = (
    "preprocessor_config.json", "processor_config.json", "tokenizer_config.json", "tokenizer.json",
    "special_tokens_map.json", "vocab.json", "merges.txt",
)  # fmt: skip
"""Of image processor and tokenizer; which of them there are depends on the version that saved the model."""
_PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")


def model_folder(path: str | os.PathLike[str]) -> Path:
    """The folder of a model with ``config.json`` and weights as safetensors; from the hub only the files it needs.

    Args:
        path: A folder, or ``hf://OWNER/NAME[@REVISION]``; all files are then those of one commit.

    Raises:
        FileNotFoundError: There is no such folder, or a file is missing there or on the hub.
        ConfigError: The address names a single file.
        DataError: The weights are only there as pickles, which are not read; or a checksum does not fit.
        OSError: The repository cannot be had from the hub, for example without a login; the message says what to do.
    """
    if is_hub(path):
        return _from_hub(HubAddress.parse(os.fspath(path)))
    folder = Path(path).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: no such folder; name the folder of a model saved by transformers, or hf://OWNER/NAME"
        )
    if not (folder / _CONFIG).is_file():
        raise FileNotFoundError(f"{folder}: has no {_CONFIG}; expected what transformers' save_pretrained writes")
    weight_files(folder)
    return folder


def weight_files(folder: Path) -> list[Path]:
    """The files with the weights in a folder of :func:`model_folder`, one or several.

    Raises:
        FileNotFoundError: One is missing.
        DataError: There are only pickles.
    """
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if not (folder / _INDEX).is_file():
        if any((folder / name).is_file() for name in _PICKLED):
            raise DataError(
                f"{folder}: its weights are pickles, which may run code and are not read; save them as {WEIGHTS} "
                "(save_pretrained of transformers does so)"
            )
        raise FileNotFoundError(f"{folder}: has no {WEIGHTS}; expected what transformers' save_pretrained writes")
    parts = [folder / name for name in _parts(folder / _INDEX)]
    for part in parts:
        if not part.is_file():
            raise FileNotFoundError(f"{part}: is missing, but {_INDEX} names it; download it again")
    return parts


def _from_hub(address: HubAddress) -> Path:
    if address.file or address.sha256:
        raise ConfigError(
            f"{address}: expected the address of a whole model: hf://OWNER/NAME, with @REVISION if you like"
        )
    config = fetch(replace(address, file=_CONFIG))
    address = replace(address, revision=commit_of(config) or address.revision)  # where a branch moves meanwhile
    try:
        fetch(replace(address, file=WEIGHTS))
    except FileNotFoundError as error:
        try:
            index = fetch(replace(address, file=_INDEX))
        except FileNotFoundError:
            raise error from None
        for name in _parts(index):
            fetch(replace(address, file=name))
    for name in _OPTIONAL:
        try:
            fetch(replace(address, file=name))
        except FileNotFoundError:
            continue
    return config.parent


def _parts(index: Path) -> Iterator[str]:
    names = {str(name) for name in read_json(index).get("weight_map", {}).values()}
    for name in sorted(names):
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise DataError(f"{index}: {name!r} is no name of a safetensors file beside it")
        yield name
