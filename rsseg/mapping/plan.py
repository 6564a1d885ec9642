"""What a map was made from, and whether a map or half a map that is there may be kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsseg.errors import JobError, UnreadableFileError
from rsseg.io.rasters import opened
from rsseg.io.records import differences
from rsseg.io.tables import read_json

__all__ = ["TAG", "may_keep", "parts_of", "plan_texts", "recorded"]

TAG = "RSSEG_"
"""Begins the names of what a map's metadata tell of its plan."""
_OF_SOURCE = {"source", "source_state", "datetime", "stac_item", "size", "version"}
"""What may differ where the raster has changed, but not how it is mapped."""


def parts_of(target: Path) -> Path:
    """The folder of an unfinished map."""
    return target.with_name(f".{target.name}.parts")


def recorded(key: str, target: Path) -> Any:
    """A value of the plan that a map was begun with, or else made with; None where there is none.

    Args:
        key: Of the plan.
        target: The map.
    """
    plan = parts_of(target) / "plan.json"
    if plan.exists():
        return read_json(plan).get(key)
    if not target.exists():
        return None
    try:
        with opened(target) as file:
            return file.tags().get(f"{TAG}{key.upper()}")
    except UnreadableFileError:  # half a file of another program
        return None


def plan_texts(plan: Mapping[str, Any]) -> dict[str, str]:
    """A plan as it stands in the metadata of its map: texts, without what is None."""
    return {
        key: value if isinstance(value, str) else json.dumps(value) for key, value in plan.items() if value is not None
    }


def may_keep(
    found: Mapping[str, Any], now: Mapping[str, Any], what: str, path: Path | str, update: bool, overwrite: bool
) -> bool:
    """Whether work that was begun or finished by one plan may be continued by another.

    Args:
        found: The plan of the work that is there.
        now: The plan of this run.
        what: What to say of it in the error.
        path: The map, its folder or its address, for the error.
        update: Begin anew where only the raster has changed; go on where only the version of rsseg has.
        overwrite: Begin anew whatever has changed.

    Returns:
        False where it must be made anew.

    Raises:
        JobError: The plans differ, and neither ``update`` nor ``overwrite`` says what to do; the message says in what.
    """
    changed = sorted(key for key in {*found, *now} if found.get(key) != now.get(key))
    if "source_state" in changed and None in (found.get("source_state"), now.get("source_state")):
        changed.remove("source_state")  # a server that does not say
    if not changed:
        return True
    if overwrite:
        return False
    if update and set(changed) <= _OF_SOURCE:
        return changed == ["version"]
    if set(changed) <= _OF_SOURCE:
        advice = "add --update to map rasters anew that have changed, or --overwrite"
    else:
        no = "--update cannot help, since it is not the raster that changed; " if update else ""
        advice = f"{no}finish it with the old settings, or add --overwrite to replace it"
    texts = ["the raster has changed" if key == "source_state" else text for key in changed
             for text in differences({key: found.get(key)}, {key: now.get(key)})]  # fmt: skip
    raise JobError(f"{path}: {what} {', '.join(changed)}; {advice} ({'; '.join(texts)})")
