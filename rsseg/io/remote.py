"""Rasters that come over a network: how GDAL asks for them, what state they are in, and which a prefix holds."""

from __future__ import annotations

import base64
import http.client
import logging
import re
import time
import urllib.error
import urllib.parse
import urllib.request
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from rasterio._env import get_gdal_config  # what holds now, wherever it was set

from rsseg.errors import DataError, UnreadableFileError
from rsseg.io.addresses import Address, hide_queries, is_text_name, locate, quoted, told_cause

__all__ = ["is_remote", "list_prefix", "may_ask", "network_settings", "set_network", "source_state", "waits"]

_log = logging.getLogger("rsseg")
_NETWORK = {
    "GDAL_HTTP_MAX_RETRY": "5",  # on 429, 500, 502, 503, 504 and broken connections; each wait is about twice the last
    "GDAL_HTTP_RETRY_DELAY": "1",
    "GDAL_HTTP_CONNECTTIMEOUT": "20",
    "GDAL_HTTP_LOW_SPEED_TIME": "60",  # seconds at less than a byte per second
    "GDAL_HTTP_LOW_SPEED_LIMIT": "1",
}
_OF_ONE = {
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",  # otherwise GDAL asks for forty files that might lie beside a raster
    # What was read is forgotten when the raster is closed: an answer that was cut short, and one that has changed.
    "CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/:/vsioss/:/vsiswift/",
}
_LOOK = 16 << 20
"""Bytes of a text in which the address of a server is looked for."""
_READS = 3
"""How often pixels are asked for that GDAL could not get by its own repetitions."""
_REMOTE = re.compile(r"://|/vsi(curl|s3|gs|az|adls|oss|swift|webhdfs)")
_TIMEOUT = 20.0
_BUCKETS = {"/vsis3/": "s3", "/vsigs/": "gs", "/vsiaz/": "az"}


def is_remote(source: str | Path) -> bool:
    """Whether a raster comes over a network."""
    return isinstance(source, Address) and any(_REMOTE.search(name) for name in (source.gdal, *source.parts))


def network_settings(source: str | Path) -> dict[str, str]:
    """Settings of GDAL for a source; those that the user has set, by the environment or a file of GDAL's, stay."""
    settings = {**_NETWORK, **(_OF_ONE if is_remote(source) else {})}
    return {key: value for key, value in settings.items() if get_gdal_config(key) in (None, "")}


def set_network() -> None:
    """Let pyogrio, whose GDAL is another one than rasterio's, ask servers as patiently."""
    import pyogrio

    unset = [key for key in _NETWORK if pyogrio.get_gdal_config_option(key) is None]
    pyogrio.set_gdal_config_options({key: _NETWORK[key] for key in unset})


def may_ask(source: str | Path) -> bool:
    """Whether reading a source may ask a server: it is at one, or is a text that names one, such as a web map."""
    if isinstance(source, Address):
        return is_remote(source) or is_text_name(source)
    if not is_text_name(str(source)) or not Path(source).is_file():
        return False
    with Path(source).open("rb") as file:
        return _REMOTE.search(file.read(_LOOK).decode("latin-1")) is not None


def waits(source: str | Path) -> Iterator[float]:
    """Seconds to wait before each further attempt to read from a source; none for local images."""
    delay = float(get_gdal_config("GDAL_HTTP_RETRY_DELAY") or _NETWORK["GDAL_HTTP_RETRY_DELAY"])
    for number in range(_READS if may_ask(source) else 0):
        yield delay * 2**number


