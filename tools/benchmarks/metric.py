"""``metric``: our confusion matrix against mmseg's IoUMetric on one 1024 x 1024 image."""

from __future__ import annotations

from typing import Any

from benchmarks.entry import Entry, Work

_CLASSES = 18


def _setup() -> tuple[Work, Work]:
    import numpy as np
    import torch
    from mmseg.evaluation import IoUMetric

    from rsseg.evaluation import SegmentationMetric

    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    target = rng.integers(0, _CLASSES, (64, 64)).repeat(16, 0).repeat(16, 1)
    pred = np.where(rng.random(target.shape) < 0.9, target, rng.integers(0, _CLASSES, target.shape))
    target[rng.random(target.shape) < 0.1] = 255
    planes = {"pred_sem_seg": pred, "gt_sem_seg": target}
    sample = {key: {"data": torch.from_numpy(value)[None]} for key, value in planes.items()}
    ours, reference = SegmentationMetric(), IoUMetric(prefix="reference")
    for metric in (ours, reference):
        metric.dataset_meta = {"classes": [str(i) for i in range(_CLASSES)]}

    def run(metric: Any) -> None:
        metric.results.clear()
        metric.process({}, [sample])

    run(ours)
    run(reference)
    if not np.array_equal(np.diag(ours.results[0][1]), reference.results[0][0].numpy()):
        raise ValueError("the two metrics disagree")
    return lambda: run(ours), lambda: run(reference)


METRIC = Entry(
    "SegmentationMetric.process against mmseg's IoUMetric.process, one 1024 x 1024 image, 18 classes", _setup
)
