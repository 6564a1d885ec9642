"""Checkpoints are written whole, a full disk is one line, and a damaged one offers the one before it."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.fileio import dump, get_file_backend, put_text
from mmengine.runner import CheckpointLoader, save_checkpoint

from rsseg.engine.saving import WholeFiles, naming_full_disk
from rsseg.errors import DataError
from rsseg.io.resuming import latest_checkpoint, offer_another

FULL = OSError(errno.ENOSPC, "No space left on device")


def save(path: Path, value: float = 0) -> Path:
    save_checkpoint({"state_dict": {"a": torch.full((64,), value)}, "meta": {}}, str(path))
    return path


def test_mmengine_writes_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(get_file_backend(str(tmp_path)), WholeFiles)
    path = save(tmp_path / "new" / "iter_1.pth", 1)
    put_text("text", str(tmp_path / "new" / "text.txt"))
    dump({"a": 1}, str(tmp_path / "new" / "a.json"))
    assert sorted(file.name for file in path.parent.iterdir()) == ["a.json", "iter_1.pth", "text.txt"]
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise FULL

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=rf"cannot write {path}: No space left on device"):
        save(path, 2)
    assert path.read_bytes() == before and not list(path.parent.glob(".tmp-*"))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (FULL, "cannot write into work: No space left on device"),
        (OSError(errno.EFBIG, "File too large"), "cannot write into work: File too large"),
        (
            RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"),
            "cannot write into work, per",
        ),
        (
            RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"),
            "cannot write into work, per",
        ),
        (OSError(errno.ENOSPC, "cannot write a.pth: No space left on device"), "cannot write a.pth: No space"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), "No such file or directory: 'x'"),
    ],
)
def test_a_full_disk_is_named(error: Exception, message: str) -> None:
    with pytest.raises(OSError) as caught, naming_full_disk("work"):
        raise error
    assert message in str(caught.value)


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match="shape"), naming_full_disk("work"):
        raise RuntimeError("shape mismatch")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_log_that_cannot_be_written_ends_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("test_saving")
    logger.propagate = False
    handler = logging.FileHandler("/dev/full")
    logger.addHandler(handler)
    try:
        with pytest.raises(OSError, match="cannot write into work: No space left on device"), naming_full_disk("work"):
            logger.warning("x")
    finally:
        logger.removeHandler(handler)
    assert capsys.readouterr().err == ""


def test_the_newest_whole_checkpoint_is_offered(tmp_path: Path) -> None:
    for number in (4, 10, 8):
        save(tmp_path / f"iter_{number}.pth")
    save(tmp_path / "best_mIoU_iter_9.pth")
    newest = tmp_path / "iter_10.pth"
    for content in (b"", newest.read_bytes()[:700], b"\0" * 500):
        newest.write_bytes(content)
        with pytest.raises(DataError, match=rf"iter_10\.pth: .*continue from it: --resume {tmp_path}/iter_8\.pth$"):
            CheckpointLoader.load_checkpoint(str(newest))
    (tmp_path / "iter_8.pth").write_bytes(b"")
    assert offer_another(newest).endswith(f"--resume {tmp_path / 'iter_4.pth'}")
    (tmp_path / "iter_4.pth").write_bytes(b"")
    assert "There is no other whole checkpoint" in offer_another(newest)
    assert offer_another(tmp_path / "resnet50.pth") == "" or "no other" in offer_another(tmp_path / "resnet50.pth")


def test_where_a_training_goes_on(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path) is None and latest_checkpoint(tmp_path / "missing") is None
    old, new = save(tmp_path / "iter_2.pth"), save(tmp_path / "iter_10.pth")
    assert latest_checkpoint(tmp_path) == str(new)  # killed before last_checkpoint was written
    record = tmp_path / "last_checkpoint"
    record.write_text("")
    assert latest_checkpoint(tmp_path) == str(new)
    record.write_text(str(old))
    assert latest_checkpoint(tmp_path) == str(old)
    record.write_text("/elsewhere/work_dirs/a/iter_10.pth")  # the folder was moved
    assert latest_checkpoint(tmp_path) == str(new)
    new.unlink()
    with pytest.raises(FileNotFoundError, match=rf"last_checkpoint: names /elsewhere.*--resume {old}$"):
        latest_checkpoint(tmp_path)
    old.unlink()
    with pytest.raises(FileNotFoundError, match="without --resume the training starts anew"):
        latest_checkpoint(tmp_path)
