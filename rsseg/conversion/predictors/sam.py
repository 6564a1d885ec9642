"""Segment Anything: the image is encoded once, every object decoded from it."""

from __future__ import annotations

import hashlib
import logging
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.prompts import Prompts
from rsseg.structures.masks import MaskCrop, crop_mask

__all__ = ["SAMPredictor", "build_sam"]

_log = logging.getLogger("rsseg")

_ENCODERS: dict[str, dict[str, Any]] = {
    "vit_h": {"embed_dim": 1280, "depth": 32, "num_heads": 16, "global_attn_indexes": (7, 15, 23, 31)},
    "vit_l": {"embed_dim": 1024, "depth": 24, "num_heads": 16, "global_attn_indexes": (5, 11, 17, 23)},
    "vit_b": {"embed_dim": 768, "depth": 12, "num_heads": 12, "global_attn_indexes": (2, 5, 8, 11)},
}
_STABILITY_OFFSET = 1.0


def build_sam(settings: dict[str, Any]) -> Any:
    """A Segment Anything model with fresh weights, in evaluation mode.

    Args:
        settings: ``embed_dim``, ``depth``, ``num_heads``, ``global_attn_indexes`` of the image encoder, and its
            ``img_size`` (input side in pixels, a multiple of 16; default 1024, as published).

    Raises:
        ImportError: segment-anything is not installed.

    Source: segment_anything 1.0, build_sam.py.
    """
    try:
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    except ImportError as error:
        raise ImportError('SAMPredictor needs segment-anything: pip install "rsseg[optional]"') from error
    settings = {"img_size": 1024, **settings}
    grid = settings["img_size"] // 16
    encoder = ImageEncoderViT(
        mlp_ratio=4,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        out_chans=256,
        patch_size=16,
        qkv_bias=True,
        use_rel_pos=True,
        window_size=14,
        **settings,
    )
    prompt = PromptEncoder(
        embed_dim=256,
        image_embedding_size=(grid, grid),
        input_image_size=(settings["img_size"], settings["img_size"]),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        transformer_dim=256,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    return Sam(encoder, prompt, decoder, pixel_mean=mean, pixel_std=std).eval()


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
        if isinstance(model, str) and model not in _ENCODERS:
            raise ValueError(f"no SAM model {model!r}; there are {', '.join(_ENCODERS)}, or give encoder settings")
        if box_batch < 1:
            raise ValueError(f"box_batch must be at least 1, not {box_batch}")
        settings = _ENCODERS[model] if isinstance(model, str) else dict(model)
        self.box_batch = box_batch
        self._about: dict[str, Any] = {"name": "SAMPredictor", "model": model if isinstance(model, str) else settings}
        self._about |= {"box_batch": box_batch}
        if checkpoint is not None:
            self.sam = _load(settings, Path(checkpoint), model)
            self._about |= {"weights": Path(checkpoint).name, "sha256": _sha256(Path(checkpoint))}
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
        self.sam.to(device or _own_device())

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


def _own_device() -> str:
    """The GPU of this process when several were started by torchrun or Slurm, else the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    local = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
    return f"cuda:{local % torch.cuda.device_count()}"


def _stability(logits: torch.Tensor, threshold: float) -> float:
    """Overlap of the masks at threshold + 1 and - 1.  Source: segment_anything, utils/amg.py."""
    inner = int((logits > threshold + _STABILITY_OFFSET).sum())
    outer = int((logits > threshold - _STABILITY_OFFSET).sum())
    return inner / outer if outer else 0.0


def _load(settings: dict[str, Any], path: Path, model: str | dict[str, Any]) -> Any:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such SAM checkpoint; give another with predictors.sam.checkpoint=FILE")
    sam = build_sam(settings)
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        sam.load_state_dict(state)
    except RuntimeError as error:
        found = state.get("image_encoder.pos_embed")
        width = None if found is None else found.shape[-1]
        names = [name for name, row in _ENCODERS.items() if row["embed_dim"] == width]
        hint = f"it looks like {names[0]}" if names else "it is none of " + ", ".join(_ENCODERS)
        raise ValueError(f"{path}: these weights do not fit SAM {model!r}; {hint}") from error
    return sam


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()
