"""Which part of the work a process does."""

from __future__ import annotations

import argparse

import pytest

from rsseg.errors import ConfigError
from rsseg.io.shards import Shard, add_shard, local_rank, shard_of

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_shards_count_from_zero() -> None:
    assert shard_of() == Shard(0, 1) and shard_of(shard="0/1")[:2] == (0, 1) and shard_of(shard="7/8")[:2] == (7, 8)


@pytest.mark.parametrize("text", ["8/8", "1/0", "2", "a/b", "-1/2", "1/2/3", "/3", "3/", "", "1.0/2", "²/3"])
def test_no_such_shard_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected I/N.*0/8 is the first and 7/8 the last"):
        shard_of(shard=text)


def test_launchers_tell_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"RANK": "1", "WORLD_SIZE": "4", "SLURM_PROCID": "2", "SLURM_NTASKS": "3", "SLURM_LOCALID": "2"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert [shard_of(name)[:2] for name in ("none", "pytorch", "slurm")] == [(0, 1), (1, 4), (2, 3)]
    assert local_rank() == 2
    monkeypatch.delenv("RANK")
    with pytest.raises(ConfigError, match="RANK"):
        shard_of("pytorch")
    with pytest.raises(ConfigError, match="unknown launcher 'mpi'; expected one of: none, pytorch, slurm"):
        shard_of("mpi")


def test_processes_of_a_launcher_divide_a_shard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each job of an array may start one process per GPU: together they are as many shards."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = []
    for job in range(3):
        for rank in range(2):
            monkeypatch.setenv("RANK", str(rank))
            found.append(shard_of("pytorch", f"{job}/3"))
    assert [shard[:2] for shard in found] == [(i, 6) for i in range(6)]
    assert [shard.reports for shard in found] == [True, False] * 3


def test_who_shows_progress() -> None:
    """The first of processes with one log, and every job that has its own."""
    assert Shard(0, 2).reports and not Shard(1, 2).reports and shard_of(shard="1/2").reports


def test_options() -> None:
    parser = argparse.ArgumentParser()
    add_shard(parser, ["none", "slurm"], "srun", "the images")
    assert parser.parse_args([]) == argparse.Namespace(launcher="none", shard=None)
    assert parser.parse_args(["--shard", "1/2"]).shard == "1/2"
