"""Tensors of a TorchScript archive, read without running or even compiling the program in it.

``torch.load(weights_only=True)`` refuses such archives, and ``torch.jit.load`` runs what they ask for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from rsseg.errors import DataError
from rsseg.io.archive_values import CHECKPOINT
from rsseg.io.archives import DAMAGE, archive_names, is_program, read_archive
from rsseg.io.pickle_reader import Maker, Node

__all__ = ["is_torchscript", "read_torchscript"]

_CLASSES, _VALUES = "__torch__.", "torch.jit._pickle."


class _Attributes(dict[str, Any]):
    """What a module of the program has, by name."""


class _Module(Node):
    """Stands for every class of the program; keeps what the archive says of the object."""

    def __init__(self, *_: object) -> None:
        self.state: Any = None

    def build(self, state: Any) -> None:
        """Take the attributes."""
        self.state = state

    def finish(self, finish: Callable[[Any], Any]) -> Any:
        """The attributes; none where the object is no module."""
        state = finish(self.state)
        return _Attributes(state) if isinstance(state, dict) else _Attributes()


def _first(value: Any = None, *_: Any) -> Any:
    """Stands for the functions that give a list its type."""
    return value


class _Names(Mapping[str, "Maker | None"]):
    """Makers of what an archive may hold: as in checkpoints, and every class of its program."""

    def __getitem__(self, name: str) -> Maker | None:
        if name.startswith(_CLASSES):
            return _Module
        return _first if name.startswith(_VALUES) else CHECKPOINT[name]

    def __iter__(self) -> Iterator[str]:
        return iter(CHECKPOINT)

    def __len__(self) -> int:
        return len(CHECKPOINT)


def is_torchscript(path: Path) -> bool:
    """Whether a file is an archive of ``torch.jit.save``."""
    with path.open("rb") as file:
        try:
            return is_program(archive_names(file))
        except DAMAGE:
            return False


def read_torchscript(path: Path) -> dict[str, torch.Tensor]:
    """All tensors that the archive's modules have, by their dotted names.

    Args:
        path: An archive of ``torch.jit.save``.  Of it only attributes and numbers are read.

    Raises:
        DataError: The archive is damaged, or has attributes other than tensors, plain values and modules.
    """
    try:
        with path.open("rb") as file:
            root = read_archive(file, names=_Names(), program=True)
    except DAMAGE as error:
        reason = str(error) or type(error).__name__
        raise DataError(f"{path}: this TorchScript archive cannot be read ({reason})") from error
    out: dict[str, torch.Tensor] = {}
    _collect(root, "", out)
    return out


def _collect(module: Any, prefix: str, out: dict[str, torch.Tensor]) -> None:
    for name, value in (module if isinstance(module, _Attributes) else {}).items():
        if isinstance(value, torch.Tensor):
            out[prefix + name] = value.detach()
        else:
            _collect(value, f"{prefix}{name}.", out)
