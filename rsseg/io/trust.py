"""Whether weight files may run code: only where the user says so."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

__all__ = ["FORCE_VARIABLE", "TRUST_VARIABLE", "force_weights_only", "trusted", "unforced"]

TRUST_VARIABLE = "RSSEG_TRUST"
"""Environment variable that ``--trust`` sets to 1: files may then run code while they load."""
FORCE_VARIABLE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
"""A switch of torch: ``torch.load`` reads weights only, whatever its caller says."""
_OPPOSITE = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def trusted() -> bool:
    """Whether the user trusts the files of this run."""
    return os.environ.get(TRUST_VARIABLE) == "1"


def force_weights_only() -> None:
    """Make ``torch.load`` read weights only, in this process and those it starts, unless the user said otherwise."""
    if not trusted() and _OPPOSITE not in os.environ:
        os.environ.setdefault(FORCE_VARIABLE, "1")


@contextlib.contextmanager
def unforced() -> Iterator[None]:
    """Without that switch, for a file that the user trusts."""
    before = os.environ.pop(FORCE_VARIABLE, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[FORCE_VARIABLE] = before
