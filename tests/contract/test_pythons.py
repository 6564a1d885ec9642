"""Every Python from 3.10 on: the sources compile on it, and it has what they use of the standard library."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
CHECK = REPO / ".ci" / "check_python.py"


def _oldest() -> str:
    """The oldest interpreter from 3.10 on that is found; the one that runs this where there is no other."""
    for minor in range(10, sys.version_info.minor):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    versions = sorted(Path.home().glob(".pyenv/versions/3.1*/bin/python"), key=_version)
    return str(versions[0]) if versions and _version(versions[0]) < sys.version_info else sys.executable


def _version(python: Path) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", python.parts[-3])))


def test_the_sources_fit_the_oldest_python_there_is() -> None:
    done = subprocess.run([_oldest(), str(CHECK)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"Python 3\.\d+\.\S+: \d{3,} sources compile, .*\n", done.stdout)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("import hashlib\nprint(hashlib.no_such_digest)", "no hashlib.no_such_digest"),
        ("from datetime import NO_SUCH_ZONE", "no datetime.NO_SUCH_ZONE"),
        ("x = (1", "was never closed"),
    ],
)
def test_what_a_python_lacks_is_named(line: str, message: str, tmp_path: Path) -> None:
    for name in (".ci", "rsseg", "tools", "tests", "configs", "docs"):
        (tmp_path / name).mkdir()
    shutil.copy(CHECK, tmp_path / ".ci")
    (tmp_path / "setup.py").write_text("")
    (tmp_path / "rsseg" / "new.py").write_text(line)
    command = [sys.executable, str(tmp_path / ".ci" / "check_python.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "rsseg/new.py:" in done.stderr and message in done.stderr
