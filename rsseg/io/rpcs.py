"""Rational polynomial coefficients (RPCs): the position of a pixel by longitude, latitude and height."""

from __future__ import annotations

import logging
from typing import Any

from rasterio.rpc import RPC

from rsseg.io.addresses import shown_name

__all__ = ["move_rpcs", "read_rpcs"]

_log = logging.getLogger("rsseg")


def read_rpcs(dataset: Any) -> RPC | None:
    """RPCs of an open dataset; incomplete ones are left out with a warning."""
    try:
        rpcs: RPC | None = dataset.rpcs
    except (KeyError, ValueError, TypeError) as error:
        _log.warning(
            "%s: its rational polynomial coefficients (RPC) are incomplete and not used (%r)",
            shown_name(dataset.name),
            error,
        )
        return None
    return rpcs


def move_rpcs(rpcs: RPC | None, column: float = 0, row: float = 0, across: float = 1, down: float = 1) -> RPC | None:
    """RPCs of pixels that begin at a position and are so many times as wide and high; they count pixels' centres."""
    if rpcs is None:
        return None
    moved = {
        "samp_off": (rpcs.samp_off + 0.5 - column) / across - 0.5,
        "line_off": (rpcs.line_off + 0.5 - row) / down - 0.5,
        "samp_scale": rpcs.samp_scale / across,
        "line_scale": rpcs.line_scale / down,
    }
    return RPC(**{**rpcs.to_dict(), **moved})
