"""SparseMask's architecture as data: edge weights to a mask, and masks as JSON and as the release's ``.npy``.

Shapes: an edge table is (k + 1, 2) float for node k: row j is map j ("down", column 0) and input j of the nodes ("up",
column 1); input 0 is the global average of map 0, input j the output of node j - 1.  Maps count from the coarsest.
A mask is (nodes, nodes, 2) bool: [node, row, column].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError, DataError
from rsseg.io.files import replacing
from rsseg.io.tables import read_json, write_json

__all__ = ["architecture_of", "check_mask", "mask_of", "prune_edges", "read_mask", "write_mask"]

Mask = NDArray[np.bool_]
_HINT = (
    "search longer, with a smaller sparsity_weight, or prune with a smaller threshold; an edge is kept where half its "
    "weight is above the threshold, and a node where a kept one reads it"
)


def prune_edges(
    tables: Sequence[NDArray[np.floating]], threshold: float = 0.001, duplicates: bool = True, subsets: bool = True
) -> Mask:
    """Edges that stay, by the release's rule.

    1. From the last node to the first: an edge is kept where half its weight, between 0 and 1, is above ``threshold``;
       all edges of a node that no kept one reads go.
    2. Of nodes with the same edges the first stays for all that read one of them; the last node takes no part.
    3. A node whose edges are among those of a later one goes, where all that read it read the later one as well.

    Args:
        tables: Edge table of each node, the first node first.
        threshold: See above.
        duplicates: Do step 2.
        subsets: Do step 3.

    Returns:
        The mask; it may be empty, see :func:`check_mask`.

    Source: facts of the release, whose order of comparisons it keeps.
    """
    count = len(tables)
    mask = np.zeros((count, count, 2), bool)
    for node in reversed(range(count)):
        weights = np.abs(np.asarray(tables[node])).clip(0, 2) / 2
        if weights.shape != (node + 1, 2):
            raise ConfigError(f"edge table {node} has shape {weights.shape}; expected {(node + 1, 2)}")
        if node == count - 1 or mask[:, node + 1, 1].any():
            mask[node, : node + 1] = weights > threshold
    if duplicates:
        _merge_duplicates(mask)
    if subsets:
        _drop_subsets(mask)
    return mask


def _merge_duplicates(mask: Mask) -> None:
    """Step 2 of :func:`prune_edges`, in place; the output of node k is input k + 1."""
    last = len(mask) - 1
    for node in range(last):
        if not mask[node].any():
            mask[:, node + 1, 1] = False
            continue
        for later in range(node + 1, last):
            if (mask[node] == mask[later]).all():
                mask[later] = False
                mask[:, node + 1, 1] |= mask[:, later + 1, 1]


def _drop_subsets(mask: Mask) -> None:
    """Step 3 of :func:`prune_edges`, in place."""
    for node in range(len(mask) - 2, 0, -1):
        if not mask[node].any():
            continue
        for earlier in range(node - 1, -1, -1):
            within = not (mask[earlier] & ~mask[node]).any()
            if within and not (mask[:, earlier + 1, 1] & ~mask[:, node + 1, 1]).any():
                mask[:, earlier + 1, 1] = False
                mask[earlier] = False


def check_mask(mask: NDArray[Any], source: str = "the mask") -> Mask:
    """A mask that a network can be made of.

    Args:
        mask: What may be one.
        source: What errors call it.

    Raises:
        DataError: It is no mask, the last node has no edge, an edge has no start, or reads a node that is not there.
    """
    mask = np.asarray(mask)
    if mask.ndim != 3 or mask.shape != (len(mask), len(mask), 2) or mask.dtype != np.bool_:
        raise DataError(f"{source}: is {mask.dtype} of shape {mask.shape}; expected bool of (nodes, nodes, 2)")
    if not mask[-1].any():
        raise DataError(f"{source}: no edge into the last node is left, so there is no network; {_HINT}")
    beyond = [(int(k), int(j)) for k, j, _ in np.argwhere(mask) if j > k]
    if beyond:
        raise DataError(f"{source}: node {beyond[0][0]} reads input {beyond[0][1]}, which comes after it")
    missing = [(int(k), int(j)) for k, j in np.argwhere(mask[:, :, 1]) if j and not mask[j - 1].any()]
    if missing:
        raise DataError(f"{source}: node {missing[0][0]} reads node {missing[0][1] - 1}, which has no edges")
    return mask


def architecture_of(mask: Mask, **extra: Any) -> dict[str, Any]:
    """What a JSON file holds: for each node with edges the maps (``taps``) and inputs (``ups``) that it reads.

    Args:
        mask: The mask.
        **extra: What else the file shall say, such as the threshold.
    """
    nodes = {
        str(k): {"taps": np.flatnonzero(rows[:, 0]).tolist(), "ups": np.flatnonzero(rows[:, 1]).tolist()}
        for k, rows in enumerate(mask)
        if rows.any()
    }
    return {"method": "SparseMask", "count": len(mask), "nodes": nodes, **extra}


def mask_of(architecture: Mapping[str, Any], source: str = "the architecture") -> Mask:
    """The mask of what a JSON file holds, see :func:`architecture_of`.

    Raises:
        DataError: It is not SparseMask's, or see :func:`check_mask`.
    """
    if architecture.get("method") != "SparseMask" or not isinstance(architecture.get("nodes"), Mapping):
        raise DataError(f"{source}: is no architecture of SparseMask; expected method='SparseMask', count and nodes")
    try:
        count = int(architecture["count"])
        mask = np.zeros((count, count, 2), bool)
        for node, reads in architecture["nodes"].items():
            if min([int(node), *reads["taps"], *reads["ups"]]) < 0:
                raise ValueError("a number below 0")
            for column, key in enumerate(("taps", "ups")):
                mask[int(node), [int(j) for j in reads[key]], column] = True
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise DataError(f"{source}: nodes must be like {{'8': {{'taps': [0, 2], 'ups': [3]}}}}: {error!r}") from error
    return check_mask(mask, source)


def read_mask(path: Path | str) -> Mask:
    """The mask in a file: ``.json``, see :func:`architecture_of`, or the release's ``.npy``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It holds no mask, or see :func:`check_mask`.
    """
    file = Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: no such architecture; search for one: rsseg search CONFIG")
    if file.suffix != ".npy":
        return mask_of(read_json(file), str(file))
    try:
        return check_mask(np.load(file, allow_pickle=False), str(file))
    except (ValueError, EOFError, OSError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{file}: cannot be read as a NumPy array: {error}") from error


def write_mask(path: Path | str, mask: Mask, **extra: Any) -> None:
    """Write a mask as ``.json``, or as the release's ``.npy``, where nothing else is kept.

    Args:
        path: The file.
        mask: The mask.
        **extra: What else a JSON file shall say.
    """
    file = Path(path)
    if file.suffix != ".npy":
        write_json(file, architecture_of(mask, **extra))
        return
    with replacing(file) as opened:
        np.save(opened, np.ascontiguousarray(mask), allow_pickle=False)
