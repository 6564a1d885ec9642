"""Files from the web, kept by their whole address and checked by their content."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path
from typing import IO, Any

from rsseg.errors import DataError
from rsseg.io.files import locked, replacing, sha256_of

__all__ = ["download"]

_SCHEMES = ("http", "https")
_DIGITS = re.compile(r"-([0-9a-f]{8,64})\.[^.]+$")
"""How torch and OpenMMLab put the first digits of the SHA-256 into names, such as ``resnet50-0676ba61.pth``."""
_DATE = re.compile(r"(19|20)\d{6}")
_WAIT = 60.0
_BLOCK = 1 << 20


class _NoOtherSchemes(urllib.request.HTTPRedirectHandler):
    """Follows from http and https to these only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """The next request."""
        _check_scheme(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download(address: str, folder: Path) -> Path:
    """The file at an address, downloaded once.

    It is kept in ``folder`` under a name with the SHA-256 of the address, so that files of one name from two places are
    two files.  Beside it stands the SHA-256 of its content as it came, with which it is compared whenever it is asked
    for.  Where the address says what it must be, by ``#sha256=DIGITS`` at the end or by ``-DIGITS`` at the end of its
    name, content that differs is not kept.

    Args:
        address: Begins with ``http://`` or ``https://``.
        folder: Where files are kept; it is made.

    Raises:
        DataError: The content is not what the address says, or has changed since it was downloaded.
        OSError: It cannot be downloaded or written.
    """
    _check_scheme(address)
    url, _, fragment = address.partition("#")
    name = urllib.parse.unquote(urllib.parse.urlsplit(url).path).rpartition("/")[2]
    given = fragment.removeprefix("sha256=").lower() if fragment.startswith("sha256=") else None
    if given is not None and not re.fullmatch("[0-9a-f]{64}", given):
        raise DataError(f"{address}: what follows #sha256= must be 64 hexadecimal digits")
    found = _DIGITS.search(name)
    expected = given or (found[1] if found and not _DATE.fullmatch(found[1]) else "")
    suffix = re.sub(r"[^.\w]", "", Path(name).suffix)[:16]
    stem = re.sub(r"[^\w.-]", "_", Path(name).stem).lstrip(".")[:80] or "file"
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:32]}{suffix}"
    record = kept.with_name(f"{kept.name}.sha256")
    with locked(folder / f".{kept.name}.lock"):
        if not (kept.is_file() and record.is_file()):
            digest = _fetch(url, kept, expected)
            with replacing(record, "download") as file:
                file.write(f"{digest}  {url}\n".encode())
    digest = record.read_text(encoding="utf-8", errors="replace")[:64]
    if sha256_of(kept) != digest:
        raise DataError(f"{kept}: has changed since it was downloaded from {url}; delete it to download it again")
    if not digest.startswith(expected):
        raise DataError(f"{kept}: its SHA-256 is {digest}, but {address} asks for {expected}; nothing was loaded")
    return kept


def _check_scheme(address: str) -> None:
    if urllib.parse.urlsplit(address).scheme not in _SCHEMES:
        raise DataError(f"{address}: must begin with http:// or https://")


def _fetch(url: str, path: Path, expected: str) -> str:
    """Download a file; the SHA-256 of its content."""
    opener = urllib.request.build_opener(_NoOtherSchemes)
    try:
        with opener.open(url, timeout=_WAIT) as source, replacing(path, "download") as file:
            digest = _copy(source, file, url)
            if not digest.startswith(expected):
                raise DataError(
                    f"{url}: the SHA-256 of the content is {digest}, expected {expected}; it was not kept. Put what it "
                    "must be at the end of the address, #sha256=DIGITS, if you know it"
                )
    except (urllib.error.URLError, http.client.HTTPException) as error:
        raise OSError(f"{url}: cannot be downloaded ({error}); download it by other means and name the file") from error
    return digest


def _copy(source: Any, target: IO[bytes], url: str) -> str:
    length = getattr(source, "length", None)  # what is left, by the server's word
    digest, count = hashlib.sha256(), 0
    while block := source.read(_BLOCK):
        digest.update(block)
        count += len(block)
        target.write(block)
    target.flush()
    os.fsync(target.fileno())
    if length is not None and count != length:
        raise OSError(f"{url}: cut short after {count} of {length} bytes; try again")
    return digest.hexdigest()
