"""Pictures of images, truth and prediction: in a folder, and through the visualizer in logs and trackers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from PIL import Image

from rsseg.io.bands import percentile_range, scale_values
from rsseg.io.files import Writer, replacing
from rsseg.metainfo import IGNORE, load_metainfo
from rsseg.structures.legends import Entry, add_legend, class_entries, hatch
from rsseg.structures.pictures import blend, panel

__all__ = [
    "LogTestScores",
    "SampleVisualizationHook",
    "SavePictures",
    "class_panels",
    "picture_name",
    "sample_picture",
    "viewable",
]

Legend = tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]
"""Names and RGB colours of classes."""

_HEIGHT = 512
_BATCH_AXES = 4


def viewable(pixels: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 of (C, H, W): red, green, blue of three bands, else the first three; or the first one, in grey.

    Other types than uint8 are stretched from the 2nd to the 98th percentile.
    """
    bands = pixels[::-1] if len(pixels) == 3 else pixels[: 3 if len(pixels) > 3 else 1]
    if bands.dtype != np.uint8:
        low, high = percentile_range(bands, None)
        bands = scale_values(bands, (low, max(high, low + 1e-6))).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(bands, (3, *bands.shape[1:])).transpose(1, 2, 0))


def _images(data_batch: Any) -> Sequence[Any]:
    """Images (C, H, W) of a batch; of test-time augmentation's views the first, which is the image itself."""
    inputs: Sequence[Any] = (data_batch or {}).get("inputs", [])
    views = len(inputs) and (isinstance(inputs[0], (list, tuple)) or inputs[0].ndim == _BATCH_AXES)
    return inputs[0] if views else inputs


def picture_name(sample: Any, names: Mapping[str, str]) -> str:
    """``<set>_<stem>`` of a tested image; ``names`` has what stands for the stem where that is not unique."""
    path = sample.get("img_path") or "image"
    stem, name = names.get(str(Path(path)), Path(path).stem), sample.get("dataset_name")
    return f"{name}_{stem}" if name else stem


def sample_picture(
    sample: Any, pixels: Any, height: int = _HEIGHT, predicted: str | None = None, meta: Mapping[str, Any] | None = None
) -> np.ndarray:
    """Image, truth where it is there, and prediction, side by side; or the image above the names of its labels.

    Args:
        sample: What a model predicts, with ``pred_sem_seg``; or, of labels per image, with ``pred_score``.
        pixels: (C, H, W) tensor, as the data set gives it.
        height: Largest height of the images in pixels.
        predicted: Class table of the predictions, where it is not the set's own.
        meta: ``classes`` and ``palette`` of sets without a class table.

    Returns:
        (h, w, 3) uint8, red, green, blue.
    """
    image = viewable(pixels.cpu().numpy())
    if "pred_sem_seg" not in sample:
        return _labelled(image, sample, height, (meta or {}).get("classes"))
    own = _names(sample.get("table"), meta)
    legends = {"truth": own, "prediction": _names(predicted, None) if predicted else own}
    maps = {"truth": sample.gt_sem_seg} if "gt_sem_seg" in sample else {}
    shown = {what: item.data.squeeze(0).cpu().numpy() for what, item in
             {**maps, "prediction": sample.pred_sem_seg}.items()}  # fmt: skip
    return class_panels(image, shown, legends, height)


def class_panels(
    image: np.ndarray, maps: Mapping[str, np.ndarray], legends: Mapping[str, Legend], height: int = _HEIGHT
) -> np.ndarray:
    """An image and label maps of it, side by side over a legend; pixels without a label are hatched.

    Args:
        image: (H, W, 3) uint8, red, green, blue.
        maps: (H, W) class ids or 255, by title.
        legends: Names and colours of the classes of each map.
        height: Largest height of the images in pixels.

    Returns:
        (h, w, 3) uint8, red, green, blue.
    """
    rows = min(height, image.shape[0])
    size = max(1, round(image.shape[1] * rows / image.shape[0])), rows
    image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BOX))
    pictures, entries = [image], list[Entry]()
    for what, labels in maps.items():  # shrunk first, so that stripes stay stripes
        small = np.asarray(Image.fromarray(labels.astype(np.uint8)).resize(size, Image.Resampling.NEAREST))
        pictures.append(hatch(blend(image, small, legends[what][1], 0.6), small == IGNORE, over=True))
    for classes, palette in dict.fromkeys(legends.values()):
        alike = [labels for what, labels in maps.items() if legends[what] == (classes, palette)]
        entries += class_entries(alike, classes, palette, "no label")
    entries = sorted(dict.fromkeys(entries), key=lambda entry: entry[1] is None)
    return add_legend(panel(pictures, ["image", *maps]), entries)


def _names(table: str | None, meta: Mapping[str, Any] | None) -> Legend:
    """Names and colours of the classes of a class table, else those of ``meta``."""
    if table is not None:
        return load_metainfo(table).classes, load_metainfo(table).palette
    known = meta or {}
    return tuple(known.get("classes") or ()), tuple(map(tuple, known.get("palette") or ()))


