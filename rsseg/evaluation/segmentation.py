"""Semantic-segmentation scores from one exact confusion matrix per label set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmseg.registry import METRICS

from rsseg.errors import ConfigError, DataError
from rsseg.evaluation.image_scores import ImageScores, numbered, write_image_scores
from rsseg.io.files import Writer, replacing
from rsseg.io.tables import boxed
from rsseg.metainfo import IGNORE, load_metainfo, merged_ids, unmatched_ids
from rsseg.structures.confusion import confusion_matrix, scores
from rsseg.structures.pictures import indexed

__all__ = ["SegmentationMetric"]

_PER_CLASS = ("IoU", "F1", "Acc")
_OVERALL = ("mIoU", "mF1", "mAcc", "OA")
_COMPAT = "_samrs_compat"


def _plane(data: torch.Tensor) -> torch.Tensor:
    """(1, H, W) or, from test-time augmentation, (H, W) as (H, W)."""
    return data.reshape(data.shape[-2:])


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """Per-class IoU, F1 and accuracy, and OA, mF1, mIoU, counted in int64 with ignored pixels dropped first.

    Samples of several label sets (``metainfo['dataset_name']``) are scored apart.  With one set the results are
    ``mIoU``, ``mF1``, ``mAcc``, ``OA`` in percent; with several also ``<set>/mIoU`` ..., and the plain names are
    means over sets.  Classes that occur neither in truth nor in prediction are left out of the means, and so are
    those that the class table does not score (iSAID's background); ``OA`` then counts the pixels of the others.

    Args:
        ignore_index: Target value that does not count.
        output_dir: Folder for predictions as palette PNGs in the raw values of the label files, 255 where the image has
            no data; None writes none.
        format_only: Only write predictions; for images without labels.
        samrs_compat: Report, beside the right scores, what the SAMRS release's evaluation makes of the same
            predictions, in keys that end in ``_samrs_compat``.  Its histogram counts every ignored pixel as a correctly
            predicted pixel of the last class where the ignored value follows the last class's: so on Potsdam, where
            clutter lifts car (its other sets ignore 255, which the histogram leaves out).  Sets whose class table
            ignores no such value keep their scores; those without a table count as Potsdam.
        merge: Common table into which classes are merged by name before they are counted, see
            :func:`rsseg.metainfo.merged_ids`; so a model of one label set is scored on the labels of another.  Common
            classes that one of the two sets has nothing for stay out of the means and of ``OA``.  Pixels of a class
            that the table leaves out, true or predicted, do not count; how many were so predicted goes to the log.
        predicted: With ``merge``, class table of what the model predicts; None where it is the set's own.
        field: What is scored: a field of the predicted samples with label maps.  With ``teacher_sem_seg`` (and a
            ``prefix``) the teacher of domain adaptation is scored beside the student.
        only_true: Leave classes without true pixels out of the means also where they are predicted.
        images_dir: Folder for the scores of single images, see :mod:`rsseg.evaluation.image_scores`; None writes none.
        keep_results: Not used; mmseg's ``tools/test.py --out`` sets it beside ``output_dir``.
        **kwargs: As for mmengine's ``BaseMetric``.
    """

    default_prefix = ""

    def __init__(
        self,
        ignore_index: int = 255,
        output_dir: str | None = None,
        format_only: bool = False,
        samrs_compat: bool = False,
        merge: str | None = None,
        predicted: str | None = None,
        only_true: bool = False,
        field: str = "pred_sem_seg",
        images_dir: str | None = None,
        keep_results: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.only_true, self.field, self.images_dir = only_true, field, images_dir
        if format_only and output_dir is None:
            raise ConfigError("format_only=True requires output_dir")
        self.ignore_index, self.output_dir, self.format_only = ignore_index, output_dir, format_only
        self.samrs_compat = samrs_compat
        if predicted is not None and merge is None:
            raise ConfigError(
                f"predicted={predicted!r} requires merge, the class table that both label sets merge into"
            )
        if merge is not None and ignore_index != IGNORE:
            raise ConfigError(f"merge requires ignore_index={IGNORE}, not {ignore_index}")
        self.merge, self.predicted = merge, predicted
        self._writer: Writer | None = None
        self.tables: list[str] = []
        """The tables of scores that went to the log."""
        self.names: Mapping[str, str] = {}
        """Name of an image's prediction by the image's path, where that is not its stem."""

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count the pixels of each sample; one confusion matrix per image is kept."""
        for sample in data_samples:
            name = sample.get("dataset_name", "")
            if self.field not in sample:
                raise ConfigError(f"field={self.field!r}: the model does not predict it; it predicts pred_sem_seg")
            pred = _plane(sample[self.field]["data"])
            if self.output_dir is not None:
                self._writer = self._writer or Writer()
                self._writer.submit_checked(self._write, sample, pred.cpu().numpy())
            counts, ignored, left = None, 0, 0
            if not self.format_only:
                target = _plane(sample["gt_sem_seg"]["data"]).to(pred.device)
                try:
                    if self.merge is not None:
                        pred, target, left = self._merged(pred, target, sample["table"], self.merge)
                    classes = self._info(name)["classes"]
                    counts = confusion_matrix(pred, target, len(classes), self.ignore_index).numpy()
                except ValueError as error:
                    raise DataError(f"{sample.get('seg_map_path', 'sample')}: {error}") from error
                ignored = target.numel() - int(counts.sum())
            self.results.append((name, counts, ignored, left, self._name(sample.get("img_path", ""))))

    def evaluate(self, size: int) -> dict[str, float]:
        """Wait until all predictions are on disk, then gather the ``size`` samples of all processes and score."""
        if self._writer is not None:
            self._writer.close_checked()
            self._writer = None
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Scores in percent; the per-class tables go to the log."""
        if self.format_only:
            MMLogger.get_current_instance().info(f"predictions written to {self.output_dir}")
            return {}
        totals: dict[str, np.ndarray] = {}
        swallowed: dict[str, int] = {}
        for name, counts, ignored, *_ in results:
            totals[name] = totals[name] + counts if name in totals else counts
            swallowed[name] = swallowed.get(name, 0) + (ignored if self._swallows(name) else 0)
        left, counted = sum(row[3] for row in results), sum(int(total.sum()) for total in totals.values())
        if left:
            MMLogger.get_current_instance().warning(
                f"{left} labelled pixels ({100 * left / (left + counted):.2f} %) are not scored, since their predicted "
                f"classes are not part of {self.merge}"
            )
        out = self._overall(totals)
        if self.images_dir is not None:
            write_image_scores(self.images_dir, {name: self._images(name, results) for name in totals})
        if self.samrs_compat:
            for name, confusion in totals.items():
                totals[name] = confusion.copy()
                totals[name][-1, -1] += swallowed[name]
                MMLogger.get_current_instance().warning(
                    f"{name or 'results'}, evaluated as in the SAMRS release: {swallowed[name]} ignored "
                    f"pixels count as correct pixels of {self._info(name)['classes'][-1]}. These scores do not "
                    "measure the model; compare them with the tables of the SAMRS paper only"
                )
            out |= self._overall(totals, _COMPAT)
        return out

    def _overall(self, totals: dict[str, np.ndarray], suffix: str = "") -> dict[str, float]:
        """Means and OA in percent of (C, C) confusion matrices, over all sets and, where there are several, of each."""
        values = {name: scores(confusion, self._unscored(name), self.only_true) for name, confusion in totals.items()}
        for name, score in values.items():
            self._log_table(name, score, suffix)
        out = {f"{key}{suffix}": float(np.nanmean([100 * score[key] for score in values.values()])) for key in _OVERALL}
        if len(values) > 1:
            for name, score in values.items():
                out |= {f"{name}/{key}{suffix}": float(100 * score[key]) for key in _OVERALL}
        return {key: round(value, 2) for key, value in out.items()}

    def _images(self, name: str, results: list) -> ImageScores:
        """What the images of one set score; those of one name in several folders get numbers."""
        rows = [row for row in results if row[0] == name]
        counts = np.array([np.stack([own.sum(1), own.sum(0), np.diag(own)], 1) for _, own, *_ in rows])
        names = numbered([row[4] for row in rows])
        classes = tuple(self._info(name)["classes"])
        return ImageScores("pixels", classes, names, counts, tuple(self._unscored(name)), self.only_true)

    def _merged(
        self, pred: torch.Tensor, target: torch.Tensor, table: str, common: str
    ) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Both (H, W) in the ids of the common table, and labelled pixels that it leaves out as they are predicted."""
        own = self.predicted or table
        guess = torch.from_numpy(merged_ids(common, own)).to(pred.device)[pred.long()]
        truth = torch.from_numpy(merged_ids(common, table)).to(pred.device)[target.long()]
        unused = (guess == IGNORE) & (truth != IGNORE)
        truth[unused] = IGNORE
        return guess, truth, int(unused.sum())

    def _info(self, name: str) -> dict[str, Any]:
        if self.merge is not None:
            return {"classes": load_metainfo(self.merge).classes, "table": self.merge}
        return self._own_info(name)

    def _own_info(self, name: str) -> dict[str, Any]:
        meta = self.dataset_meta or {}
        return meta.get("sets", {}).get(name, meta)

    def _unscored(self, name: str) -> tuple[int, ...]:
        table = self._info(name).get("table")  # mmseg's own datasets have none
        unscored = load_metainfo(table).unscored if table else ()
        if self.merge is not None:
            own = self._own_info(name)["table"]
            unscored = tuple({*unscored, *unmatched_ids(self.merge, own, self.predicted or own)})
        return unscored

    def _swallows(self, name: str) -> bool:
        """Whether the release would ignore the value that follows the last class's."""
        table = self._info(name).get("table")
        return table is None or int(load_metainfo(table).raw[-1]) + 1 in load_metainfo(table).ignore

    def _log_table(self, name: str, score: dict[str, np.ndarray], suffix: str) -> None:
        rows = []
        unscored = self._unscored(name)
        for row, label in enumerate(self._info(name)["classes"]):
            title = f"({label}, not scored)" if row in unscored else label
            rows.append([title, *(f"{100 * score[key][row]:.2f}" for key in _PER_CLASS)])
        table = boxed(["class", *(f"{key}{suffix}" for key in _PER_CLASS)], rows)
        overall = "  ".join(f"{key}{suffix} {100 * float(score[key]):.2f}" for key in _OVERALL)
        text = f"{name or 'results'}\n{table}\n{overall}"
        self.tables.append(text)
        MMLogger.get_current_instance().info(text)

    def _write(self, sample: dict, pred: np.ndarray) -> None:
        table = load_metainfo(self.predicted or sample["table"])
        palette = np.zeros((256, 3), np.uint8)
        palette[table.raw] = table.palette
        folder = Path(self.output_dir or "")
        if "sets" in (self.dataset_meta or {}):
            folder = folder / sample["dataset_name"]
        folder.mkdir(parents=True, exist_ok=True)
        values = table.raw[np.minimum(pred, table.num_classes - 1)]  # 255 is no class of open-vocabulary models
        values[pred >= table.num_classes] = IGNORE
        if sample.get("valid") is not None:
            values[~sample["valid"]] = IGNORE
        with replacing(folder / f"{self._name(sample['img_path'])}.png") as file:
            indexed(values, palette).save(file, "PNG")

    def _name(self, path: str) -> str:
        return self.names.get(str(Path(path)), Path(path).stem)
