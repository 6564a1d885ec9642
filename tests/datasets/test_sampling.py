"""Proportional batches: exact counts, every sample once an epoch, the same stream after a skip."""

from __future__ import annotations

import itertools
import pickle

import pytest

from rsseg.datasets.sampling import ProportionalSampler, SeededIndex, allocate


@pytest.mark.parametrize(
    ("sizes", "total", "counts"),
    [
        ([17480, 11725, 64147], 12, [2, 2, 8]),  # shares 2.25, 1.51, 8.25; the release drops one (2 + 1 + 8)
        ([17480, 11725, 64147], 96, [18, 12, 66]),  # 17.98, 12.06, 65.97
        ([17480, 11725, 64147], 4, [1, 1, 2]),  # 0.75, 0.50, 2.75: the release gives a set 0
        ([1000, 1, 1], 3, [1, 1, 1]),
        ([1000, 1, 1], 5, [3, 1, 1]),
        ([5, 5], 3, [2, 1]),
        ([7], 4, [4]),
    ],
)
def test_allocate_by_hand(sizes, total, counts):
    assert allocate(sizes, total) == counts


@pytest.mark.parametrize("sizes", [[3, 9, 27, 81], [1, 1, 500], [10, 20, 30]])
@pytest.mark.parametrize("total", range(4, 40))
def test_allocate_adds_up_and_forgets_no_set(sizes, total):
    counts = allocate(sizes, total)
    assert sum(counts) == total
    assert min(counts) >= 1


def test_allocate_refuses_the_impossible():
    with pytest.raises(ValueError, match="batch of 2 cannot hold 3 sets"):
        allocate([5, 5, 5], 2)
    with pytest.raises(ValueError, match="at least one sample"):
        allocate([5, 0], 4)


class Sets(list):
    """A dataset of two sets, 6 and 12 samples long."""

    set_sizes = (6, 12)


def take(sampler, count):
    return [(int(i), i.seed) for i in itertools.islice(sampler, count)]


def test_every_batch_has_its_shares_and_every_epoch_each_sample_once():
    sampler = ProportionalSampler(Sets(range(18)), batch_size=6, seed=0)
    assert sampler.counts == [2, 4]
    stream = [i for i, _ in take(sampler, 18)]
    for batch in (stream[:6], stream[6:12], stream[12:]):
        assert sum(i < 6 for i in batch) == 2
    assert sorted(stream) == list(range(18))
    second = [i for i, _ in take(ProportionalSampler(Sets(range(18)), 6, seed=0), 36)][18:]
    assert sorted(second) == list(range(18))
    assert second != stream


def test_skipping_continues_the_same_stream():
    whole = take(ProportionalSampler(Sets(range(18)), 6, seed=3), 60)
    later = ProportionalSampler(Sets(range(18)), 6, seed=3)
    later.skip(24)
    assert take(later, 36) == whole[24:]


def test_processes_share_an_epoch_without_overlap(monkeypatch):
    parts = []
    for rank in range(2):
        monkeypatch.setattr("rsseg.datasets.sampling.get_dist_info", lambda rank=rank: (rank, 2))
        parts.append(take(ProportionalSampler(Sets(range(18)), 3, seed=0, counts=[1, 2]), 9))
    assert sorted(i for part in parts for i, _ in part) == list(range(18))
    assert len({seed for part in parts for _, seed in part}) == 18


def test_counts_must_fit():
    with pytest.raises(ValueError, match=r"add up to 4"):
        ProportionalSampler(Sets(range(18)), 4, seed=0, counts=[1, 2])


def test_seeded_index_survives_pickling():
    index = pickle.loads(pickle.dumps(SeededIndex(5, 77)))
    assert (index, index.seed) == (5, 77)
