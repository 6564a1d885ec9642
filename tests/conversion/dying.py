"""A process that dies in the middle of what it writes."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any


def die_at(moment: int) -> None:
    """Let this process die by SIGKILL before the ``moment``-th file is deleted or takes its place."""
    replace, unlink, seen = os.replace, Path.unlink, [0]

    def count() -> None:
        seen[0] += 1
        if seen[0] == moment:
            os.kill(os.getpid(), signal.SIGKILL)

    def deadly_replace(source: Any, target: Any) -> None:
        count()
        replace(source, target)

    def deadly_unlink(path: Path, missing_ok: bool = False) -> None:
        if ".tmp-" not in path.name and path.exists():
            count()
        unlink(path, missing_ok)

    os.replace, Path.unlink = deadly_replace, deadly_unlink  # type: ignore[assignment,method-assign]
