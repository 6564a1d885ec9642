"""``map_unet_bf16``: a whole map by ``rsseg map`` in bfloat16 against float32, start of the command included.

The U-Net is the OpenEarthMap baseline with EfficientNet-B4 and random weights; one thread.
"""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import folder, make_raster
from benchmarks.precision import model

_REPO = Path(__file__).resolve().parents[2]
_CONFIG, _SIDE = "openearthmap/unet_effb4_openearthmap.py", 2048


def _setup(side: int = _SIDE) -> tuple[Work, Work]:
    import torch

    root = folder()
    torch.save({"state_dict": model(_CONFIG).state_dict()}, root / "model.pth")
    raster = make_raster(root / "scene.tif", side)

    def run(precision: str) -> Path:
        target = root / f"{precision}.tif"
        target.unlink(missing_ok=True)
        options = dict(config=_REPO / "configs" / _CONFIG, checkpoint=root / "model.pth", window=512, device="cpu")
        command = [sys.executable, _REPO / "tools" / "map_raster.py", raster, target, "--precision", precision]
        command += [word for name, value in options.items() for word in (f"--{name}", value)]
        env = {**os.environ, "PYTHONPATH": str(_REPO), "OMP_NUM_THREADS": "1"}
        subprocess.run([*map(str, command)], env=env, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return target

    return functools.partial(run, "bf16"), functools.partial(run, "exact")


MAP_PRECISION = Entry(
    f"`rsseg map` of {_SIDE} x {_SIDE} pixels by a U-Net with EfficientNet-B4, windows of 512, its start included: "
    "--precision bf16 against exact",
    _setup,
)
