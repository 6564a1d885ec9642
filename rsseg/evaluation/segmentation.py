"""Semantic-segmentation scores from one exact confusion matrix per label set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmseg.registry import METRICS
from prettytable import PrettyTable

from rsseg.metainfo import load_metainfo
from rsseg.structures.confusion import confusion_matrix, scores
from rsseg.structures.pictures import indexed
from rsseg.structures.writing import Writer

__all__ = ["SegmentationMetric"]

_PER_CLASS = ("IoU", "F1", "Acc")
_OVERALL = ("mIoU", "mF1", "mAcc", "OA")


def _plane(data: torch.Tensor) -> torch.Tensor:
    """(1, H, W) or, from test-time augmentation, (H, W) as (H, W)."""
    return data.reshape(data.shape[-2:])


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """Per-class IoU, F1 and accuracy, and OA, mF1, mIoU, counted in int64 with ignored pixels dropped first.

    Samples of several label sets (``metainfo['dataset_name']``) are scored apart.  With one set the results are
    ``mIoU``, ``mF1``, ``mAcc``, ``OA`` in percent; with several also ``<set>/mIoU`` ..., and the plain names are
    means over sets.  Classes that occur neither in truth nor in prediction are left out of the means.

    Args:
        ignore_index: Target value that does not count.
        output_dir: Folder for predictions as palette PNGs in the raw values of the label files; None writes none.
        format_only: Only write predictions; for images without labels.
        **kwargs: As for mmengine's ``BaseMetric``.
    """

    default_prefix = ""

    def __init__(
        self, ignore_index: int = 255, output_dir: str | None = None, format_only: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if format_only and output_dir is None:
            raise ValueError("format_only=True needs an output_dir to write to")
        self.ignore_index, self.output_dir, self.format_only = ignore_index, output_dir, format_only
        self._writer: Writer | None = None

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of each sample; one confusion matrix per image is kept."""
        for sample in data_samples:
            name = sample.get("dataset_name", "")
            pred = _plane(sample["pred_sem_seg"]["data"])
            if self.output_dir is not None:
                self._writer = self._writer or Writer()
                self._writer.submit_checked(self._write, sample, pred.cpu().numpy())
            counts = None
            if not self.format_only:
                target = _plane(sample["gt_sem_seg"]["data"]).to(pred.device)
                try:
                    classes = self._info(name)["classes"]
                    counts = confusion_matrix(pred, target, len(classes), self.ignore_index).numpy()
                except ValueError as error:
                    raise ValueError(f"{sample.get('seg_map_path', 'sample')}: {error}") from error
            self.results.append((name, counts))

    def evaluate(self, size: int) -> dict[str, float]:
        """Wait until all predictions are on disk, then gather the ``size`` samples of all processes and score."""
        if self._writer is not None:
            self._writer.close_checked()
            self._writer = None
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores in percent; the per-class table goes to the log."""
        if self.format_only:
            MMLogger.get_current_instance().info(f"predictions written to {self.output_dir}")
            return {}
        totals: dict[str, np.ndarray] = {}
        for name, counts in results:
            totals[name] = totals[name] + counts if name in totals else counts
        values = {name: scores(confusion) for name, confusion in totals.items()}
        for name, score in values.items():
            self._log_table(name, score)
        out = {key: float(np.nanmean([100 * score[key] for score in values.values()])) for key in _OVERALL}
        if len(values) > 1:
            for name, score in values.items():
                out |= {f"{name}/{key}": float(100 * score[key]) for key in _OVERALL}
        return {key: round(value, 2) for key, value in out.items()}

    def _info(self, name: str) -> dict[str, Any]:
        meta = self.dataset_meta or {}
        return meta.get("sets", {}).get(name, meta)

    def _log_table(self, name: str, score: dict[str, np.ndarray]) -> None:
        table = PrettyTable(["class", *_PER_CLASS], align="r")
        table.align["class"] = "l"
        for row, label in enumerate(self._info(name)["classes"]):
            table.add_row([label, *(f"{100 * score[key][row]:.2f}" for key in _PER_CLASS)])
        overall = "  ".join(f"{key} {100 * float(score[key]):.2f}" for key in _OVERALL)
        MMLogger.get_current_instance().info(f"{name or 'results'}\n{table.get_string()}\n{overall}")

    def _write(self, sample: dict, pred: np.ndarray) -> None:
        table = load_metainfo(sample["table"])
        palette = np.zeros((256, 3), np.uint8)
        palette[table.raw] = table.palette
        folder = Path(self.output_dir or "")
        if "sets" in (self.dataset_meta or {}):
            folder = folder / sample["dataset_name"]
        folder.mkdir(parents=True, exist_ok=True)
        indexed(table.raw[pred], palette).save(folder / f"{Path(sample['img_path']).stem}.png")
