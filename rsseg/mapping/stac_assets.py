"""The assets of a STAC item as a raster, and which addresses an item may name."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import Address, gdal_name, hide_secrets, is_address, is_text_name, locate

__all__ = ["NETWORK", "raster_of"]

NETWORK = ("http://", "https://", "s3://", "gs://", "az://")
"""How addresses begin that a catalogue at a server may name."""
_IMAGES = ("image/tiff", "image/jp2", "image/vnd.stac.geotiff", "application/x-geotiff")
_ENDS = (".tif", ".tiff", ".jp2")


def raster_of(item: Mapping[str, Any], base: str, shown: str, chosen: Sequence[str] | None) -> Address:
    """The chosen assets of an item as one raster.

    Args:
        item: The item, as JSON has it.
        base: What its addresses are relative to: its own one, or the file that it was found in.
        shown: What is shown of the source in which it was found.
        chosen: Keys of assets; None for the only image, or ``visual``.

    Raises:
        DataError: It has no such assets, or they are no rasters that an item may name.
        ConfigError: It has several images, and none is chosen.
    """
    assets, name = item.get("assets"), str(item.get("id", ""))
    if not isinstance(assets, dict) or not name:
        raise DataError(f"{shown}: an item has no id or no assets")
    where = f"{hide_secrets(base)} ({name})"
    keys = chosen or (_only_asset(assets, where),)
    if missing := [key for key in keys if key not in assets]:
        raise DataError(f"{where}: has no asset {missing[0]!r}; it has {', '.join(assets)}")
    parts = [_href(str(assets[key].get("href", "")), base, f"{where}, asset {key}") for key in keys]
    text = f"{hide_secrets(base)}{'' if base != shown and not base.endswith('/') else f'#{name}'}[{','.join(keys)}]"
    label = re.sub(r"[^\w.()+=@~-]+", "_", name).lstrip(".") or "item"
    alone = parts[0] if len(parts) == 1 else ""
    told = label, hide_secrets(base) if base.startswith(NETWORK) else "", _taken(item)
    return Address(text, alone.gdal if isinstance(alone, Address) else alone, () if alone else parts, *told)


def _taken(item: Mapping[str, Any]) -> str:
    properties = item.get("properties") or {}
    ends = [properties.get(key) for key in ("start_datetime", "end_datetime")]
    return str(properties.get("datetime") or ("/".join(map(str, ends)) if all(ends) else ""))


def _only_asset(assets: Mapping[str, Any], where: str) -> str:
    images = [key for key, asset in assets.items() if isinstance(asset, dict) and _is_image(asset)]
    data = [key for key in images if "data" in (assets[key].get("roles") or ())] or images
    if "visual" in images or len(data) == 1:
        return "visual" if "visual" in images else data[0]
    raise ConfigError(f"{where}: name the assets to map, such as --assets {','.join(images[:3]) or 'red'}; it "
                      f"has {', '.join(assets)}")  # fmt: skip


def _is_image(asset: Mapping[str, Any]) -> bool:
    kind, roles = str(asset.get("type", "")).lower(), asset.get("roles") or ()
    if {"thumbnail", "overview", "metadata"} & set(roles):
        return False
    return kind.startswith(_IMAGES) or re.split(r"[?#]", str(asset.get("href", "")))[0].lower().endswith(_ENDS)


def _href(href: str, base: str, where: str) -> str:
    """The raster of an asset; an item at a server names rasters at servers, and no item texts that name others."""
    remote = base.startswith(NETWORK)
    if not remote and href.lower().startswith("file://"):
        href = str(locate(href))
    if href.startswith(NETWORK) or (not remote and Path(href).is_absolute()):
        full = href
    elif is_address(href) or Path(href).is_absolute():
        full = urllib.parse.urljoin(base, href) if href.startswith("/") and not href.startswith("/vsi") else ""
    elif base.startswith(NETWORK[2:]):
        scheme, _, rest = base.partition("://")
        full = f"{scheme}://{rest.rpartition('/')[0]}/{href.removeprefix('./')}"
    else:
        full = urllib.parse.urljoin(base, href) if remote else str(Path(base).parent / href)
    if not full or (remote and not full.startswith(NETWORK)):
        raise DataError(f"{where}: names {hide_secrets(href)!r}, which is no address that an item may name; expected "
                        f"one that begins with {', '.join(NETWORK)}, or a path")  # fmt: skip
    if is_text_name(Address("", gdal_name(full)) if full.startswith(NETWORK) else full):
        raise DataError(f"{where}: names {hide_secrets(full)!r}, a text that refers to other rasters; map it by its "
                        "own address, if you trust it")  # fmt: skip
    return locate(full)
