"""Scores of several labels per image: averaged over images as in BigEarthNet's paper, over labels, and over classes.

Importing this needs mmpretrain; only configs with ``_base_/default_runtime_cls.py`` do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from rsseg.errors import ConfigError
from rsseg.evaluation.image_scores import ImageScores, numbered, write_image_scores
from rsseg.evaluation.patch_layers import write_patch_layer
from rsseg.io.tables import boxed, csv_writer
from rsseg.stack import require_pretraining

require_pretraining()

from mmpretrain.registry import METRICS  # noqa: E402

__all__ = ["LabelScores", "average_precision", "class_counts", "prf", "sample_scores"]

_KEYS = ("P", "R", "F1", "F2")

Bools = NDArray[np.bool_]


def prf(hits: Any, predicted: Any, labelled: Any) -> dict[str, NDArray[np.float64]]:
    """Precision, recall, F1 and F2, each 0 where it would be 0 / 0.

    Args:
        hits: (...) number of labels that are predicted and true.
        predicted: (...) number of predicted labels.
        labelled: (...) number of true labels.

    Returns:
        ``P``, ``R``, ``F1``, ``F2``, each (...) in 0 .. 1.
    """
    hits, predicted, labelled = (np.asarray(value, np.float64) for value in (hits, predicted, labelled))
    out = {"P": hits / np.maximum(predicted, 1), "R": hits / np.maximum(labelled, 1)}
    for beta in (1, 2):
        # (1 + b^2) P R / (b^2 P + R), with P and R written out
        out[f"F{beta}"] = (1 + beta**2) * hits / np.maximum(beta**2 * labelled + predicted, 1)
    return out


def class_counts(truth: Bools, predicted: Bools, axis: int | None) -> tuple[Any, Any, Any]:
    """Labels that are both, predicted, and true, of (N, C) bool: per class (axis 0), per image (1) or in all (None)."""
    return (truth & predicted).sum(axis), predicted.sum(axis), truth.sum(axis)


def sample_scores(truth: Bools, predicted: Bools) -> dict[str, float]:
    """Precision, recall, F1 and F2 of each image, averaged over images.

    Args:
        truth: (N, C) bool.
        predicted: (N, C) bool.

    Returns:
        ``P``, ``R``, ``F1``, ``F2`` in 0 .. 1; an image without predicted labels has precision 0.

    Source: table 4 of the paper; the averaging is that of the authors' code (scikit-learn's ``average="samples"``).
    """
    return {key: float(value.mean()) for key, value in prf(*class_counts(truth, predicted, 1)).items()}


def average_precision(truth: Bools, scores: NDArray[np.floating]) -> float:
    """Area under the steps of the precision-recall curve of one class; images of equal score count together.

    Args:
        truth: (N,) bool.
        scores: (N,) higher where the label is more likely.

    Returns:
        0 .. 1, NaN where no image has the label.  It is scikit-learn's ``average_precision_score``.
    """
    if not truth.any():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.nonzero(np.diff(scores[order]))[0], len(order) - 1)
    hits = np.cumsum(truth[order])[last]
    return float(np.sum(np.diff(hits, prepend=0) * hits / (last + 1)) / hits[-1])


_Result = tuple[str, Bools | None, NDArray[np.float32]]
"""Path of an image, its true labels (None where nothing says them), the probabilities of its classes."""


@METRICS.register_module()
class LabelScores(BaseMetric):
    """Precision, recall, F1 and F2 at a threshold, and average precision.

    Results in percent: ``P``, ``R``, ``F1``, ``F2`` are means over images, as in the paper; ``micro/...`` count all
    labels together; ``macro/...`` and ``mAP`` are means over the classes that occur, 0 / 0 counting as 0; ``micro/AP``
    is the average precision of all labels together.  The table of all classes goes to the log.  Images without true
    labels are predicted, but not scored.

    Args:
        threshold: Probability from which a label counts as predicted.
        output_dir: Folder for ``predictions.csv``: each image with its true and predicted labels and the probability of
            every class, and ``predictions.gpkg``: the same with the outlines of images that have coordinates; None
            writes none.
        images_dir: Folder for the scores of single images, see :mod:`rsseg.evaluation.image_scores`; None writes none.
        **kwargs: As for mmengine's ``BaseMetric``.

    Raises:
        ConfigError: No image has true labels, and no folder is named for the predictions.
    """

    default_prefix = ""

    def __init__(
        self, threshold: float = 0.5, output_dir: str | None = None, images_dir: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.threshold, self.output_dir, self.images_dir = threshold, output_dir, images_dir
        self.tables: list[str] = []
        """The tables of scores that went to the log."""

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep probabilities and labels of each image."""
        for sample in data_samples:
            scores = sample["pred_score"].float().cpu().numpy()
            truth = None
            if "gt_label" in sample:
                truth = np.zeros(len(scores), bool)
                truth[sample["gt_label"].cpu().numpy().astype(np.int64)] = True
            self.results.append((str(sample.get("img_path", "")), truth, scores))

    def compute_metrics(self, results: list[_Result]) -> dict[str, float]:
        """Scores in percent, none where no image has true labels; the table of classes goes to the log."""
        classes = list((self.dataset_meta or {}).get("classes") or map(str, range(len(results[0][2]))))
        labelled = [row for row in results if row[1] is not None]
        if not labelled and self.output_dir is None:
            raise ConfigError(
                "the patches have no labels to be scored by; name a folder for their predictions: --out FOLDER"
            )
        out = self._scores(classes, labelled) if labelled else {}
        if self.output_dir is not None:
            self._write(Path(self.output_dir), classes, results)
        return out

    def _scores(self, classes: list[str], results: list[_Result]) -> dict[str, float]:
        truth, scores = np.stack([np.asarray(row[1]) for row in results]), np.stack([row[2] for row in results])
        predicted = scores >= self.threshold
        each = prf(*class_counts(truth, predicted, 0))
        each["AP"] = np.array([average_precision(truth[:, i], scores[:, i]) for i in range(truth.shape[1])])
        out: dict[str, float] = {}
        out |= sample_scores(truth, predicted)
        out |= {f"micro/{key}": float(value) for key, value in prf(*class_counts(truth, predicted, None)).items()}
        there = truth.any(0)
        means = {f"macro/{key}": each[key] for key in _KEYS} | {"mAP": each["AP"]}
        out |= {key: float(values[there].mean()) if there.any() else float("nan") for key, values in means.items()}
        out["micro/AP"] = average_precision(truth.ravel(), scores.ravel())
        out = {key: round(100 * value, 2) for key, value in out.items()}
        self._log(classes, each, truth.sum(0), out)
        if self.images_dir is not None:
            counts = np.stack([truth, predicted, truth & predicted], -1).astype(np.int64)
            names = numbered([Path(row[0]).name for row in results])
            write_image_scores(self.images_dir, {"": ImageScores("labels", tuple(classes), names, counts)})
        return out

    def _log(self, classes: list[str], each: dict[str, Any], images: NDArray[Any], out: dict[str, float]) -> None:
        rows = []
        for i, name in enumerate(classes):
            cells = (f"{100 * value[i]:.2f}" if images[i] else "-" for value in each.values())
            rows.append([name, *cells, int(images[i])])
        table = boxed(["class", *each, "images"], rows)
        overall = "  ".join(f"{key} {value:.2f}" for key, value in out.items())
        text = f"per class\n{table}\n{overall}"
        self.tables.append(text)
        MMLogger.get_current_instance().info(text)

    def _write(self, folder: Path, classes: list[str], results: list[_Result]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        paths, scores = [row[0] for row in results], np.stack([row[2] for row in results])
        labels = ["" if row[1] is None else _joined(classes, row[1]) for row in results]
        predicted = [_joined(classes, row >= self.threshold) for row in scores]
        names = [Path(path).name for path in paths]
        target = folder / "predictions.csv"
        with csv_writer(target, ["image", "labels", "predicted", *classes]) as add_rows:
            for *texts, own in zip(names, labels, predicted, scores, strict=True):
                add_rows([[*texts, *(f"{value:.4f}" for value in own)]])
        fields: dict[str, Any] = {"image": names, "labels": labels, "predicted": predicted}
        fields |= {f"p_{name}": scores[:, i] for i, name in enumerate(classes)}  # "labels" could be a class
        placed = write_patch_layer(folder / "predictions.gpkg", paths, fields)
        also = " and predictions.gpkg" if placed else ""
        MMLogger.get_current_instance().info(f"predictions written to {target}{also}")


def _joined(classes: list[str], mask: Bools) -> str:
    return "; ".join(classes[i] for i in np.nonzero(mask)[0])
