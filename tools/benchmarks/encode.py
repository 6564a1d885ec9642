"""``encode_labels``: raw values of label files to training ids, against counting the values and indexing a table."""

from __future__ import annotations

import numpy as np

from benchmarks.entry import Entry, Work

_SIDE, _IMAGES = 1024, 20


def _setup() -> tuple[Work, Work]:
    from rsseg.metainfo import load_metainfo

    table = load_metainfo("openearthmap")
    blocks = np.random.default_rng(0).integers(0, 9, (_IMAGES, _SIDE // 16, _SIDE // 16)).astype(np.uint8)
    labels = blocks.repeat(16, 1).repeat(16, 2)
    known = np.flatnonzero(table.table >= 0)

    def ours() -> list[np.ndarray]:
        return [table.encode(raw) for raw in labels]

    def plain(raw: np.ndarray) -> np.ndarray:
        present = np.flatnonzero(np.bincount(raw.ravel(), minlength=256))
        if not np.isin(present, known).all():
            raise ValueError("an unknown value")
        return table.lut[raw]

    def reference() -> list[np.ndarray]:
        return [plain(raw) for raw in labels]

    if not all(np.array_equal(a, b) for a, b in zip(ours(), reference(), strict=True)):
        raise ValueError("the ids differ")
    return ours, reference


ENCODE = Entry(
    f"training ids of {_IMAGES} labels of {_SIDE} x {_SIDE}, against NumPy's bincount, then its indexing", _setup
)
