"""Lists of LandDiscover50K: the pairs of one source, and shares of a given size by seed.

``lists/<source>.txt`` and ``lists/10k_seed0.txt`` name one pair a line, for ``train_dataloader.dataset.subset``;
``lists/lists.sha256`` holds their checksums for ``sha256sum --check``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rsseg.datasets.landdiscover.sources import SOURCES
from rsseg.datasets.pairs import find_pairs
from rsseg.io.names import encode_names, write_names
from rsseg.io.sums import write_sums
from rsseg.structures.draws import seeded_ranking

__all__ = ["list_pairs", "write_subsets"]

_log = logging.getLogger("rsseg")


def list_pairs(root: Path | str) -> dict[str, list[str]]:
    """Names of the pairs of a built or published set, by source; those of the published one are all under ``""``.

    Raises:
        FileNotFoundError: There are no pairs.
    """
    names = sorted(find_pairs(root, "**/TR_Image/*", "**/GT_ID/*.png").pairs)
    if not names:
        raise FileNotFoundError(f"{root}: no TR_Image/ and GT_ID/ with pairs in it")
    out: dict[str, list[str]] = {}
    for name in names:
        source, mark, _ = name.partition("__")
        out.setdefault(source if mark and source in SOURCES else "", []).append(name)
    return out


def write_subsets(
    pairs: Mapping[str, Sequence[str]], folder: Path | str, sizes: Iterable[int], seeds: Iterable[int]
) -> list[Path]:
    """Write a list for each source, and one for each size and seed; a smaller one is part of a larger one.

    Args:
        pairs: Names of the pairs, by source.
        folder: Where to; made where it is missing.
        sizes: Numbers of pairs; a list that would need more than there are is not written.
        seeds: Another seed draws others.

    Returns:
        The lists.

    Raises:
        OSError: A list cannot be written; the message names it.

    Source: GSNet paper, fig. 5 (10,000 to 40,000 pairs at random) and table 4 (single sources); the draw is ours.
    """
    folder, out = Path(folder), []
    folder.mkdir(parents=True, exist_ok=True)
    names = sorted(name for own in pairs.values() for name in own)
    todo = {source: sorted(own) for source, own in pairs.items() if source and own}
    sizes, seeds = list(sizes), list(seeds)
    for size in sizes:
        if size > len(names):
            _log.info("no list of %d pairs: there are %d", size, len(names))
            continue
        for seed in seeds:
            ranked = seeded_ranking(names, seed)
            label = f"{size // 1000}k" if size % 1000 == 0 else str(size)
            todo[f"{label}_seed{seed}"] = sorted(ranked[:size])
    for label, own in todo.items():
        path = folder / f"{label}.txt"
        if path.is_file() and path.read_bytes() != encode_names(own):
            _log.warning("%s: names other pairs than before, since the set has others", path)
        write_names(path, own)
        out.append(path)
    write_sums(folder / "lists.sha256", sorted(folder.glob("*.txt")))
    _log.info("%d lists in %s", len(out), folder)
    return out
