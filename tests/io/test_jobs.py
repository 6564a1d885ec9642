"""Records of jobs: what changed is named, what may be kept is kept, and names never collide."""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

import rsseg
from rsseg.errors import DataError, JobError
from rsseg.io.files import locked
from rsseg.io.jobs import Input, Job, Outputs
from rsseg.io.output_names import output_names
from rsseg.io.records import differences

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def inputs(tmp_path: Path) -> Any:
    """``inputs(names)``: an image and a label file for each."""

    def make(*names: str) -> dict[str, dict[str, Input]]:
        for name in names:
            for path in (tmp_path / f"{name}.png", tmp_path / f"{name}.txt"):
                if not path.exists():
                    path.touch()
        return {
            name: {
                "labels": Input(tmp_path / f"{name}.txt", f"{name}.txt", always=True),
                "image": Input(tmp_path / f"{name}.png", f"{name}.png"),
            }
            for name in names
        }

    return make


def _job(tmp_path: Path) -> tuple[Job, Outputs]:
    out = tmp_path / "out"
    files = {name: [out / f"{name}.out"] for name in "abcd"}
    there = Outputs(lambda: {n: [p for p in own if p.exists()] for n, own in files.items()})
    return Job(out, "a test"), there


def _make(job: Job) -> None:
    for name in job.items:
        (job.root / f"{name}.out").write_text(name)


