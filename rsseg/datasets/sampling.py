"""Batches drawn from several sets in proportion to their sizes, the same again after a resume."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler

from rsseg.errors import ConfigError

__all__ = ["ProportionalSampler", "SeededIndex", "allocate", "seed_all"]


def allocate(sizes: Sequence[int], total: int) -> list[int]:
    """Divide a batch among sets in proportion to their sizes, exactly.

    Largest remainder: every set gets the whole part of its share, what is left goes to the largest fractional parts
    (the earlier set first where they are equal).  A set that would get nothing gets one, taken from the largest.

    Args:
        sizes: Number of samples in each set, each at least 1.
        total: Batch size, at least the number of sets.

    Returns:
        One count per set, each at least 1; they add up to ``total``.

    Raises:
        ConfigError: The batch is smaller than the number of sets, or a set is empty.

    Source: SAMRS paper, section 4.1.2 (proportional sampling).  The release truncates each share, so its counts add
    up to less than the batch and can be zero.
    """
    if min(sizes, default=0) < 1:
        raise ConfigError(f"every dataset requires at least one sample, got sizes {list(sizes)}")
    if total < len(sizes):
        raise ConfigError(f"a batch of {total} cannot hold {len(sizes)} sets; use a batch of at least {len(sizes)}")
    whole = sum(sizes)
    counts = [total * size // whole for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(total * sizes[i] % whole), i))
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    for i, count in enumerate(counts):
        if count == 0:
            counts[counts.index(max(counts))] -= 1
            counts[i] = 1
    return counts


class SeededIndex(int):
    """An index into a dataset that carries the seed for its random augmentations."""

    seed: int

    def __new__(cls, index: int, seed: int) -> SeededIndex:
        """Index ``index`` whose augmentations are drawn from ``seed`` (0 .. 2**32 - 1)."""
        out = super().__new__(cls, index)
        out.seed = seed
        return out

    def __reduce__(self) -> tuple[type[SeededIndex], tuple[int, int]]:
        return SeededIndex, (int(self), self.seed)


def seed_all(seed: int) -> None:
    """Seed Python, NumPy and torch in this process with ``seed`` (0 .. 2**32 - 1)."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


@DATA_SAMPLERS.register_module()
class ProportionalSampler(Sampler):
    """Endless batches whose parts come from the sets of a :class:`MultiDataset` in proportion to their sizes.

    Every set is shuffled anew each time it has been read through.  What is drawn at a step, and the seed of each
    sample's augmentations, follow from (seed, set, position) alone; so a resumed run sees the samples, and the
    augmentations, that an uninterrupted one would, whatever the number of workers.  A plain dataset is one set.

    Args:
        dataset: The dataset; its ``set_sizes`` (or its length) gives the sets, in the order of their indices.
        batch_size: Samples per batch and process; must equal the loader's.
        seed: Seed; the same on all processes.  Drawn and shared when None.
        counts: Samples of each set per batch instead of the proportional ones.

    Raises:
        ConfigError: ``counts`` do not add up to ``batch_size``, or see :func:`allocate`.
    """

    def __init__(
        self, dataset: Dataset, batch_size: int, seed: int | None = None, counts: Sequence[int] | None = None
    ) -> None:
        self.rank, self.world = get_dist_info()
        self.sizes = [int(n) for n in getattr(dataset, "set_sizes", None) or [len(dataset)]]  # type: ignore[arg-type]
        self.counts = allocate(self.sizes, batch_size) if counts is None else [int(n) for n in counts]
        if sum(self.counts) != batch_size or len(self.counts) != len(self.sizes):
            raise ConfigError(
                f"counts {self.counts} must be one per set ({len(self.sizes)}) and add up to {batch_size}"
            )
        self.seed = sync_random_seed() if seed is None else seed
        self.batch_size = batch_size
        self._start = 0
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def skip(self, num_samples: int) -> None:
        """Begin ``num_samples`` later in this process's stream; a whole number of batches."""
        self._start = num_samples // self.batch_size

    def __iter__(self) -> Iterator[int]:
        offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        step = self._start
        while True:
            for which, count in enumerate(self.counts):
                first = (step * self.world + self.rank) * count
                for position in range(first, first + count):
                    epoch, place = divmod(position, self.sizes[which])
                    index = int(offsets[which] + self._order(which, epoch)[place])
                    seed = np.random.SeedSequence([self.seed, 1, which, position]).generate_state(1)[0]
                    yield SeededIndex(index, int(seed))
            step += 1

    def _order(self, which: int, epoch: int) -> np.ndarray:
        known = self._orders.get(which)
        if known is None or known[0] != epoch:
            rng = np.random.default_rng([self.seed, 0, which, epoch])
            known = epoch, rng.permutation(self.sizes[which])
            self._orders[which] = known
        return known[1]

    def __len__(self) -> int:
        return sum(self.sizes)

    def set_epoch(self, epoch: int) -> None:
        """Do nothing: the stream has no epochs."""
