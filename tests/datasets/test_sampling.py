"""Proportional batches: exact counts, every sample once an epoch, the same stream after a skip."""

from __future__ import annotations

import itertools
import pickle
from bisect import bisect

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.runner import Runner
from mmengine.runner.loops import _InfiniteDataloaderIterator

from rsseg.datasets.sampling import ProportionalSampler, SeededIndex, allocate
from rsseg.errors import ConfigError


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


class Samrs(list):
    """As many samples as SOTA, SIOR and FAST; none of them is there."""

    set_sizes = (17480, 11725, 64147)


def bound(dataset, batch_size, rank=0, world=1, accumulate=1, **options):
    """A sampler as on one of several processes, with the batch size that a loader would give it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rsseg.datasets.sampling.get_dist_info", lambda: (rank, world))
        sampler = ProportionalSampler(dataset, seed=options.pop("seed", 0), **options)
    sampler.bind(batch_size, accumulate)
    return sampler


def take(sampler, count):
    return [(int(i), i.seed) for i in itertools.islice(sampler, count)]


def batches(sampler, count):
    """The first ``count`` batches, each as the numbers of its samples' sets, and all samples."""
    stream, size = take(sampler, count * sampler.batch_size), sampler.batch_size
    parts = [stream[i * size : (i + 1) * size] for i in range(count)]
    ends = list(itertools.accumulate(sampler.sizes))
    return [[sum(bisect(ends, i) == which for i, _ in part) for which in range(len(ends))] for part in parts], parts


def test_every_batch_has_its_shares_and_every_epoch_each_sample_once():
    sampler = bound(Sets(range(18)), 6)
    assert sampler.counts == [2, 4]
    stream = [i for i, _ in take(sampler, 18)]
    for batch in (stream[:6], stream[6:12], stream[12:]):
        assert sum(i < 6 for i in batch) == 2
    assert sorted(stream) == list(range(18))
    second = [i for i, _ in take(bound(Sets(range(18)), 6), 36)][18:]
    assert sorted(second) == list(range(18))
    assert second != stream


def test_the_batch_of_eight_processes_is_the_papers():
    ranks = [batches(bound(Samrs(), 12, rank, 8), 16)[0] for rank in range(8)]
    for step in zip(*ranks, strict=True):
        assert [sum(counts) for counts in zip(*step, strict=True)] == [18, 12, 66]
        for counts in step:
            assert sum(counts) == 12
            assert all(low <= n <= low + 1 for n, low in zip(counts, (2, 1, 8), strict=True))  # 18 / 8 = 2.25 ...
    for counts in ranks:  # what cannot be shared evenly goes round
        for first in (counts[:8], counts[8:]):
            assert [sum(column) for column in zip(*first, strict=True)] == [18, 12, 66]