def _labelled(image: np.ndarray, sample: Any, height: int, classes: Sequence[str] | None) -> np.ndarray:
    """An image above two lines: the names of its labels, and of those with a probability of one half or more."""
    found = {"prediction": (sample.pred_score >= 0.5).nonzero().flatten().tolist()}
    if "gt_label" in sample:
        found = {"truth": sample.gt_label.tolist(), **found}
    side = min(height, 4 * image.shape[0])
    image = cv2.resize(image, (side * image.shape[1] // image.shape[0], side), interpolation=cv2.INTER_NEAREST)
    rows = [image]
    for what, ids in found.items():
        text = f"{what}: {', '.join(classes[i] if classes else str(i) for i in ids) or 'none'}"
        rows.append(np.full((20, image.shape[1], 3), 255, np.uint8))
        cv2.putText(rows[-1], text, (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20), 1, cv2.LINE_AA)
    return np.concatenate(rows)


@HOOKS.register_module()
class SampleVisualizationHook(Hook):
    """Give pictures of samples to the visualizer, and so to all its backends: files, TensorBoard and others.

    It stands in ``default_hooks.visualization``, where mmseg's ``tools/test.py --show-dir`` and mmpretrain's look for a
    hook to switch on, and does what mmseg's ``SegVisualizationHook`` does for images of any bands and number type.
    In a validation pictures are of the same images each time; of a test, of all images (of the first process).

    Args:
        draw: Whether anything is drawn; mmseg's tools set it.
        interval: In a validation, batches from one picture to the next.
        show: Show pictures in a window instead.
        wait_time: Seconds that a window stays.
        enable: Like ``draw``; mmpretrain's tools set it.
        out_dir: Folder for pictures as files, instead of the visualizer; mmpretrain's tools set it.
        height: Largest height of the images in pixels.
        backend_args: Not used; images come from the batch.
    """

    priority = "LOW"

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        show: bool = False,
        wait_time: float = 0.0,
        enable: bool = False,
        out_dir: str | None = None,
        height: int = _HEIGHT,
        backend_args: Any = None,
    ) -> None:
        self.draw, self.interval, self.show, self.wait_time = draw or enable, interval, show, wait_time
        self.out_dir, self.height = None if out_dir is None else Path(out_dir), height
        self.names: Mapping[str, str] = {}
        """Name of an image's picture by the image's path, where that is not its stem."""

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Draw the first image of every ``interval``-th batch."""
        if batch_idx % self.interval == 0:
            self._draw(runner, "val", data_batch, (outputs or ())[:1], runner.iter)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Draw every image."""
        self._draw(runner, "test", data_batch, outputs or (), 0)

    def _draw(self, runner: Runner, split: str, data_batch: Any, outputs: Sequence[Any], step: int) -> None:
        if not self.draw or not is_main_process():
            return
        visualizer = runner.visualizer
        for sample, pixels in zip(outputs, _images(data_batch), strict=False):
            picture = sample_picture(sample.cpu(), pixels, self.height, meta=visualizer.dataset_meta)
            name = f"{split}_{picture_name(sample, self.names)}.png"  # as mmseg's; MLflow looks at the suffix
            if self.show:
                visualizer.show(picture, win_name=name, wait_time=self.wait_time)
            elif self.out_dir is not None:
                self.out_dir.mkdir(parents=True, exist_ok=True)
                Image.fromarray(picture).save(self.out_dir / name)
            else:
                visualizer.add_image(name, picture, step)


@HOOKS.register_module()
class LogTestScores(Hook):
    """Give the scores of a test to the visualizer, as mmengine does with those of validations: ``test/<score>``."""

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Log what are numbers."""
        numbers = {f"test/{key}": value for key, value in (metrics or {}).items() if isinstance(value, (int, float))}
        if numbers:
            runner.visualizer.add_scalars(numbers)


@HOOKS.register_module()
class SavePictures(Hook):
    """Write image, truth and prediction side by side for tested images: ``<out_dir>/<set>_<stem>.png``.

    A legend names the classes that occur; pixels without a label are hatched.
    The files are written by a thread of their own; testing does not wait for them.

    Args:
        out_dir: Folder.
        limit: Largest number of pictures per process.
        height: Height of the pictures in pixels; larger images are shrunk.
        predicted: Class table of the predictions, where it is not the set's own.
    """

    priority = "LOW"

    def __init__(self, out_dir: str, limit: int = 100000, height: int = 512, predicted: str | None = None) -> None:
        self.predicted = predicted
        self.out_dir, self.limit, self.height, self.done = Path(out_dir), limit, height, 0
        self._writer: Writer | None = None
        self.names: Mapping[str, str] = {}
        """Name of an image's picture by the image's path, where that is not its stem."""

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence[Any] | None = None
    ) -> None:
        """Write the pictures of this batch."""
        for sample, pixels in zip(outputs or [], _images(data_batch), strict=True):
            if self.done < self.limit:
                self.done += 1
                self._writer = self._writer or Writer()
                meta = getattr(runner.test_dataloader.dataset, "metainfo", None)
                self._writer.submit_checked(self._save, sample.cpu(), pixels, meta)

    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Wait until all pictures are on disk."""
        if self._writer is not None:
            self._writer.close_checked()
            self._writer = None

    def _save(self, sample: Any, pixels: Any, meta: Mapping[str, Any] | None = None) -> None:
        picture = sample_picture(sample, pixels, self.height, self.predicted, meta)
        self.out_dir.mkdir(parents=True, exist_ok=True)
        with replacing(self.out_dir / f"{picture_name(sample, self.names)}.png") as file:
            Image.fromarray(picture).save(file, "PNG")
