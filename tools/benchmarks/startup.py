"""``startup*``: CPU seconds of ``import rsseg``, of each ``--help`` and of a map's imports, against ``import torch``.

``startup_map`` imports the parts of a map with a torch model; the goal is 1.7 times as long as torch alone, a ratio of
0.59.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

from benchmarks.entry import Entry, Work

_REPO = Path(__file__).resolve().parents[2]
_IMPORT_LIMIT, _HELP_LIMIT = 0.2, 1.0  # seconds of CPU, the interpreter's own start included


def _seconds(*arguments: str) -> float:
    """CPU time of a Python process with its children."""
    env = {**os.environ, "PYTHONPATH": str(_REPO), "OMP_NUM_THREADS": "1"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], env=env, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _setup() -> tuple[Work, Work]:
    tools = sorted(str(path) for path in (_REPO / "tools").glob("*.py"))

    def ours() -> dict[str, float]:
        return {Path(tool).stem: _seconds(tool, "--help") for tool in tools}

    def reference() -> float:
        return _seconds("-c", "import torch")

    ours()  # bytecode and file caches
    taken = {"import rsseg": min(_seconds("-c", "import rsseg") for _ in range(3)), **ours()}
    slow = {name: used for name, used in taken.items() if used > _HELP_LIMIT} | (
        {"import rsseg": taken["import rsseg"]} if taken["import rsseg"] > _IMPORT_LIMIT else {}
    )
    if slow:
        raise ValueError(
            "start-up takes too long, in CPU seconds: " + ", ".join(f"{k} {v:.2f}" for k, v in slow.items())
        )
    return ours, reference


def _map() -> tuple[Work, Work]:
    def ours() -> float:
        return _seconds("-c", "from rsseg.mapping import SegmentorScorer, map_raster")

    ours()  # bytecode and file caches
    return ours, lambda: _seconds("-c", "import torch")


_HELPS = Entry(
    "--help of every tool, one process after another, against one `import torch`; before it `import rsseg` must take "
    f"at most {_IMPORT_LIMIT} s of CPU and every --help {_HELP_LIMIT} s",
    _setup,
)
_MAP = Entry("the imports of a map with a torch model, against one `import torch`", _map)
STARTUP = {"startup": _HELPS, "startup_map": _MAP}
