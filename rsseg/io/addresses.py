"""Rasters that are no local files: what GDAL opens, and what is shown and recorded of them.

An address may hold what gives access: ``user:password@``, a signature or a token in its query.  GDAL gets all of it;
everything else sees an :class:`Address`, whose text has none of it, so that no message, plan, log or map can show it.
"""

from __future__ import annotations

import os
import re
import urllib.parse
import urllib.request
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = [
    "Address",
    "gdal_name",
    "hide_queries",
    "hide_secrets",
    "hide_those_of",
    "is_address",
    "is_text_name",
    "locate",
    "opened_name",
    "quoted",
    "shown_name",
    "stem_of",
    "told_cause",
]

_SCHEMES = {"http": "/vsicurl/http://", "https": "/vsicurl/https://", "ftp": "/vsicurl/ftp://", "s3": "/vsis3/",
            "s3a": "/vsis3/", "gs": "/vsigs/", "gcs": "/vsigs/", "az": "/vsiaz/", "abfs": "/vsiaz/",
            "oss": "/vsioss/", "swift": "/vsiswift/"}  # fmt: skip
_TEXTS = (".vrt", ".xml", ".json", ".geojson", ".wms", ".gti", ".gti.gpkg", ".gti.fgb", ".gti.parquet")
"""What the names of files end in that say where rasters are; other files that do so are not what they seem."""
_PREFIX = re.compile(r"[A-Za-z][\w+.-]+:")
_URL = re.compile(
    r"([A-Za-z][\w+.-]*://)((?:[^/\s\"'<>@:\[]*:(?!\d*[/?#])[^\s\"'<>]*|[^/\s?#\"'<>]*)@)?([^\s\"'?#<>]*)(\?[^\s\"'#<>]*)?"
    r"(#[^\s\"'<>]*=[^\s\"'<>]*)?"
)
"""Scheme, what is before the last ``@``, path, query, and a fragment that has values."""
_OPTIONS = re.compile(r"/vsicurl\?[^\s\"']*")
_DATABASE = re.compile(r"\b(PG|MYSQL|MSSQL|OCI|HANA|DAAS|PLMOSAIC|PLSCENES|EEDAI?):", re.IGNORECASE)
_PASSWORD = re.compile(r"(?i)\b(user|uid|password|passwd|pwd|token|api_?key)=('[^']*'|\"[^\"]*\"|[^\s,;\"']+)[,;]?")
_PAIR = re.compile(r"([?&,])([^=&,?]*)=([^&,]*(?:,[^=&,]*(?=[&,]|$))*)|([?&][^=&,?]+)(?=[&,]|$)")
_HARMLESS = {"service", "request", "version", "layers", "layer", "styles", "style", "crs", "srs", "bbox", "format",
             "transparent", "tilematrixset", "tilematrix", "zoom_level", "extendbeyonddateline", "width", "height",
             "time", "datetime", "collections", "collection", "ids", "item", "items", "limit", "bands", "url",
             "max_retry", "retry_delay", "pc_url_signing", "list_dir"}  # fmt: skip
_ASCII = "".join(chr(code) for code in range(33, 127) if chr(code) not in "\"'<>")
_QUERY = re.compile(r"\?[^\s'\"]*=[^\s'\"]*?(?=[,:)]? |[\s'\")]|$)")
_WEB = re.compile(r"(/vsicurl/)?(https?|ftp)://", re.IGNORECASE)
"""Parameters of a query that are shown; all others may give access."""


class Address(str):
    """A raster that is no local file; its text is what is shown and recorded.

    Attributes:
        gdal: What GDAL opens, with all that gives access; never to be shown.
        parts: Rasters of which it is made, each giving one or more bands; none where it is one raster.
        name: What its map is called.
        item: The STAC item that names it, as it is shown; "" where none does.
        taken: When it was taken, as that item says, as a time or ``START/END``; "" where nothing says so.
    """

    gdal: str
    parts: tuple[str, ...]
    name: str
    item: str
    taken: str

    def __new__(
        cls, text: str, gdal: str, parts: Sequence[str] = (), name: str = "", item: str = "", taken: str = ""
    ) -> Address:
        """Make one; ``text`` is shown."""
        self = super().__new__(cls, text)
        self.gdal, self.parts, self.name = gdal, tuple(parts), name or stem_of(text)
        self.item, self.taken = item, taken
        return self

    def __reduce__(self) -> Any:
        return Address, (str.__str__(self), self.gdal, self.parts, self.name, self.item, self.taken)


def is_address(source: str | Path) -> bool:
    """Whether something names a raster by a scheme, a driver or one of GDAL's file systems, and is no local file."""
    text = str(source)
    if isinstance(source, Address) or text.startswith("/vsi"):
        return True
    return _PREFIX.match(text) is not None and not os.path.lexists(text)


def locate(source: str | Path) -> str:
    """An :class:`Address` for what is no local file, and the path itself for what is one."""
    text = str(source)
    if isinstance(source, Address) or not is_address(text):
        return source if isinstance(source, Address) else text
    if text.lower().startswith("file://"):
        return urllib.request.url2pathname(urllib.parse.urlsplit(text).path)
    text = quoted(text)
    return Address(hide_secrets(text), gdal_name(text))


