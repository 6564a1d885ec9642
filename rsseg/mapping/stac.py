"""Items of STAC as rasters: files, item collections, catalogues, and searches of an API."""

from __future__ import annotations

import json
import logging
import re
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.io.addresses import Address, hide_queries, hide_secrets, is_address, locate, quoted, told_cause
from rsseg.mapping.stac_assets import NETWORK, raster_of

__all__ = ["STAC", "StacRequest", "items_of"]

_log = logging.getLogger("rsseg")
STAC = "stac:"
"""Begins the names of sources that are STAC, whatever their suffix."""
_SUFFIXES = (".json", ".geojson")
_RETRIES, _TIMEOUT = 5, 30.0
_OPERATORS = {"<": "lt", "<=": "lte", "=": "eq", "!=": "neq", ">=": "gte", ">": "gt"}


@dataclass(frozen=True)
class StacRequest:
    """Which items and which of their assets are mapped.

    Attributes:
        assets: Keys of assets, whose bands are the bands in this order; None for the only one that there is, or
            ``visual``.
        collections: Ids of collections; none for all.
        datetime: A time or ``START/END``, each a date or a time (``..`` for open), as STAC writes them.
        query: Conditions on properties, such as ``eo:cloud_cover<20``, which an API tests.
        max_items: Take so many items at most.
        boxes: (west, south, east, north) in degrees, one of which an item must meet; none for everywhere.
    """

    assets: tuple[str, ...] | None = None
    collections: tuple[str, ...] = ()
    datetime: str | None = None
    query: tuple[str, ...] = ()
    max_items: int | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = ()

    @property
    def is_search(self) -> bool:
        """Whether it asks for items of a catalogue."""
        return bool(self.collections or self.datetime or self.query or self.max_items)


def items_of(source: str, request: StacRequest) -> list[Address] | None:
    """The items of a source as rasters, in its order; None where it is no STAC.

    A source is STAC where it begins with ``stac:``, where the request is a search, or where it is a ``.json`` or
    ``.geojson`` that says so.

    Raises:
        DataError: The source cannot be read, has no items, or an item does not have the assets.
        ConfigError: The request does not go with the source.
        MissingPackageError: pystac-client is not installed.
    """
    named = source.startswith(STAC)
    source = source.removeprefix(STAC)
    suffix = re.split(r"[?#]", source)[0].lower().endswith(_SUFFIXES)
    source = str(locate(source)) if source.lower().startswith("file://") else quoted(source)
    if not (named or suffix or request.is_search) or Path(source).is_dir():
        return None
    if not (named or request.is_search or is_address(source)) and not _says_stac(Path(source)):
        return None
    reader = _reader(source)
    shown = hide_secrets(source)
    content = _content(reader, source, shown)
    if "stac_version" not in content and not _features(content):
        if named or request.is_search:
            raise DataError(f"{shown}: is no STAC item, collection or catalogue, nor the root of an API")
        return None
    found = [raster_of(item, base, shown, request.assets) for item, base in _items(content, source, reader, request)]
    if not found:
        raise DataError(f"{shown}: no item meets the request ({_told(request)})")
    if content.get("type") != "Feature":
        _log.info("%s: %d items", shown, len(found))
    return found


def _says_stac(path: Path) -> bool:
    try:
        return b'"stac_version"' in path.read_bytes()
    except OSError:
        return False


def _told(request: StacRequest) -> str:
    told = {"collections": ", ".join(request.collections), "datetime": request.datetime,
            "query": ", ".join(request.query), "area": request.boxes}  # fmt: skip
    return "; ".join(f"{key} {value}" for key, value in told.items() if value) or "without conditions"


def _reader(source: str) -> Any:
    """Reads texts of a catalogue, from a network only where the catalogue itself comes from one."""
    try:
        from pystac_client.stac_api_io import StacApiIO
    except ImportError as error:
        raise MissingPackageError(
            f'{hide_secrets(source)}: STAC needs pystac-client: pip install "rsseg[remote]"'
        ) from error
    remote = source.startswith(NETWORK)

    class Reader(StacApiIO):
        def read_text(self, source: Any, *args: Any, **kwargs: Any) -> str:
            href = str(getattr(source, "href", source))
            if not href.startswith(NETWORK) and (remote or is_address(href)):
                raise DataError(f"{hide_secrets(href)}: is named by a catalogue at a server, and is not read")
            if href.startswith(NETWORK[2:]):
                import fsspec

                with fsspec.open(href, "rb") as file:
                    return bytes(file.read()).decode()
            return super().read_text(source, *args, **kwargs)

    reader = Reader(max_retries=_RETRIES, timeout=_TIMEOUT)
    for adapter in reader.session.adapters.values():
        again = {"status_forcelist": [429, 500, 502, 503, 504], "backoff_factor": 1, "allowed_methods": None}
        adapter.max_retries = adapter.max_retries.new(**again)  # type: ignore[attr-defined]
    return reader


def _content(reader: Any, source: str, shown: str) -> dict[str, Any]:
    try:
        found = json.loads(reader.read_text(source))
    except DataError:
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise DataError(f"{shown}: cannot be read as STAC ({hide_queries(str(error))[:300]})") from told_cause(error)
    if not isinstance(found, dict):
        raise DataError(f"{shown}: is no STAC item, collection or catalogue")
    return found


def _features(content: Mapping[str, Any]) -> bool:
    features = content.get("features")
    return isinstance(features, list) and any(isinstance(row, dict) and "stac_version" in row for row in features)


