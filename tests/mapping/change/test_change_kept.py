"""The result of a comparison is whole or not there."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import rasterio

from rsseg.mapping.change import Transitions, compare_maps, comparing
from tests.mapping.change.small_maps import AFTER, BEFORE, CHANGE, Write


def test_a_failure_leaves_the_result_that_was_there(
    compare: Callable[..., Transitions], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare(BEFORE, AFTER)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(comparing, "write_change_layer", fail)
        with pytest.raises(OSError, match="no space left"):
            compare(BEFORE, BEFORE, vectors="gpkg")
    assert before == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}


def test_two_at_once_take_turns(write: Write, tmp_path: Path) -> None:
    paths = write("before.tif", BEFORE), write("after.tif", AFTER)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: compare_maps(*paths, tmp_path / "out"), range(2)))
    assert [each.pixels.tolist() for each in found] == [CHANGE, CHANGE]
    assert "change.json" in {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["write_change_raster", "sync", "os.replace"])
def test_a_kill_leaves_nothing_half(moment: str, write: Write, tmp_path: Path, repo: Path) -> None:
    """Killed while the raster is written, when all is written, and between the files; the next run ends with all."""
    paths = write("before.tif", BEFORE), write("after.tif", AFTER)
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from rsseg.mapping.change import comparing\n"
        f"home = comparing.os if '{moment}' == 'os.replace' else comparing\n"
        "def end(*_): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"real, count = getattr(home, '{moment}'.split('.')[-1]), [0]\n"
        "def late(*args):\n"
        "    count[0] += 'change.' in str(args[1]) and '/out/c' in str(args[1])\n"
        "    return end() if count[0] == 3 else real(*args)\n"
        f"setattr(home, '{moment}'.split('.')[-1], late if home is not comparing else end)\n"
        "comparing.compare_maps(sys.argv[1], sys.argv[2], Path(sys.argv[3]))"
    )
    done = subprocess.run([sys.executable, "-c", code, *paths, str(tmp_path / "out")], cwd=repo, check=False)
    assert done.returncode == -signal.SIGKILL
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert ".change.parts" in there and "change.json" not in there
    if moment == "os.replace":
        with rasterio.open(tmp_path / "out" / "change.tif") as file:
            assert file.read(1)[1, 3] == 5
    else:
        assert there == {".change.parts"}
    compare_maps(*paths, tmp_path / "out")
    there = {path.name for path in (tmp_path / "out").iterdir()}
    assert "change.json" in there and ".change.parts" not in there and len(there) == 8