def quoted(address: str) -> str:
    """An address of the web in which blanks, quotes and all other letters than those of ASCII are percent-encoded."""
    return urllib.parse.quote(address, safe=_ASCII) if _WEB.match(address) else address


def gdal_name(address: str) -> str:
    """The name by which GDAL opens an address: ``s3://bucket/a.tif`` is ``/vsis3/bucket/a.tif``."""
    scheme, separator, rest = address.partition("://")
    start = _SCHEMES.get(scheme.lower()) if separator else None
    return address if start is None else start + rest


def opened_name(address: str) -> str:
    """The name by which GDAL opens what fsspec has at an address: as :func:`gdal_name`, and a path for ``file://``."""
    scheme, _, path = address.partition("://")
    return path if scheme.lower() in ("file", "local") else gdal_name(address)


def is_text_name(source: str) -> bool:
    """Whether a name says that it is a text that refers to other rasters, or names the driver of GDAL that reads it."""
    name = source.gdal if isinstance(source, Address) else source
    if isinstance(source, Address) and not name.startswith("/vsi"):
        return True
    path = name if not isinstance(source, Address) else re.split(r"[?#]", name.rpartition("://")[2] or name)[0]
    return path.lower().endswith(_TEXTS)


def hide_secrets(text: str) -> str:
    """A text in which addresses have neither user and password nor parameters that may give access."""
    text = _OPTIONS.sub(_without_headers, text)
    if _DATABASE.search(text):
        text = _PASSWORD.sub("", text)
    if "://" not in text:
        return text

    def shown(match: re.Match[str]) -> str:
        scheme, _, path, query, _ = match.groups()
        return f"{scheme}{hide_secrets(path)}{_harmless(query or '')}"

    return _URL.sub(shown, text)


def _without_headers(match: re.Match[str]) -> str:
    """What is harmless of the parameters of ``/vsicurl?``, of which the others may be headers that give access."""
    pairs = (pair.partition("=") for pair in match[0].partition("?")[2].split("&"))
    kept = [f"{key}={urllib.parse.unquote(value)}" for key, _, value in pairs if key in _HARMLESS]
    return f"/vsicurl?{'&'.join(kept)}"


def hide_queries(text: str) -> str:
    """As :func:`hide_secrets`, of what a library says, which may show the query of an address without its server."""
    return _QUERY.sub("", hide_secrets(text))


def hide_those_of(text: str, source: Path | str) -> str:
    """As :func:`hide_secrets`, also where a text has only the last part of a source's address, as errors of GDAL do."""
    text = hide_secrets(text)
    source = locate(source)
    if isinstance(source, Address):
        for name in (source.gdal, *(part.gdal for part in map(locate, source.parts) if isinstance(part, Address))):
            for match in _URL.finditer(name):
                for secret in filter(None, (match[4], match[2], (match[2] or "").rstrip("@"))):
                    text = text.replace(secret, _harmless(secret) if secret == match[4] else "")
    return text


def told_cause(error: BaseException, source: Path | str = "") -> BaseException | None:
    """The error that another one is raised from; None where its traceback would tell what gives access to a source."""
    one: BaseException | None = error
    while one is not None:
        if hide_queries(hide_those_of(str(one), source)) != str(one):
            return None
        one = one.__cause__ or one.__context__
    return error


def shown_name(dataset: Path | str) -> str:
    """What is shown of the name of a path, an address, or an open dataset, which may be a text of bands."""
    text = str(dataset)
    return "the bands of several rasters" if text.startswith("<") else hide_secrets(text)


def _harmless(query: str) -> str:
    def kept(match: re.Match[str]) -> str:
        separator, name, value, flag = match.groups()
        if flag or name.lower() not in _HARMLESS:
            return ""
        value = re.split(r";[^;=]*=", value)[0]
        inner = urllib.parse.unquote(value)
        return f"{separator}{name}={hide_secrets(inner) if '://' in inner else value}"

    found = _PAIR.sub(kept, query).lstrip("?&")
    return found if not found or found.startswith(",") else f"?{found}"


def stem_of(source: str) -> str:
    """What the map of a source is called: the last part of its path without query and suffix; then its subdataset."""
    text = hide_secrets(source)
    layer = re.search(r"^wm[st]s?:.*[?&,]layers?=([^&,]+)", text, re.IGNORECASE)
    if layer:
        return _name(urllib.parse.unquote(layer[1]))
    subdataset = re.fullmatch(r"[A-Za-z]\w+:(?:\"(.+)\"|(?!//)([^:]+)):([\w/ .-]+)", text)
    if subdataset:
        return _name("_".join([stem_of(subdataset[1] or subdataset[2]), *filter(None, subdataset[3].split("/"))]))
    text = text.partition("url=")[2] if text.startswith("/vsicurl?") else text
    path = re.split(r"[?#]", text)[0].rstrip('/"')
    path = urllib.parse.unquote(path) if "://" in path else path
    name = PurePosixPath(re.split(r"[/\\]", path)[-1])
    first = name.name.partition(".")[0] if name.name.lower().endswith(_TEXTS) else name.stem
    return _name(first.partition(":")[2] if _PREFIX.match(first) else first)


def _name(text: str) -> str:
    return re.sub(r"[^\w. ()+=@~-]+", "_", text).lstrip(".") or "map"
