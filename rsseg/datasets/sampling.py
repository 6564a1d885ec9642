"""Batches drawn from several sets in proportion to their sizes, the same again after a resume.

The batch that is divided is the one of an optimizer step: that of all processes, and of all iterations whose gradients
are accumulated.  Its samples are dealt out to the processes like cards, so that each gets a batch of the loader's size;
who begins moves on with every step, so that samples that cannot be shared evenly go round.
"""

from __future__ import annotations

import itertools
import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dist import get_dist_info, sync_random_seed
from mmseg.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Dataset, Sampler

from rsseg.errors import ConfigError

__all__ = ["ProportionalSampler", "SeededIndex", "allocate", "proportional_batches", "seed_all"]


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

    Source: SAMRS paper, section 4.1.2 (proportional sampling): 18, 12 and 66 of 96.  The release divides the batch of
    each process and truncates each share, so its counts add up to less than the batch and can be zero.
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


def _split(total: int, shares: Sequence[float]) -> list[int]:
    """Sizes of the parts of ``total`` samples.

    Raises:
        ConfigError: The shares do not add up to 1, or a part is empty.
    """
    ends = [round(total * share) for share in itertools.accumulate(shares)]
    sizes = [end - start for start, end in itertools.pairwise([0, *ends])]
    if abs(sum(shares) - 1) > 1e-6 or min(sizes, default=0) < 1:
        raise ConfigError(f"shares {list(shares)} of {total} samples must add up to 1 and give each part at least one")
    return sizes


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

    The batch size is the loader's: in a config the loader also has ``batch_sampler=dict(type="ProportionalBatches")``,
    by which every runner hands it over; a loader without is refused.  Every optimizer step has exactly
    :attr:`counts` samples of the sets, every process exactly its batch; a set's samples on a process differ by at most
    one from step to step.

    Every set is shuffled anew each time it has been read through.  What is drawn at a step, and the seed of each
    sample's augmentations, follow from (seed, set, position) alone; so a resumed run sees the samples, and the
    augmentations, that an uninterrupted one would, whatever the number of workers.  The samples of a step do not depend
    on how many processes share its batch.  A plain dataset is one set.

    Args:
        dataset: The dataset; its ``set_sizes`` (or its length) gives the sets, in the order of their indices.
        batch_size: Not needed; where it is given, it must equal the loader's.
        seed: Seed; the same on all processes.  Drawn and shared when None.
        counts: Samples of each set per batch and process instead of the proportional ones.
        per_process: Divide each process's batch by itself, as the release does: every process then has samples of every
            set at every iteration, and shares are rounded for each.
        shares: Take one dataset for several sets, one after another, with these shares of its samples; for searches,
            which train weights and architecture on different images.

    Attributes:
        counts: Samples of each set per optimizer step, over all processes and accumulated iterations.

    Raises:
        ConfigError: ``batch_size`` is not the loader's, ``counts`` do not add up to it, there is no
            ``ProportionalBatches``, or see :func:`allocate`.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int | None = None,
        seed: int | None = None,
        counts: Sequence[int] | None = None,
        per_process: bool = False,
        shares: Sequence[float] | None = None,
    ) -> None:
        self.rank, self.world = get_dist_info()
        self.sizes = [int(n) for n in getattr(dataset, "set_sizes", None) or [len(dataset)]]  # type: ignore[arg-type]
        if shares is not None:
            self.sizes = _split(sum(self.sizes), shares)
        self.seed = sync_random_seed() if seed is None else seed
        self.batch_size, self.accumulate, self.counts = batch_size, 1, list[int]()
        self._fixed = None if counts is None else [int(n) for n in counts]
        self._per_process, self._skipped = per_process, 0
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def bind(self, batch_size: int, accumulate: int = 1) -> None:
        """Divide batches of this many samples per process from now on.

        Args:
            batch_size: The loader's.
            accumulate: Iterations of an optimizer step.

        Raises:
            ConfigError: See the class.
        """
        if self.batch_size not in (None, batch_size):
            raise ConfigError(
                f"train_dataloader.sampler.batch_size is {self.batch_size}, but train_dataloader.batch_size is "
                f"{batch_size}; remove it from the sampler, which takes the loader's"
            )
        if self._fixed is not None and (sum(self._fixed) != batch_size or len(self._fixed) != len(self.sizes)):
            raise ConfigError(
                f"counts {self._fixed} must be one per set ({len(self.sizes)}) and add up to {batch_size}"
            )
        ways = self.world * accumulate
        if self._fixed is not None or self._per_process:
            self.counts = [ways * n for n in self._fixed or allocate(self.sizes, batch_size)]
        else:
            self.counts = allocate(self.sizes, batch_size * ways)
        self.batch_size, self.accumulate = batch_size, accumulate

    def skip(self, num_samples: int) -> None:
        """Begin ``num_samples`` later in this process's stream; a whole number of batches."""
        self._skipped = num_samples

    def __iter__(self) -> Iterator[int]:
        if not self.counts or self.batch_size is None:
            raise ConfigError(
                "ProportionalSampler divides batches by the loader's batch size, which this loader does not tell it; "
                "add to train_dataloader: batch_sampler=dict(type='ProportionalBatches')"
            )
        offsets = np.concatenate([[0], np.cumsum(self.sizes)])
        counts, ends, accumulate = self.counts, list(itertools.accumulate(self.counts)), self.accumulate
        ways = self.world * accumulate
        for iteration in itertools.count(self._skipped // self.batch_size):
            step, part = divmod(iteration, accumulate)
            for slot in range((part * self.world + self.rank - step) % ways, ends[-1], ways):
                which = bisect_right(ends, slot)
                position = (step + 1) * counts[which] + slot - ends[which]
                epoch, place = divmod(position, self.sizes[which])
                index = int(offsets[which] + self._order(which, epoch)[place])
                seed = np.random.SeedSequence([self.seed, 1, which, position]).generate_state(1)[0]
                yield SeededIndex(index, int(seed))

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


@DATA_SAMPLERS.register_module(name="ProportionalBatches")
def proportional_batches(sampler: Sampler, batch_size: int) -> BatchSampler:
    """Batches of a loader, whose size a :class:`ProportionalSampler` is told; those of any other sampler as they are.

    mmengine gives both arguments, whoever runs it.  The result is torch's own class: by it mmengine finds the sampler,
    and skips in it what a resumed run has seen.

    Args:
        sampler: The loader's.
        batch_size: The loader's, samples per process.

    Raises:
        ConfigError: See :class:`ProportionalSampler`.
    """
    if isinstance(sampler, ProportionalSampler):
        sampler.bind(batch_size)
    return BatchSampler(sampler, batch_size, drop_last=False)
