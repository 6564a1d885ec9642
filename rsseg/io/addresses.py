"""Addresses of files that lie elsewhere: which texts are some, and what of them may be written down."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["is_address", "local_or_address", "without_credentials"]

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: one is a drive of Windows
_LOGIN = re.compile(r"(?<=://)[^/@\s]*@")


def is_address(text: object) -> bool:
    """Whether a text has the form ``scheme://...``."""
    return isinstance(text, str) and _ADDRESS.match(text) is not None


def local_or_address(text: str) -> Path | str:
    """The type of an option that names a local path, or an address, which ``Path`` would spoil."""
    return text if is_address(text) else Path(text)


local_or_address.__name__ = "path or address"


def without_credentials(text: str) -> str:
    """A name of GDAL or an address without what may be secret: name and password before the host, the query, headers.

    Paths of local files stay as they are.
    """
    if not (is_address(text) or text.startswith("/vsi")):
        return text
    return _LOGIN.sub("", re.split(r"[?#]", text, maxsplit=1)[0])
