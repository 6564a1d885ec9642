"""From an architecture as data to the settings of the network that has it, for all methods."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rsseg.errors import DataError
from rsseg.models.search.sparsemask_pruning import architecture_of, mask_of

__all__ = ["check_architecture", "head_settings"]


def _sparsemask(architecture: Mapping[str, Any], source: str) -> dict[str, Any]:
    return architecture_of(mask_of(architecture, source))


_CHECKS = {"SparseMask": _sparsemask}


def check_architecture(architecture: Mapping[str, Any], source: str = "the architecture") -> dict[str, Any]:
    """What a network needs of an architecture, if one can be made of it.

    Args:
        architecture: What a JSON file holds.
        source: What errors call it.

    Raises:
        DataError: It is of an unknown method, damaged or empty.
    """
    method = architecture.get("method")
    if method not in _CHECKS:
        raise DataError(f"{source}: is of method {method!r}; expected one of: {', '.join(_CHECKS)}")
    return _CHECKS[method](architecture, source)


def head_settings(architecture: Mapping[str, Any]) -> str:
    """Settings ``model`` of a config, as text: they replace the architecture that its base has."""
    return f"dict(decode_head=dict(architecture=dict(_delete_=True, **{dict(architecture)!r})))"
