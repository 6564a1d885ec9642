"""Segment Anything: the image is encoded once, every object decoded from it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.predictors.sam_models import ENCODERS, build_sam, load_sam, own_device, sha256_of
from rsseg.conversion.prompts import Prompts
from rsseg.structures.masks import MaskCrop, crop_mask

__all__ = ["SAMPredictor"]

_log = logging.getLogger("rsseg")

_STABILITY_OFFSET = 1.0


@MODELS.register_module()
class SAMPredictor:
    """Masks from Segment Anything, prompted with boxes.

    With the default ``box_batch=1`` masks are bit-identical to ``SamPredictor.predict_torch`` called box by box.
    Larger batches are not (matrix products of another size round differently: about 1e-7 in the logits, single
    pixels at mask borders), and on a CPU they are no faster.

    Args:
        model: ``vit_h``, ``vit_l`` or ``vit_b``, or a dict for :func:`build_sam`.
        checkpoint: Weights of that model; read with ``weights_only=True``.
        random_seed: Without a checkpoint: seed for random weights.  Their masks mean nothing; log and manifest
            say so.  For trying out a pipeline only.
        box_batch: Boxes decoded together; above 1 is faster on a GPU but not exact.
        device: ``cpu``, ``cuda:1`` ...; by default this process's own GPU where there are any.

    Raises:
        ImportError: segment-anything is not installed.
        FileNotFoundError: There is no such checkpoint.
        ValueError: Neither checkpoint nor seed is given, the model is unknown, or its weights do not fit.

    Source: SAMRS release, sections 1.5 and 1.6 of its study: mask token 0, threshold 0, no score filter.
    """

    needs_truth = False

    def __init__(
        self,
        model: str | dict[str, Any] = "vit_h",
        checkpoint: str | None = None,
        random_seed: int | None = None,
        box_batch: int = 1,
        device: str | None = None,
    ) -> None:
        if isinstance(model, str) and model not in ENCODERS:
            raise ValueError(f"no SAM model {model!r}; there are {', '.join(ENCODERS)}, or give encoder settings")
        if box_batch < 1:
            raise ValueError(f"box_batch must be at least 1, not {box_batch}")
        settings = ENCODERS[model] if isinstance(model, str) else dict(model)
        self.box_batch = box_batch
        self._about: dict[str, Any] = {"name": "SAMPredictor", "model": model if isinstance(model, str) else settings}
        self._about |= {"box_batch": box_batch}
        if checkpoint is not None:
            self.sam = load_sam(settings, Path(checkpoint), model)
            self._about |= {"weights": Path(checkpoint).name, "sha256": sha256_of(Path(checkpoint))}
        elif random_seed is not None:
            _log.warning("SAM RUNS WITH RANDOM WEIGHTS (seed %d): its masks mean nothing.", random_seed)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(random_seed)
                self.sam = build_sam(settings)
            self._about |= {"weights": "random weights", "random_seed": random_seed}
        else:
            raise ValueError(
                "SAMPredictor needs weights: --cfg-options predictors.sam.checkpoint=FILE "
                "(sam_vit_h_4b8939.pth and its kin, from the Segment Anything repository)"
            )
        self.sam.to(device or own_device())

    def describe(self) -> dict[str, Any]:
        """Settings and sha256 of the weights, for the manifest."""
        return dict(self._about)

    @torch.inference_mode()
    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the boxes in ``image`` (H, W, 3) uint8 RGB of any size.

        Raises:
            ValueError: There are no box prompts.
        """
        from segment_anything import SamPredictor

        boxes = prompts.need_boxes("SAMPredictor")
        if not len(boxes):
            return Prediction([], np.zeros(0), np.zeros(0))
        predictor = SamPredictor(self.sam)
        predictor.set_image(np.ascontiguousarray(image))
        size = predictor.original_size
        frame = torch.as_tensor(boxes, dtype=torch.float, device=predictor.device)
        frame = predictor.transform.apply_boxes_torch(frame, size)
        masks: list[MaskCrop] = []
        scores, stability = np.zeros(len(boxes)), np.zeros(len(boxes))
        for start in range(0, len(boxes), self.box_batch):
            low, iou = self._decode(predictor, frame[start : start + self.box_batch])
            for i in range(len(low)):
                logits = self.sam.postprocess_masks(low[i : i + 1], predictor.input_size, size)[0, 0]
                masks.append(crop_mask((logits > self.sam.mask_threshold).cpu().numpy()))
                scores[start + i] = float(iou[i, 0])
                stability[start + i] = _stability(logits, self.sam.mask_threshold)
        return Prediction(masks, scores, stability)

    def _decode(self, predictor: Any, boxes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        sparse, dense = self.sam.prompt_encoder(points=None, boxes=boxes, masks=None)
        low, iou = self.sam.mask_decoder(
            image_embeddings=predictor.features,
            image_pe=self.sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        return low, iou


def _stability(logits: torch.Tensor, threshold: float) -> float:
    """Overlap of the masks at threshold + 1 and - 1.  Source: segment_anything, utils/amg.py."""
    inner = int((logits > threshold + _STABILITY_OFFSET).sum())
    outer = int((logits > threshold - _STABILITY_OFFSET).sum())
    return inner / outer if outer else 0.0