@pytest.mark.parametrize(
    ("batch_size", "world", "accumulate"), [(12, 8, 1), (24, 4, 1), (32, 3, 1), (12, 1, 8), (12, 2, 4)]
)
def test_a_step_is_the_same_however_it_is_shared(batch_size, world, accumulate):
    whole = [sorted(part) for part in batches(bound(Samrs(), 96), 4)[1]]
    steps = [[] for _ in range(4)]
    for rank in range(world):
        for i, part in enumerate(batches(bound(Samrs(), batch_size, rank, world, accumulate), 4 * accumulate)[1]):
            steps[i // accumulate] += part
    assert [sorted(part) for part in steps] == whole


def test_a_set_may_be_smaller_than_the_processes_are_many():
    class Uneven(list):
        set_sizes = (1, 99)

    ranks = [batches(bound(Uneven(), 1, rank, 4), 8)[0] for rank in range(4)]
    assert all(sum(counts[0] for counts in step) == 1 for step in zip(*ranks, strict=True))
    assert [sum(counts[0] for counts in own) for own in ranks] == [2, 2, 2, 2]


def test_each_process_by_itself_as_in_the_release():
    for rank in range(2):
        assert batches(bound(Samrs(), 12, rank, 2, per_process=True), 3)[0] == [[2, 2, 8]] * 3
        assert batches(bound(Samrs(), 11, rank, 2, counts=[2, 1, 8]), 3)[0] == [[2, 1, 8]] * 3


@pytest.mark.parametrize(("world", "accumulate"), [(1, 1), (3, 1), (2, 4)])
def test_skipping_continues_the_same_stream(world, accumulate):
    for rank in range(world):
        whole = take(bound(Sets(range(18)), 6, rank, world, accumulate, seed=3), 60)
        for batch in (1, 4, 7):
            later = bound(Sets(range(18)), 6, rank, world, accumulate, seed=3)
            later.skip(6 * batch)
            assert take(later, 60 - 6 * batch) == whole[6 * batch :]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_processes_share_an_epoch_without_overlap(accumulate):
    parts = [take(bound(Sets(range(18)), 3, rank, 2, accumulate), 9) for rank in range(2)]
    assert sorted(i for part in parts for i, _ in part) == list(range(18))
    assert len({seed for part in parts for _, seed in part}) == 18


def test_counts_must_fit():
    with pytest.raises(ValueError, match=r"add up to 4"):
        bound(Sets(range(18)), 4, counts=[1, 2])


def load(size, batch_sampler="ProportionalBatches", **sampler):
    """What mmengine's runner makes of a loader's config, whoever starts it."""
    config = dict(
        batch_size=size,
        num_workers=0,
        dataset=Sets(range(18)),
        sampler={"type": "ProportionalSampler", **sampler},
    )
    return Runner.build_dataloader({**config, "batch_sampler": batch_sampler and dict(type=batch_sampler)}, seed=0)


@pytest.mark.usefixtures("mmseg_scope")
def test_every_runner_gives_the_batch_size_of_the_loader():
    for size in (3, 6, 12):
        loader = load(size)
        assert loader.batch_sampler.sampler.counts == allocate([6, 12], size)
        assert next(iter(loader.batch_sampler)) == [i for i, _ in take(bound(Sets(range(18)), size), size)]
    resumed, straight = _InfiniteDataloaderIterator(load(6)), iter(load(6).batch_sampler)
    resumed.skip_iter(4)  # as the fork's runner does
    assert next(resumed) == list(itertools.islice(straight, 5))[4]


@pytest.mark.parametrize("options", [{}, {"train_dataloader.batch_size": 24}])
@pytest.mark.usefixtures("mmseg_scope")
def test_the_headline_config_has_the_papers_batches_in_every_runner(repo, monkeypatch, options):
    config = Config.fromfile(repo / "configs" / "samrs" / "upernet_swin_sep.py")
    config.merge_from_dict(options)
    loader = {**config.train_dataloader, "dataset": Samrs([None]), "num_workers": 0, "persistent_workers": False}
    world, counts = 96 // loader["batch_size"], np.zeros(3, int)
    for rank in range(world):
        monkeypatch.setattr("rsseg.datasets.sampling.get_dist_info", lambda rank=rank: (rank, world))
        batch = next(iter(Runner.build_dataloader(loader, seed=0).batch_sampler))
        assert len(batch) == loader["batch_size"]
        counts += np.bincount(np.searchsorted(np.cumsum(Samrs.set_sizes), batch, side="right"), minlength=3)
    assert counts.tolist() == [18, 12, 66]


@pytest.mark.usefixtures("mmseg_scope")
def test_another_batch_size_is_never_silent():
    with pytest.raises(ValueError, match=r"sampler\.batch_size is 8, but train_dataloader\.batch_size is 12"):
        load(12, batch_size=8)
    assert load(12, batch_size=12).batch_sampler.batch_size == 12
    for options in ({}, {"batch_size": 12}):
        with pytest.raises(ValueError, match=r"batch_sampler=dict\(type='ProportionalBatches'\)"):
            next(iter(load(12, None, **options)))


@pytest.mark.usefixtures("mmseg_scope")
def test_another_sampler_keeps_its_batches():
    loader = load(4, type="DefaultSampler", shuffle=False)
    assert list(loader.batch_sampler)[-1] == [16, 17]


def test_seeded_index_survives_pickling():
    index = pickle.loads(pickle.dumps(SeededIndex(5, 77)))
    assert (index, index.seed) == (5, 77)


def test_one_dataset_serves_for_several_parts():
    """Two of the first half and one of the second, on each of two processes."""
    sampler = ProportionalSampler(range(11), seed=0, shares=[0.5, 0.5], counts=[2, 1])
    assert sampler.sizes == [6, 5]  # 5.5 is rounded to even
    sampler.bind(3)
    batches = np.array(list(itertools.islice(sampler, 30))).reshape(10, 3)
    assert (batches[:, :2] < 6).all() and (batches[:, 2] >= 6).all()
    with pytest.raises(ConfigError, match="must add up to 1"):
        ProportionalSampler(range(11), seed=0, shares=[0.5, 0.4])
    with pytest.raises(ConfigError, match="each part at least one"):
        ProportionalSampler(range(1), seed=0, shares=[0.5, 0.5])
