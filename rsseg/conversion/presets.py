"""Named sets of settings that win over a config.

``samrs_compat`` gives the semantics of the SAMRS release, whatever else the config says:

- prompts are moved into the tile and not clipped;
- masks are taken as they come: nothing is dropped, cut or cleaned;
- they are painted in the order of the label file, the last one wins;
- tiles without objects are not written, only listed;
- images smaller than the tile are padded at the right and bottom with BboxToolkit's colour;
- the split draws tiles, so overlapping tiles of one scene can be on both sides.

Boxes, tile size, overlap, threshold, prompt and mask model stay the config's.  BboxToolkit also drops windows that
show less than 60 % image, unless all do; as last windows are shifted back to the border all windows of an image show
the same share, so that rule never drops one.  One thing stays ours: boxes that enclose nothing, are inverted or lie
outside the image are left out and listed under ``problems``; the release asked SAM with them (a few in DIOR).

Source: SAMRS release, main_sam_hbox_semantic.py; BboxToolkit, tools/img_split.py.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from typing import Any

from rsseg.errors import ConfigError

__all__ = ["PRESETS", "apply_preset"]

_log = logging.getLogger("rsseg")

PRESETS: dict[str, dict[str, Any]] = {
    "samrs_compat": {
        "pipeline": [
            {"type": "CutTile", "fill": (124, 116, 104)},
            {"type": "MakePrompts", "clip": False},
            {"type": "PredictMasks"},
            {"type": "RefineMasks"},
            {"type": "PaintLabels", "order": "file"},
            {"type": "PackInstances"},
        ],
        "tiling": {"pad": True},
        "split": {"by": "tile"},
        "keep_empty": False,
    }
}
"""Name -> settings; dicts are merged into the config's (``tiling`` only where tiles are cut), others replace."""


def apply_preset(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """A config with the settings of a preset; what it overrides is logged.

    Args:
        config: A conversion config as plain dicts; it stays as it is.
        name: Key of ``PRESETS``.

    Raises:
        ConfigError: There is no such preset.
    """
    if name not in PRESETS:
        raise ConfigError(f"unknown preset {name!r}; expected one of: {', '.join(PRESETS)}")
    out = copy.deepcopy(dict(config))
    for key, wanted in copy.deepcopy(PRESETS[name]).items():
        given = out.get(key)
        if key == "pipeline":
            lost = _lost_transforms(given or [], wanted)
        elif isinstance(wanted, dict):
            if key == "tiling" and given is None:
                continue
            lost = [f"{key}.{k}={given[k]!r}" for k, v in wanted.items() if given and given.get(k, v) != v]
            wanted = {**(given or {}), **wanted}
        else:
            lost = [f"{key}={given!r}"] if key in out and given != wanted else []
        for setting in lost:
            _log.warning("preset %r overrides %s of the config", name, setting)
        out[key] = wanted
    return out


def _lost_transforms(given: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> list[str]:
    """Steps and options of the config's pipeline that the preset's does not have."""
    options = {transform["type"]: transform for transform in wanted}
    lost = []
    for transform in given:
        kind = transform["type"]
        if kind not in options:
            lost.append(f"the transform {kind}")
        else:
            lost += [f"{kind}.{k}={v!r}" for k, v in transform.items() if not _same(v, options[kind].get(k))]
    return lost


def _same(given: Any, wanted: Any) -> bool:
    return (tuple(given) if isinstance(given, list) else given) == wanted
