"""Masks by a small network of one's own, trained by ``rsseg train-boxmask`` on a few images with masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file
from rsseg.structures.box_frames import box_frames, cut_frame, paste_logits, to_frame
from rsseg.structures.boxes import hbox_to_qbox

__all__ = ["BoxMaskPredictor"]

_PRECISIONS = ("auto", "fp32", "bf16")
_VIEWS = (1, 4, 8)


@MODELS.register_module()
class BoxMaskPredictor:
    """Masks by the box-to-mask network; the predicted IoU is calibrated on masks that it was not trained on.

    All boxes of an image go through the network in batches.  A mask never leaves its box.

    Args:
        checkpoint: What ``rsseg train-boxmask`` wrote, ``boxmask.pth``; also ``hf://...``.
        batch: Boxes that are computed together.
        views: 4 averages each crop and its mirror images, 8 their quarter turns as well: better masks, in as many times
            the time (docs/results.md).
        precision: ``bf16``, ``fp32``, or ``auto``, which takes bfloat16 where the device computes it.
        device: A torch device; a GPU where there is one by default.

    Raises:
        ConfigError: No checkpoint is given, or an option is not allowed.
        FileNotFoundError: There is no such file.
        DataError: It is something else than ``rsseg train-boxmask`` writes.
    """

    needs_gt_masks = False

    def __init__(
        self,
        checkpoint: str | None = None,
        batch: int = 32,
        views: int = 1,
        precision: str = "auto",
        device: str | None = None,
    ) -> None:
        if checkpoint is None:
            raise ConfigError(
                "BoxMaskPredictor needs a checkpoint: --checkpoint FILE, the boxmask.pth of rsseg train-boxmask"
            )
        if batch < 1:
            raise ConfigError(f"batch must be at least 1, not {batch}")
        if precision not in _PRECISIONS:
            raise ConfigError(f"precision must be one of {', '.join(_PRECISIONS)}, not {precision!r}")
        if views not in _VIEWS:
            raise ConfigError(f"views must be one of {', '.join(map(str, _VIEWS))}, not {views!r}")
        import torch

        from rsseg.models.boxmask.inference import TrainedBoxMask

        path = local_file(checkpoint)
        device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        self.network = TrainedBoxMask(path, precision, device, views)
        self.batch = batch
        self._about = {
            "name": "BoxMaskPredictor",
            "weights": path.name,
            "sha256": sha256_of(path),
            "views": views,
            "precision": self.network.precision,
            "batch": batch,
            "training": self.network.training,
        }

    def describe(self) -> dict[str, Any]:
        """Settings, sha256 of the weights and what they were trained on, for the manifest."""
        return dict(self._about)

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the boxes in ``image`` (H, W, 3) uint8 RGB, with calibrated scores and stability.

        Raises:
            ConfigError: There are no boxes, or prompts that this network cannot take.
        """
        boxes = prompts.need_boxes("BoxMaskPredictor")
        if prompts.points is not None or prompts.has_masks:
            raise ConfigError(
                "BoxMaskPredictor takes boxes alone, not points or masks; choose the prompt 'hbox' or 'rhbox'"
            )
        shape, size = (int(image.shape[0]), int(image.shape[1])), int(self.network.settings["size"])
        frames = box_frames(boxes, self.network.settings["context"], self.network.settings["least"])
        corners = to_frame(hbox_to_qbox(boxes), frames, size)
        rotated = None if prompts.qboxes is None else to_frame(prompts.qboxes, frames, size)
        masks, scores, stability = [], np.zeros(len(boxes)), np.zeros(len(boxes))
        for start in range(0, len(boxes), self.batch):
            rows = slice(start, start + self.batch)
            crops = np.stack([cut_frame(image, frame, size) for frame in frames[rows]])
            found = self.network.ask(crops, corners[rows], None if rotated is None else rotated[rows])
            scores[rows], stability[rows] = found.predicted_iou, found.stability
            planes = zip(found.logits, frames[rows], boxes[rows], strict=True)
            masks += [paste_logits(plane, frame, box, shape) for plane, frame, box in planes]
        found_nothing = np.array([mask.area == 0 for mask in masks], bool)
        scores[found_nothing] = stability[found_nothing] = 0.0
        return Prediction(masks, scores, stability)
