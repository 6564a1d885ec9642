"""``--suite areas``: square kilometres mapped in an hour by one process, by two shards and by Ray on this machine.

A U-Net with EfficientNet-Lite0 and random weights, one thread for each process, pixels of half a metre.  The forms take
turns; all write the same bytes.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.map_stub import folder, make_raster
from benchmarks.suite import Row

__all__ = ["run_areas"]

_GSD = 0.5
_FORMS: dict[str, list[list[str]]] = {
    "1 process": [[]],
    "2 shards at the same time": [["--shard", "0/2"], ["--shard", "1/2"]],
    "Ray": [["--launcher", "ray"]],
}
"""Form -> arguments of each of its commands."""
_CONFIG = "scenes/unet_efficientnet_lite0_scenes.py"
_TOOLS = Path(__file__).resolve().parents[1]


def _save_model(path: Path) -> Path:
    import torch
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from rsseg.io.configs import read_config

    init_default_scope("mmseg")
    torch.manual_seed(0)
    model = MODELS.build(read_config(f"rsseg::{_CONFIG}", {"model.backbone.init_cfg": None}).model)
    torch.save({"state_dict": model.state_dict()}, path)
    return path


def _seconds(arguments: list[list[str]], words: list[str], target: Path) -> tuple[float, float]:
    """Seconds of the clock until all commands of a form have ended, start and loading included; their CPU seconds."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ADDRESS": "local", "PYTHONPATH": str(_TOOLS.parent)}
    environment["RAY_worker_niceness"] = "0"  # Ray's workers stand back otherwise where others are busy, too
    begun, used = time.perf_counter(), _used()
    processes = [
        subprocess.Popen(
            [sys.executable, str(_TOOLS / "map_raster.py"), *words, *own, "--quiet"],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for own in arguments
    ]
    for process in processes:
        _, text = process.communicate()
        if process.returncode:
            raise RuntimeError(text)
    return time.perf_counter() - begun, _used() - used


def _used() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_areas(runs: int, toy: bool = False) -> Iterator[Row]:
    """Rates of whole commands, and of what a larger raster adds to a small one, without start and end.

    Args:
        runs: Turns; the best counts, since other work on a machine only adds.
        toy: Tiny rasters: to see that all of it works.
    """
    root = folder()
    model = _save_model(root / "model.pth")
    sides = (256, 512) if toy else (512, 2048)
    rasters = {side: make_raster(root / f"{side}.tif", side) for side in sides}
    taken: dict[tuple[str, int], list[tuple[float, float]]] = {(form, side): [] for side in sides for form in _FORMS}
    contents: dict[int, set[bytes]] = {side: set() for side in sides}
    for _ in range(runs):
        for (form, side), seconds in taken.items():
            target = root / "maps"
            words = [str(rasters[side]), str(target / "map.tif"), "--checkpoint", str(model), "--window", "512"]
            words += ["--config", str(_TOOLS.parent / "configs" / _CONFIG), "--precision", "exact", "--device", "cpu"]
            seconds.append(_seconds(_FORMS[form], words, target))
            contents[side].add((target / "map.tif").read_bytes())
    if any(len(found) > 1 for found in contents.values()):
        raise ValueError("the forms have made different maps")
    small, large = sides
    written = len(next(iter(contents[large]))) / large**2
    for form in _FORMS:
        times, used = ([min(pair[i] for pair in taken[form, side]) for side in sides] for i in (0, 1))
        yield Row(f"{large} x {large}", form, _rate(large**2, times[1]), "km2/h")
        for (first, whole), unit in ((times, "km2/h"), (used, "km2 per CPU hour")):
            if whole > first and not (form == "Ray" and unit != "km2/h"):  # whose workers are no children
                yield Row("without start and end", form, _rate(large**2 - small**2, whole - first), unit)
    yield Row("the map", "all forms", written, "bytes per pixel")


def _rate(pixels: int, seconds: float) -> float:
    return pixels * _GSD**2 / 1e6 / seconds * 3600
