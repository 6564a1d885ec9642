"""Processes that cannot end by themselves, so that a test has all the time it needs to kill them."""

from __future__ import annotations

import os
from pathlib import Path

SITE = """
import fnmatch, os, time
replace = os.replace


def hold(source, target, **options):
    while fnmatch.fnmatch(os.path.basename(target), {pattern!r}):
        time.sleep(1)  # until somebody kills this process
    replace(source, target, **options)


os.replace = hold
"""


def held_at(pattern: str, folder: Path) -> dict[str, str]:
    """Environment of a Python in which no file of this name ever takes its place: who writes one waits for ever.

    Args:
        pattern: Name, with ``*`` and ``?``.
        folder: Made here; holds what Python imports at its start.
    """
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(SITE.format(pattern=pattern))
    path = os.environ.get("PYTHONPATH", str(Path(__file__).resolve().parents[1]))
    return {"PYTHONPATH": f"{folder}{os.pathsep}{path}"}