def test_a_second_claim_changes_nothing(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    job.claim({"size": 4}, inputs("a", "b"), there)
    before = job.path.read_bytes()
    _make(job)
    job.claim({"size": 4}, inputs("a", "b"), there)
    job.claim({"size": 4}, inputs("a", "b"), there, update=True)
    assert job.path.read_bytes() == before and job.redone == []
    record = json.loads(before)
    assert record["version"] == rsseg.__version__ and list(record["items"]) == ["a", "b"]


def test_other_settings_are_an_error_also_for_an_update(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    job.claim({"tiling": {"size": 4, "pad": True}}, inputs("a"), there)
    now = {"tiling": {"size": 8, "pad": True}}
    with pytest.raises(JobError, match=r"holds a test with another config: tiling was {'size': 4}, now {'size': 8}\. "
                       r"Choose another --out, or delete the old one with --overwrite\."):  # fmt: skip
        job.claim(now, inputs("a"), there)
    with pytest.raises(JobError, match="--update cannot help, since everything depends on it"):
        job.claim(now, inputs("a"), there, update=True)


def test_changed_labels_are_named_and_only_they_are_made_again(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    job.claim({}, inputs(*"abc"), there)
    _make(job)
    (tmp_path / "b.txt").write_text("mended")
    with pytest.raises(JobError, match=r"1 label file changed \(b\.txt\); 1 image or its label file is gone \(c\)"):
        job.claim({}, inputs(*"ab"), there)
    assert sorted(p.name for p in job.root.glob("*.out")) == ["a.out", "b.out", "c.out"]
    job.claim({}, inputs(*"abd"), there, update=True)
    assert [p.name for p in job.root.glob("*.out")] == ["a.out"] and job.redone == ["b", "c"]
    fresh = Job(tmp_path / "fresh", "a test")
    fresh.claim({}, inputs(*"abd"))
    assert fresh.path.read_bytes() == job.path.read_bytes()


def test_labels_of_equal_size_and_time_are_compared_by_content(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    (tmp_path / "a.txt").write_text("ship")
    os.utime(tmp_path / "a.txt", (5, 5))
    job.claim({}, inputs("a"), there)
    _make(job)
    (tmp_path / "a.txt").write_text("shop")
    os.utime(tmp_path / "a.txt", (5, 5))
    with pytest.raises(JobError, match=r"label file changed \(a\.txt\)"):
        job.claim({}, inputs("a"), there)


def test_a_copied_image_is_no_change_and_a_painted_one_is(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    job.claim({}, inputs("a"), there)
    _make(job)
    os.utime(tmp_path / "a.png", (5, 5))
    job.claim({}, inputs("a"), there)
    assert json.loads(job.path.read_bytes())["items"]["a"]["image"][2] == 5_000_000_000
    (tmp_path / "a.png").write_bytes(b"x")
    with pytest.raises(JobError, match=r"1 image changed \(a\.png\)"):
        job.claim({}, inputs("a"), there)


def test_what_was_not_finished_or_failed_is_made_without_a_word(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    job.claim({}, inputs(*"ab"), there)
    _make(job)
    job.mark(["a"])
    (tmp_path / "a.txt").write_text("mended")
    job.claim({}, inputs(*"ab"), there)
    assert [p.name for p in job.root.glob("*.out")] == ["b.out"] and "failed" not in job.read()
    (tmp_path / "b.txt").write_text("mended")
    job.claim({}, inputs(*"ab"), Outputs(there.files, lambda name: False))
    assert not list(job.root.glob("*.out"))


def test_another_version_is_an_error_that_update_accepts(
    tmp_path: Path, inputs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, there = _job(tmp_path)
    job.claim({}, inputs("a"), there)
    _make(job)
    monkeypatch.setattr(rsseg, "__version__", "99.0")
    with pytest.raises(JobError, match=r"rsseg was .*, now 99\.0, which may give other results"):
        job.claim({}, inputs("a"), there)
    job.claim({}, inputs("a"), there, update=True)
    assert (job.root / "a.out").exists() and job.read()["version"] == "99.0"


def test_files_without_a_record_are_not_trusted(tmp_path: Path, inputs: Any) -> None:
    job, there = _job(tmp_path)
    job.root.mkdir()
    (job.root / "a.out").write_text("whose?")
    with pytest.raises(JobError, match=r"holds 1 files that this run would write, such as a\.out, but no record"):
        job.claim({}, inputs("a"), there)
    job.claim({}, inputs("a"), there, update=True)
    assert not (job.root / "a.out").exists()


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"depends": 1}', '{"items": []}', '{"items": {"a": 1}}', '{"items": {"a": {"b": 1}}}']
)
def test_a_damaged_record_is_said(tmp_path: Path, text: str) -> None:
    job, _ = _job(tmp_path)
    job.claim({})
    job.path.write_text(text)
    with pytest.raises(JobError, match=r"\.job\.json.*; remove .*out and start again"):
        job.claim({})


def test_differences_show_what_differs_only() -> None:
    old = {"table": ["ship", "plane", "x" * 60], "a": {"x": 1, "y": {"z": 2, "w": 3}}, "short": [1, 2]}
    new = {"table": ["plane", "ship", "x" * 60], "a": {"x": 1, "y": {"z": 4, "w": 3}}, "short": [1, 3], "more": 5}
    assert differences(old, new) == [
        "a.y was {'z': 2}, now {'z': 4}", "more was None, now 5", "short was [1, 2], now [1, 3]",
        "table[0] was 'ship', now 'plane'", "table[1] was 'plane', now 'ship'",
    ]  # fmt: skip


def _hold(path: Path) -> None:
    with locked(path):
        path.with_name("held").touch()
        time.sleep(3600)


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "lock"):
        process = FORK.Process(target=_hold, args=(path,))
        process.start()
        while not (tmp_path / "held").exists():
            time.sleep(0.01)
        process.kill()
        process.join()
        with locked(path):
            (tmp_path / "held").unlink()


def test_folders_tell_equal_names_apart(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a/0001.png", "b/0001.png", "b/x/0001.tif", "b/2.png", "3.png")]
    assert list(output_names(paths, tmp_path).values()) == ["a__0001", "b__0001", "b__x__0001", "2", "3"]
    assert list(output_names(paths).values()) == ["a__0001", "b__0001", "b__x__0001", "2", "3"]
    assert output_names([tmp_path / "A/n.png", tmp_path / "b/N.png"], tmp_path)[tmp_path / "A/n.png"] == "A__n"


@pytest.mark.parametrize("names", [("a.png", "a.tif"), ("a.png", "A.png"), ("a__1.png", "a/1.png", "b/1.png")])
def test_names_that_collide_are_an_error_that_names_both(tmp_path: Path, names: tuple[str, ...]) -> None:
    with pytest.raises(DataError, match="have one stem, so what is made from them would have one name") as caught:
        output_names([tmp_path / name for name in names], tmp_path)
    assert str(tmp_path / names[0]) in str(caught.value) and str(tmp_path / names[1]) in str(caught.value)


def test_an_image_that_was_not_begun_may_change(tmp_path: Path, inputs: Any) -> None:
    """Killed before it came to the second image, a run takes that as it is now."""
    job, there = _job(tmp_path)
    outputs = Outputs.existing(there.files)
    job.claim({}, inputs(*"ab"), outputs)
    (job.root / "a.out").write_text("a")
    (tmp_path / "b.txt").write_text("mended")
    job.claim({}, inputs(*"ab"), Outputs.existing(there.files))
    (tmp_path / "a.txt").write_text("mended")
    with pytest.raises(JobError, match=r"1 label file changed \(a\.txt\)"):
        job.claim({}, inputs(*"ab"), Outputs.existing(there.files))


def test_failures_of_other_calls_stay_noted(tmp_path: Path, inputs: Any) -> None:
    one, two = Job(tmp_path / "out", "a test"), Job(tmp_path / "out", "a test")
    one.claim({}, inputs(*"ab"), own=lambda name: name in "ab")
    two.claim({}, inputs("c"), own=lambda name: name == "c")
    one.mark(["a"])
    two.mark(["c"])
    assert list(one.read()["items"]) == ["a", "b", "c"] and one.read()["failed"] == ["a", "c"]
    one.mark([])
    assert one.read()["failed"] == ["c"]