def source_state(source: str | Path) -> list[Any] | None:
    """What changes when a raster does: bytes, and time of modification in ns, ETag or time as the server says.

    Args:
        source: A path, or an address.

    Returns:
        A JSON value; None where nothing cheap tells: mosaics at a server, web maps, refused requests, and object
        storage without fsspec's package for it.

    Raises:
        UnreadableFileError: The server does not answer.
    """
    if isinstance(source, Address):
        if source.parts:
            return [source_state(locate(part)) for part in source.parts]
        name = source.gdal
        if name.startswith(("/vsicurl/http://", "/vsicurl/https://")):
            return _state_by_http(name.removeprefix("/vsicurl/"), source)
        for start, scheme in _BUCKETS.items():
            if name.startswith(start):
                return _state_by_fsspec(scheme, name.removeprefix(start))
        source = name
    file = Path(source)
    if not file.is_file():
        return None
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def _state_by_http(url: str, shown: str) -> list[Any] | None:
    request = _request(url, {"Range": "bytes=0-0"})
    error: Exception | None = None
    for wait in (0.0, *waits(Address(shown, f"/vsicurl/{url}"))):
        time.sleep(wait)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT) as answer:
                headers = answer.headers
            total = (headers.get("Content-Range") or "").rpartition("/")[2]
            tag = headers.get("ETag") or headers.get("Last-Modified")
            return [int(total), tag] if total.isdigit() else [None, tag] if tag else None
        except urllib.error.HTTPError as found:
            if found.code < 500 and found.code != 429:
                return None
            error = found
        except (OSError, http.client.HTTPException, ValueError) as found:
            error = found
    raise UnreadableFileError(f"{shown}: the server does not answer ({hide_queries(str(error))}); repeat the command")


def _request(url: str, headers: dict[str, str]) -> urllib.request.Request:
    """A request in which user and password are a header, which does not go to other servers."""
    parts = urllib.parse.urlsplit(url)
    request = urllib.request.Request(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl(), headers=headers)
    if parts.username is not None:
        both = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password or '')}"
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(both.encode()).decode()}")
    return request


def _state_by_fsspec(scheme: str, path: str) -> list[Any] | None:
    try:
        import fsspec

        found = fsspec.filesystem(scheme).info(path)
    except Exception as error:
        _log.debug("%s://%s: fsspec gives no state (%s)", scheme, path, type(error).__name__)
        return None
    tags = (found.get(key) for key in ("ETag", "etag", "md5Hash", "LastModified", "last_modified", "updated"))
    return [found.get("size"), next((str(tag) for tag in tags if tag), None)]


def list_prefix(prefix: Address, suffixes: Sequence[str]) -> list[tuple[Address, str]]:
    """Rasters below a prefix, such as ``s3://bucket/folder/``, in the order of their names, as GDAL lists them.

    Args:
        prefix: Ends in a slash.
        suffixes: What names end in, compared without case.

    Returns:
        Addresses, and their paths below the prefix.

    Raises:
        DataError: GDAL cannot list it, or the installed pyogrio cannot ask GDAL for that.
        FileNotFoundError: There are none.
    """
    import pyogrio

    if not hasattr(pyogrio, "vsi_listtree"):
        raise DataError(f"{prefix}: listing needs pyogrio 0.11; update it, or name the rasters in a .txt list")
    set_network()
    root = prefix.gdal.rstrip("/") + "/"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which have addresses in full
            names = pyogrio.vsi_listtree(root)
    except FileNotFoundError:
        names = []
    except Exception as error:
        raise DataError(f"{prefix}: cannot be listed ({hide_queries(str(error))})") from told_cause(error)
    ends = tuple(suffix.lower() for suffix in suffixes)
    below = sorted(name.removeprefix(root) for name in names if name.lower().endswith(ends))
    found = [(name, path) for name in below if (path := _below(root, name)) is not None]
    if not found:
        raise FileNotFoundError(
            f"{prefix}: GDAL lists no rasters ({', '.join(suffixes)}) there; see that the address is right, and that "
            "the environment has what gives access (docs/howto/maps.md)"
        )
    return [(Address(quoted(f"{prefix}{name}"), quoted(f"{root}{name}")), path) for name, path in found]


def _below(root: str, name: str) -> str | None:
    """The path of a raster below a prefix; web pages give it percent-encoded.  None for one that is hidden, or leads
    out of the prefix."""
    path = urllib.parse.unquote(name) if root.startswith("/vsicurl/") else name
    hidden = any(part.startswith(".") or not part for part in path.replace("\\", "/").split("/"))
    return None if hidden else path
