"""A grid as an array of Slurm: each of its jobs runs one part of the cells."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rsseg.errors import JobError
from rsseg.io.files import replacing

__all__ = ["submit", "write_script"]

_SCRIPT = """#!/bin/bash
#SBATCH --job-name=rsseg-grid
#SBATCH --array=0-{last}
#SBATCH --output={out}/slurm_%a.log
{options}cd {folder}
exec {command} --shard "$SLURM_ARRAY_TASK_ID/{count}"
"""


def write_script(words: Sequence[str], out: Path, count: int, options: Sequence[str] = ()) -> Path:
    """Write ``grid.sbatch``.

    Args:
        words: Arguments of this process, the grid's config first; ``--slurm N``, ``--sbatch ...`` and ``--submit`` are
            left out of the jobs' command.
        out: Folder of the grid; made where it is missing.
        count: Jobs of the array.
        options: Options for ``#SBATCH`` lines, such as ``gres=gpu:1``.

    Returns:
        The script.

    Raises:
        OSError: It cannot be written; the message names it.
    """
    kept, own = [], False
    for word in words:
        if word.startswith("--"):
            own = word.partition("=")[0] in ("--slurm", "--sbatch", "--submit")
        if not own:
            kept.append(word)
    lines = "".join(f"#SBATCH --{option}\n" for option in options)
    command = shlex.join([sys.executable, "-m", "rsseg", "grid", *kept])
    where = shlex.quote(str(Path.cwd()))
    out.mkdir(parents=True, exist_ok=True)
    path = out / "grid.sbatch"
    text = _SCRIPT.format(last=count - 1, out=out, options=lines, folder=where, command=command, count=count)
    with replacing(path) as file:
        file.write(text.encode())
    return path


def submit(script: Path) -> str:
    """Give a script to Slurm.

    Returns:
        What ``sbatch`` said.

    Raises:
        JobError: There is no ``sbatch``, or it refused.
    """
    try:
        done = subprocess.run(["sbatch", str(script)], capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise JobError(f"there is no sbatch on this machine; submit {script} where Slurm is") from error
    if done.returncode:
        raise JobError(f"sbatch {script}: exit status {done.returncode}: {done.stderr.strip()}")
    return done.stdout.strip()
