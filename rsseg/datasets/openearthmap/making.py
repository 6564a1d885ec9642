"""All lists of OpenEarthMap in one go."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rsseg.datasets.openearthmap.lists import (
    available,
    derived_lists,
    labelled_images,
    official_lists,
    write_lists,
    write_record,
)
from rsseg.datasets.openearthmap.regions import region_of
from rsseg.datasets.openearthmap.splits import Split, count_labels, split_regions
from rsseg.datasets.preparation import write_few
from rsseg.errors import ConfigError
from rsseg.io.sums import write_sums

__all__ = ["make_lists", "new_split"]

_log = logging.getLogger("rsseg")


def make_lists(
    root: Path | str,
    out: Path | str,
    percents: Iterable[float] = (10,),
    seeds: Iterable[int] = (0, 1, 2),
    certain: bool = False,
    only_available: bool = False,
) -> dict[str, list[str]]:
    """Write the official lists, those derived from them, and shares of the training list.

    Args:
        root: Folder of the unpacked release, with its ``train.txt``, ``val.txt`` and ``test.txt``.
        out: Folder of the lists.
        percents: Shares of the training list, each drawn evenly from all regions.
        seeds: One choice of each share.
        certain: As for :func:`derived_lists`.
        only_available: Leave out images that are not there.

    Returns:
        The three lists.

    Raises:
        FileNotFoundError: A list of the release is missing, or every image.
        UserError: A name or a share is not possible; or ``out`` holds other lists.
        OSError: A list cannot be written; the message names it.
    """
    percents = _possible(percents)
    lists = official_lists(root)
    if only_available:
        lists = available(lists, root)
    _write(lists, Path(out), percents, seeds, certain)
    return lists


def new_split(
    root: Path | str,
    out: Path | str,
    percents: Iterable[float] = (10,),
    seeds: Iterable[int] = (0, 1, 2),
    certain: bool = False,
    trials: int = 10000,
    seed: int = 0,
    workers: int = 1,
) -> dict[str, Split]:
    """Split all labelled images anew, and write what :func:`make_lists` writes, with ``split.csv`` beside it.

    Args:
        root: Folder of the unpacked release; its lists are not needed.
        out: As for :func:`make_lists`.
        percents: As for :func:`make_lists`.
        seeds: As for :func:`make_lists`.
        certain: As for :func:`make_lists`.
        trials: Random divisions of each region.
        seed: Seed of the divisions.
        workers: Threads that read labels.

    Returns:
        The division of each region.

    Raises:
        FileNotFoundError: There are no labelled images.
        UserError: As for :func:`make_lists`; there are no trials; or a label holds a value that is no class.
        OSError: As for :func:`make_lists`.
    """
    percents = _possible(percents)
    if trials < 1:
        raise ConfigError(f"{trials} trials; expected at least 1")
    labels = labelled_images(root)
    lists, splits = split_regions([path.stem for path in labels], count_labels(labels, workers=workers), trials, seed)
    _write(lists, Path(out), percents, seeds, certain)
    write_record(splits, trials, seed, Path(out) / "split.csv")
    lost = [name for name, split in splits.items() if split.lost]
    unlike = [name for name, split in splits.items() if split.mismatch]
    _log.info("%d regions; a class never trains in: %s", len(splits), ", ".join(lost) or "none")
    _log.info("training and test classes differ in: %s", ", ".join(unlike) or "none")
    return splits


def _possible(percents: Iterable[float]) -> list[float]:
    percents = list(percents)
    for percent in percents:
        if not 0 < percent <= 100:
            raise ConfigError(f"a share of {percent} % is not possible; expected more than 0 and at most 100")
    return percents


def _write(
    lists: Mapping[str, Sequence[str]], out: Path, percents: Iterable[float], seeds: Iterable[int], certain: bool
) -> None:
    write_lists({**lists, **derived_lists(lists, certain)}, out)
    train = lists["train"]
    write_few(train, [region_of(name) for name in train], out / "few", percents, seeds)
    write_sums(out / "lists.sha256", sorted(out.rglob("*.txt")))
