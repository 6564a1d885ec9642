"""Chunks of results that jobs share: each is done once, resumed, redone where what it depends on has changed."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from rsseg.io.chunks import file_states, share_chunks
from rsseg.io.shards import Shard


class Jobs:
    """Seven numbers in chunks of two; what each job has worked on."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.state, self.worked = folder, "", list[list[int]]()

    def work(self, some: Sequence[int]) -> bytes:
        self.worked.append(list(some))
        if some[0] == 99:
            raise KeyboardInterrupt
        return " ".join(str(number * number) for number in some).encode()

    def run(self, rank: int, world: int, items: Sequence[int] = range(7)) -> list[str] | None:
        def depends(some: Sequence[int]) -> str:
            return f"{self.state if 0 in some else ''} {list(some)}"

        shard = Shard(rank, world, True)
        files = share_chunks(items, self.work, depends, self.folder / "chunks", shard, 2, "count")
        return None if files is None else [file.read_text() for file in files]


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def test_the_job_that_ends_last_has_all_in_order(jobs: Jobs) -> None:
    assert jobs.run(1, 2) is None and jobs.worked == [[2, 3], [6]]
    assert jobs.run(1, 2) is None and len(jobs.worked) == 2  # once more, by mistake
    assert jobs.run(0, 3) is None and jobs.worked[2:] == [[0, 1]]  # another number; its second chunk is there
    assert jobs.run(1, 3) == ["0 1", "4 9", "16 25", "36"] or jobs.run(2, 3) == ["0 1", "4 9", "16 25", "36"]
    assert sorted(jobs.worked) == [[0, 1], [2, 3], [4, 5], [6]]


def test_more_jobs_than_chunks_and_no_items(jobs: Jobs) -> None:
    assert jobs.run(9, 10) is None and not jobs.worked
    assert jobs.run(0, 1, []) == []


def test_a_killed_job_goes_on(jobs: Jobs) -> None:
    with pytest.raises(KeyboardInterrupt):
        jobs.run(0, 1, [1, 2, 99, 98, 5])
    assert len(list((jobs.folder / "chunks").iterdir())) == 1  # no half chunk
    jobs.worked.clear()
    with pytest.raises(KeyboardInterrupt):
        jobs.run(0, 1, [1, 2, 99, 98, 5])
    assert jobs.worked == [[99, 98]]


def test_what_has_changed_is_done_again_and_what_is_stale_goes(jobs: Jobs) -> None:
    assert jobs.run(0, 1)
    jobs.worked.clear()
    jobs.state = "changed"
    assert jobs.run(0, 1) and jobs.worked == [[0, 1]]
    assert len(list((jobs.folder / "chunks").iterdir())) == 4


def test_states_of_files(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = file_states([tmp_path / "a", tmp_path / "b"])
    assert before.splitlines()[1] == f"{tmp_path / 'b'} -"
    (tmp_path / "a").write_text("22")
    assert file_states([tmp_path / "a", tmp_path / "b"]) != before


def test_another_job_has_done_the_same_and_written_the_result(jobs: Jobs) -> None:
    work = jobs.work

    def late(some: Sequence[int]) -> bytes:
        shutil.rmtree(jobs.folder / "chunks")
        return work(some)

    jobs.work = late  # type: ignore[method-assign]
    assert jobs.run(0, 1) is None and not (jobs.folder / "chunks").exists()
