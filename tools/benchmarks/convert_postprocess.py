"""``convert_postprocess``: everything after SAM's decoder for one dense tile, against the loop of the SAMRS release."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.entry import Entry, Work
from benchmarks.reference import DenseTile

_BOXES = 300


def _setup() -> tuple[Work, Work]:
    from rsseg.conversion.predictors.sam_check import made_up_logits

    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    logits = list(made_up_logits(_BOXES))
    tile = DenseTile(_BOXES, root, logits.__getitem__)
    (labels, runs), (plain_labels, plain_runs) = tile.ours(), tile.reference()
    if not np.array_equal(labels, plain_labels) or runs != plain_runs:
        raise ValueError("the two ways disagree")
    return tile.ours, tile.reference


CONVERT_POSTPROCESS = Entry(
    "after the decoder, 300 boxes in 1024 x 1024: upsample, threshold, paint, RLE, PNG, against the release's loop",
    _setup,
)
