"""``convert_memory`` and ``convert_memory_boxes``: peak memory after SAM's decoder for 600 boxes in one tile.

The first is against the loop of the SAMRS release, the second against ours with a tenth of the boxes.
Small logits are made when they are asked for, so that neither side holds more of them than it wants.
"""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.entry import Entry, Work
from benchmarks.reference import DenseTile

_MANY, _FEW = 600, 60


def _logits(i: int) -> np.ndarray:
    from rsseg.conversion.predictors.sam_check import made_up_logits

    *_, last = made_up_logits(i % 20 + 1, seed=i)  # every twentieth is large
    return last


def _setup(against_few: bool) -> tuple[Work, Work]:
    import torch

    torch.set_num_threads(1)  # threads' own buffers are not what is compared
    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    many, few = DenseTile(_MANY, root, _logits), DenseTile(_FEW, root, _logits)
    DenseTile(1, root, _logits).ours()  # imports
    return many.ours, few.ours if against_few else many.reference


CONVERT_MEMORY = Entry(
    "peak memory after the decoder for 600 boxes in 1024 x 1024, against the release's loop",
    partial(_setup, False),
    memory=True,
)
CONVERT_MEMORY_BOXES = Entry(
    "peak memory after the decoder for 600 boxes against 60, ours both times: near 1 means it does not grow",
    partial(_setup, True),
    memory=True,
)
