"""A grid as an array of Slurm, with a stand-in for sbatch."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from rsseg.errors import JobError
from rsseg.experiments.slurm import submit, write_script


def test_each_job_of_the_array_runs_its_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["g.py", "--slurm", "3", "--sbatch", "gres=gpu:1", "time=1:00", "--submit", "--out", "a b", "--keep"]
    script = write_script(words, tmp_path / "out", 3, ["gres=gpu:1", "time=1:00"])
    lines = script.read_text().splitlines()
    assert lines[0] == "#!/bin/bash" and "#SBATCH --array=0-2" in lines and "#SBATCH --gres=gpu:1" in lines
    assert lines[-1].endswith("""rsseg grid g.py --out 'a b' --keep --shard "$SLURM_ARRAY_TASK_ID/3\"""")
    echoing = script.read_text().replace("exec ", "echo ")
    done = subprocess.run(["bash", "-c", echoing], env={**os.environ, "SLURM_ARRAY_TASK_ID": "2"}, capture_output=True)
    assert done.stdout.decode().strip().endswith("--shard 2/3")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(JobError, match="no sbatch on this machine"):
        submit(script)
    fake = tmp_path / "sbatch"
    fake.write_text("#!/bin/sh\necho Submitted batch job 7\n")
    fake.chmod(0o755)
    assert submit(script) == "Submitted batch job 7"
    fake.write_text("#!/bin/sh\necho no such partition >&2\nexit 1\n")
    with pytest.raises(JobError, match="exit status 1: no such partition"):
        submit(script)
