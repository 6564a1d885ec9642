"""Scores of predictions on images without labels, by which a model may be chosen where the target has none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.evaluator import BaseMetric
from mmseg.registry import METRICS
from torch import Tensor

__all__ = ["UnlabelledScores", "entropy_sums"]

_TEACHER = "teacher_sem_seg"


def entropy_sums(logits: Tensor) -> tuple[float, Tensor, int]:
    """What the scores of several images are added up from.

    Args:
        logits: (C, H, W) of an image.

    Returns:
        Sum of the pixels' entropies in nats, sum of their probabilities (C,) float64, and their number.
    """
    log_probabilities = logits.double().log_softmax(0)
    probabilities = log_probabilities.exp()
    entropy = -(probabilities * log_probabilities).sum()
    return float(entropy), probabilities.sum((1, 2)).cpu(), logits[0].numel()


@METRICS.register_module()
class UnlabelledScores(BaseMetric):
    """How sure, how varied and how stable predictions are; no label is read.

    * ``certainty``: 100 * (1 - H / ln C), H the mean entropy of a pixel.  A network that calls everything water is
      certain, so look at it beside the next one.
    * ``information``: 100 * (entropy of the mean probabilities - H) / ln C; high where pixels are certain and classes
      various.
    * ``agreement``: percent of pixels on which student and teacher agree, where the model has a teacher.

    All are better when higher: ``save_best="information"``, ``rule="greater"``.  They say nothing of how right
    predictions are.

    Source: ours; entropy and mutual information as in Bridle et al. 1991, as usual for models chosen without labels.
    """

    default_prefix = ""

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Add the sums of each image."""
        for sample in data_samples:
            logits = sample["seg_logits"]["data"]
            entropy, total, pixels = entropy_sums(logits)
            same = None
            if _TEACHER in sample:
                same = int((sample[_TEACHER]["data"] == sample["pred_sem_seg"]["data"]).sum())
            self.results.append((entropy, total, pixels, same))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores over all pixels of all images, in percent."""
        pixels = sum(row[2] for row in results)
        mean = torch.stack([row[1] for row in results]).sum(0) / pixels
        entropy, most = sum(row[0] for row in results) / pixels, math.log(max(len(mean), 2))
        out = {
            "certainty": 100 * (1 - entropy / most),
            "information": 100 * (float(torch.special.entr(mean).sum()) - entropy) / most,
        }
        if all(row[3] is not None for row in results):
            out["agreement"] = 100 * sum(row[3] for row in results) / pixels
        return {key: round(value, 3) for key, value in out.items()}
