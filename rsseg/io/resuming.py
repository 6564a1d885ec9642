"""Where a training goes on: the newest checkpoint of its folder, or what to do where that is damaged or missing."""

from __future__ import annotations

import logging
import re
from pathlib import Path

from rsseg.errors import DataError

__all__ = ["latest_checkpoint", "offer_another"]

_log = logging.getLogger("rsseg")
RECORD = "last_checkpoint"
_NAME = re.compile(r"(iter|epoch)_(\d+)\.pth")


def latest_checkpoint(work_dir: Path | str) -> str | None:
    """The checkpoint that a training in this folder goes on from; None where it has not written any.

    It is the one that the file ``last_checkpoint`` names, wherever the folder has been moved to; without that file, or
    where it is empty since the training was killed while it was written, the newest one.

    Raises:
        FileNotFoundError: ``last_checkpoint`` names a file that is missing; the message offers another one.
    """
    folder = Path(work_dir)
    record = folder / RECORD
    named = record.read_text(encoding="utf-8", errors="replace").strip() if record.is_file() else ""
    if named:
        for path in (Path(named), folder / Path(named).name):
            if path.is_file():
                return str(path)
        advice = offer_another(folder / Path(named).name) or f"Remove {record} to start anew"
        raise FileNotFoundError(f"{record}: names {named}, which is missing. {advice}")
    found = _numbered(folder)
    if found:
        _log.info("%s names no checkpoint; the newest in its folder is %s", record, found[0])
    return str(found[0]) if found else None


def offer_another(path: Path) -> str:
    """What to do where a checkpoint of a training is damaged or missing: a sentence, with the option.

    Args:
        path: The checkpoint.

    Returns:
        "" where nothing tells that the file belongs to a training.
    """
    from rsseg.io.checkpoints import load_file  # it imports torch

    others = [other for other in _numbered(path.parent) if other.name != path.name]
    for other in others:
        try:
            load_file(other, trust=None)
        except (DataError, OSError):
            continue
        return f"The newest whole checkpoint of this training is {other}; continue from it: --resume {other}"
    if others or _NAME.fullmatch(path.name):
        return f"There is no other whole checkpoint in {path.parent}; without --resume the training starts anew"
    return ""


def _numbered(folder: Path) -> list[Path]:
    """Checkpoints of a training in a folder, those of most iterations first."""
    found = [(int(match[2]), path) for path in folder.glob("*_*.pth") if (match := _NAME.fullmatch(path.name))]
    return [path for _, path in sorted(found, key=lambda item: (-item[0], item[1]))]
