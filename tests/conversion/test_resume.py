"""Kills, restarts and several processes: the bytes stay the same."""

import errno
import json
import multiprocessing
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from rsseg.conversion import convert_labels
from rsseg.conversion.storage import stable_hash
from rsseg.io.files import replacing

Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]
FORK = multiprocessing.get_context("fork")


def _convert_until(config: dict[str, Any], moment: int, before: bool) -> None:
    """Convert, and die by SIGKILL just before or after the ``moment``-th file takes its place."""
    replace, seen, one_by_one = os.replace, 0, threading.Lock()

    def deadly(source: Any, target: Any) -> None:
        nonlocal seen
        with one_by_one:
            seen += 1
            if seen == moment and before:
                os.kill(os.getpid(), signal.SIGKILL)
            replace(source, target)
            if seen == moment:
                os.kill(os.getpid(), signal.SIGKILL)

    os.replace = deadly  # type: ignore[assignment]
    convert_labels(config)


def test_killed_at_any_file_and_run_again(make_config: Make, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config("whole"))
    expected = digests(tmp_path / "whole")
    files = len(expected)
    for moment in [1, 2, 3, files // 3, files // 2, files - 4, files - 2, files - 1, files]:
        name = f"killed{moment}"
        process = FORK.Process(target=_convert_until, args=(make_config(name), moment, moment % 2 == 0))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert digests(tmp_path / name) != expected or moment == files
        convert_labels(make_config(name))
        assert digests(tmp_path / name) == expected


def test_rerun_converts_nothing(make_config: Make, tmp_path: Path, digests: Digests) -> None:
    first = convert_labels(make_config())
    before = digests(tmp_path / "out")
    again = convert_labels(make_config())
    assert (first.converted, first.resumed, again.converted, again.resumed) == (4, 0, 0, 4)
    assert digests(tmp_path / "out") == before


@pytest.mark.parametrize("damage", ["cut", "gone", "part"])
def test_damaged_files_are_made_again(make_config: Make, tmp_path: Path, digests: Digests, damage: str) -> None:
    convert_labels(make_config())
    expected = digests(tmp_path / "out")
    victim = tmp_path / "out" / (".parts/P0001.json" if damage == "part" else "gray/P0001__0_0.png")
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(victim.read_bytes()[:10])
    assert convert_labels(make_config()).converted == 1
    assert digests(tmp_path / "out") == expected


def test_two_processes_one_after_the_other(make_config: Make, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config("whole"))
    reports = [convert_labels(make_config("shared"), shard=(rank, 2)) for rank in (0, 1)]
    assert [report.complete for report in reports] == [False, True]
    assert sum(report.converted for report in reports) == 4 and all(report.converted for report in reports)
    assert digests(tmp_path / "shared") == digests(tmp_path / "whole")


def test_two_processes_of_the_tool(
    make_config: Make, tmp_path: Path, digests: Digests, repo: Path, run_tool: Callable[..., Any]
) -> None:
    convert_labels(make_config("whole"))
    path = tmp_path / "config.py"
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in make_config("shared").items()))
    command = ("convert_labels", path, "--launcher", "pytorch")
    results: list[subprocess.CompletedProcess[str]] = []
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(run_tool, *command, env={"RANK": str(r), "WORLD_SIZE": "2"}) for r in (0, 1)]
        results = [job.result() for job in jobs]
    assert [result.returncode for result in results] == [0, 0], [result.stderr for result in results]
    assert digests(tmp_path / "shared") == digests(tmp_path / "whole")


def test_another_config_is_refused(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    with pytest.raises(ValueError, match=r"tiling was .*--overwrite"):
        convert_labels(make_config(tiling=None))
    with pytest.raises(ValueError, match="predictor was"):
        convert_labels(make_config(predictor="grabcut"))
    convert_labels(make_config(tiling=None), overwrite=True)
    assert not list((tmp_path / "out/images").iterdir())
    assert sorted(path.name for path in (tmp_path / "out/gray").iterdir()) == ["P0001.png", "P0002.png", "P0004.png"]


def test_overwrite_spares_foreign_files(make_config: Make, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/instances.json").write_text("mine")
    with pytest.raises(ValueError, match="not written by a conversion"):
        convert_labels(make_config(), overwrite=True)
    assert (tmp_path / "out/instances.json").read_text() == "mine"
    with pytest.raises(ValueError, match="a single process"):
        convert_labels(make_config("other"), overwrite=True, shard=(0, 2))


def test_a_new_split_needs_no_conversion(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    report = convert_labels(make_config(split={"val_fraction": 1.0, "seed": 0}))
    assert report.converted == 0
    assert ",train" not in (tmp_path / "out/tiles.csv").read_text()


def test_full_disk_names_the_file_and_keeps_what_was_done(
    make_config: Make, tmp_path: Path, digests: Digests, monkeypatch: pytest.MonkeyPatch
) -> None:
    convert_labels(make_config("whole"))
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if Path(target).name.startswith("P0004"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"cannot write .*P0004.*No space left"):
        convert_labels(make_config())
    assert not [name for name in digests(tmp_path / "out") if ".tmp-" in name]
    assert (tmp_path / "out/.parts/P0002.json").exists() and not (tmp_path / "out/.parts/P0004.json").exists()
    monkeypatch.undo()
    assert convert_labels(make_config()).converted == 1
    assert digests(tmp_path / "out") == digests(tmp_path / "whole")


def test_leftovers_are_removed_and_foreign_files_stay(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    tag = f"{stable_hash('P0001'):016x}"
    dead = FORK.Process(target=int)
    dead.start()
    dead.join()
    here = next(_temporary_name(tmp_path))
    left = tmp_path / "out/gray" / here.replace("-x-", f"-{tag}-").replace(f"-{os.getpid()}-", f"-{dead.pid}-")
    left.write_bytes(b"half")
    foreign = [left.with_name(name) for name in (".tmp-a-b-c-d", ".tmp-x-1234-5-6", here.replace("-x-", "-not-ours-"))]
    for path in foreign:
        path.write_bytes(b"mine")
    convert_labels(make_config(), shard=(0, 2))
    assert not left.exists() and all(path.read_bytes() == b"mine" for path in foreign)


@pytest.mark.parametrize("host", ["here", "elsewhere"])
def test_files_of_running_processes_are_spared(make_config: Make, tmp_path: Path, host: str) -> None:
    convert_labels(make_config())
    with replacing(tmp_path / "out/manifest.json", "merge"):
        running = next((tmp_path / "out").glob(".tmp-merge-*"))
        # a process that was killed, whose number another one has now; or one of another machine
        dead = running.with_name(f"{running.name[:-8]}00000000")
        if host == "elsewhere":
            dead = dead.with_name(".tmp-merge-0badc0de-1-0000abcd")
        dead.write_bytes(b"half")
        convert_labels(make_config())
        assert running.exists() and dead.exists() == (host == "elsewhere")
        if host == "elsewhere":
            os.utime(dead, (0, 0))
            convert_labels(make_config())
            assert not dead.exists()


def _temporary_name(folder: Path) -> Iterator[str]:
    """Name of a temporary file of this process with the tag ``x``."""
    with replacing(folder / "file", "x"):
        yield next(folder.glob(".tmp-*")).name


def test_no_times_in_the_output(make_config: Make, tmp_path: Path) -> None:
    convert_labels(make_config())
    text = json.dumps(json.loads((tmp_path / "out/manifest.json").read_text()))
    assert "second" not in text and "date" not in text