def _items(
    content: dict[str, Any], source: str, reader: Any, request: StacRequest
) -> Iterator[tuple[dict[str, Any], str]]:
    """Items that meet the request, and what their addresses are relative to."""
    if content.get("type") == "Feature":
        yield content, source
        return
    links = [link for link in content.get("links", ()) if isinstance(link, dict)]
    searches = "conformsTo" in content or any(link.get("rel") == "search" for link in links)
    if searches and content.get("type") in ("Catalog", None):
        if not request.is_search and not request.boxes:
            raise ConfigError(f"{hide_secrets(source)}: is the root of a STAC API; say which of its items with "
                              "--collections, --datetime, --query, or an area")  # fmt: skip
        found: Iterator[tuple[dict[str, Any], str]] = _search(source, reader, request)
    elif request.query:
        raise ConfigError(f"--query {request.query[0]}: only an API tests conditions on properties, and "
                          f"{hide_secrets(source)} is a file")  # fmt: skip
    elif _features(content):
        found = _pages(content, source, reader)
    else:
        found = _walk(content, source, reader)
    count = 0
    for item, base in found:
        if request.max_items is not None and count >= request.max_items:
            return
        if _meets(item, request):
            count += 1
            yield item, base


def _pages(content: dict[str, Any], source: str, reader: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Items of an item collection, and of the pages that a server says come next."""
    seen = {source}
    while True:
        yield from ((item, _self(item, source)) for item in content.get("features", ()))
        links = [link for link in content.get("links", ()) if isinstance(link, dict) and link.get("rel") == "next"]
        following = urllib.parse.urljoin(source, str(links[0].get("href", ""))) if links else source
        if following in seen:
            return
        if not source.startswith(NETWORK) or links[0].get("method", "GET").upper() != "GET":
            _log.warning("%s: is one page of several, the others are not read; name the API, with --collections, "
                         "--datetime or --query", hide_secrets(source))  # fmt: skip
            return
        seen.add(following)
        content, source = _content(reader, following, hide_secrets(following)), following


def _walk(content: dict[str, Any], source: str, reader: Any) -> Iterator[tuple[dict[str, Any], str]]:
    import pystac

    try:
        top = pystac.read_dict(content, href=source, stac_io=reader)
        assert isinstance(top, pystac.Catalog)
        for item in top.get_items(recursive=True):
            base = item.get_self_href() or source
            yield item.to_dict(include_self_link=False, transform_hrefs=False), base
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{hide_secrets(source)}: a part of the catalogue cannot be read "
                        f"({hide_queries(str(error))[:300]})") from told_cause(error)  # fmt: skip


def _search(source: str, reader: Any, request: StacRequest) -> Iterator[tuple[dict[str, Any], str]]:
    """Items that an API finds, each once."""
    from pystac_client import Client

    seen = set()
    try:
        client = Client.open(source, stac_io=reader)
        methods = {str(link.extra_fields.get("method", "POST")).upper() for link in client.get_links("search")}
        for box in request.boxes or (None,):
            search = client.search(
                method="GET" if methods == {"GET"} else "POST", collections=list(request.collections) or None,
                datetime=request.datetime, bbox=box, query=_conditions(request.query), max_items=request.max_items,
            )  # fmt: skip
            for item in search.items_as_dicts():
                key = item.get("collection"), item.get("id")
                if key not in seen:
                    seen.add(key)
                    yield item, _self(item, source)
    except (DataError, ConfigError):
        raise
    except Exception as error:
        raise DataError(
            f"{hide_secrets(source)}: the search failed ({hide_queries(str(error))[:300]})"
        ) from told_cause(error)


def _conditions(query: Sequence[str]) -> dict[str, Any] | None:
    """Conditions such as ``eo:cloud_cover<20`` as APIs take them, with numbers as numbers."""
    out: dict[str, Any] = {}
    for text in query:
        found = re.fullmatch(r"([^<>=!]+)(<=|>=|!=|<|>|=)(.+)", text)
        if found is None:
            raise ConfigError(f"--query {text}: expected PROPERTY, one of {' '.join(_OPERATORS)}, and a value")
        try:
            value: Any = float(found[3]) if "." in found[3] else int(found[3])
        except ValueError:
            value = found[3].strip()
        out.setdefault(found[1].strip(), {})[_OPERATORS[found[2]]] = value
    return out or None


def _self(item: Mapping[str, Any], source: str) -> str:
    links = [link for link in item.get("links", ()) if isinstance(link, dict) and link.get("rel") == "self"]
    return urllib.parse.urljoin(source, str(links[0]["href"])) if links and "href" in links[0] else source


def _meets(item: Mapping[str, Any], request: StacRequest) -> bool:
    if request.collections and item.get("collection") not in request.collections:
        return False
    properties = item.get("properties") or {}
    if request.datetime is not None:
        first, several, last = request.datetime.partition("/")
        first, last = first or "..", (last or "..") if several else first
        begin = str(properties.get("start_datetime") or properties.get("datetime") or "")
        end = str(properties.get("end_datetime") or properties.get("datetime") or "")
        first, last = first.strip("Z"), last.strip("Z")
        if (first != ".." and end[: len(first)] < first) or (last != ".." and begin[: len(last)] > last):
            return False
    return not request.boxes or any(_overlap(item.get("bbox"), box) for box in request.boxes)


def _overlap(box: Any, other: tuple[float, float, float, float]) -> bool:
    if not isinstance(box, list) or len(box) not in (4, 6):
        return True  # the raster itself says
    west, south, east, north = (float(value) for value in (*box[:2], *box[len(box) // 2 :][:2]))
    wide = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return south <= other[3] and north >= other[1] and any(w <= other[2] and e >= other[0] for w, e in wide)
