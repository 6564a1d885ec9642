"""Segment Anything: the image is encoded once, every object decoded from it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.predictors.sam_models import ENCODERS, build_sam, load_sam, own_device
from rsseg.conversion.predictors.upsample import Upsampled, Upsampler
from rsseg.conversion.prompts import Prompts
from rsseg.engine.precision import matmul_precision
from rsseg.errors import ConfigError
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file

__all__ = ["Encoded", "SAMPredictor", "mask_input"]

_log = logging.getLogger("rsseg")

_BOX_BATCH = 64
"""Boxes decoded together on a GPU."""
_BATCH_MARGIN = 2e-5
"""Share of the largest absolute logit by which a batch may differ from single boxes; see ``SAMPredictor``."""
_BATCH_SAFETY = 5
"""How many times smaller than that the difference must be where it is looked at."""
_MASK_PROMPT = 1000.0
"""Logit of a mask prompt inside, and minus that outside.  Source: SAMRS release, section 1.10 of its study."""


_PRECISIONS: dict[str, Callable[[torch.device], AbstractContextManager[Any]]] = {
    "fp32": lambda device: nullcontext(),
    "tf32": lambda device: matmul_precision("high"),
    "bf16": lambda device: torch.autocast(device.type, torch.bfloat16),
}


class Encoded(NamedTuple):
    """What SAM keeps of an image.

    Attributes:
        features: (1, 256, h, w) float32 on the model's device.
        input_size: (H, W) of the image inside SAM's frame, without the padding.
        size: (H, W) of the image itself.
    """

    features: torch.Tensor
    input_size: tuple[int, int]
    size: tuple[int, int]


@MODELS.register_module()
class SAMPredictor:
    """Masks from Segment Anything, prompted with a point, a box, a mask or several of these.

    Masks have the same bits as those of ``SamPredictor.predict_torch`` called object by object.  With a
    ``box_batch`` of 1 that follows from how they are computed (see :mod:`rsseg.conversion.predictors.upsample`).
    Larger batches round differently: up to 1.2e-6 of the largest logit (measured on a CPU, random ViT-B and smaller
    models).  A mask that 2e-5 could change is decoded again, alone; the first object of each batch is too, and where
    it differs by more than 4e-6 the batch is not used.  That this is enough is measured, not proven.

    Args:
        model: ``vit_h``, ``vit_l``, ``vit_b`` or ``vit_t`` (MobileSAM), or a dict for :func:`build_sam`.
        checkpoint: Weights of that model; read with ``weights_only=True``.
        random_seed: Without a checkpoint: seed for random weights.  Their masks mean nothing; log and manifest
            say so.  For trying out a pipeline only.
        box_batch: Objects decoded together; by default 1 on a CPU, where more are no faster, and 64 on a GPU.
        device: ``cpu``, ``cuda:1`` ...; by default this process's own GPU where there are any.
        samrs_compat_points: Leave points in tile pixels instead of moving them to SAM's frame, as the SAMRS
            release did by mistake; for comparisons with its table 1 only.
        precision: Of the image encoder: ``fp32``, or ``tf32`` (GPU only) or ``bf16``, which are faster and not exact.
            ``fp32`` leaves torch's switches alone; by default cuDNN's convolutions use TF32 then, as in
            ``SamPredictor``.  The decoder stays in ``fp32``.
        tile_batch: Images encoded together; above 1 is not exact.
        compile: Compile the encoder with ``torch.compile``; not exact.

    Raises:
        ImportError: segment-anything is not installed.
        FileNotFoundError: There is no such checkpoint.
        ConfigError: Neither checkpoint nor seed is given, the model is unknown, its weights do not fit, or an option
            has a value that is not allowed.

    Source: SAMRS release, sections 1.5 and 1.6 of its study: mask token 0, threshold 0, no score filter.
    """

    needs_gt_masks = False
    reads_points = True

    def __init__(
        self,
        model: str | dict[str, Any] = "vit_h",
        checkpoint: str | None = None,
        random_seed: int | None = None,
        box_batch: int | None = None,
        device: str | None = None,
        samrs_compat_points: bool = False,
        precision: str = "fp32",
        tile_batch: int = 1,
        compile: bool = False,
    ) -> None:
        self.device = torch.device(device or own_device())
        self.box_batch = box_batch if box_batch is not None else 1 if self.device.type == "cpu" else _BOX_BATCH
        self.samrs_compat_points = samrs_compat_points
        self.precision, self.tile_batch = precision, tile_batch
        self._check()
        self.sam, self._about = _load(model, checkpoint, random_seed)
        self.sam.to(self.device)
        self.compiled = compile
        self._encoder = torch.compile(self.sam.image_encoder) if compile else self.sam.image_encoder

    def _check(self) -> None:
        for name in ("box_batch", "tile_batch"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.precision not in _PRECISIONS:
            raise ConfigError(f"precision must be one of {', '.join(_PRECISIONS)}, not {self.precision!r}")
        if self.precision == "tf32" and self.device.type != "cuda":
            raise ConfigError(f"precision='tf32' needs an NVIDIA GPU, but the model runs on {self.device}")

    @property
    def exact(self) -> bool:
        """Whether the encoder computes what SAM's own predictor computes."""
        return self.precision == "fp32" and self.tile_batch == 1 and not self.compiled

    def exact_twin(self) -> SAMPredictor:
        """This model with all options off that are not exact; it shares the weights."""
        twin = copy.copy(self)
        twin.precision, twin.tile_batch, twin.compiled = "fp32", 1, False
        twin._encoder = self.sam.image_encoder
        return twin

    def describe(self) -> dict[str, Any]:
        """Settings and sha256 of the weights, for the manifest."""
        names = ("box_batch", "samrs_compat_points", "precision", "tile_batch")
        return {**self._about, **{name: getattr(self, name) for name in names}, "compile": self.compiled}

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in ``image`` (H, W, 3) uint8 RGB of any size.

        Raises:
            ConfigError: There are no prompts that SAM understands.
        """
        if not prompts.count:
            return Prediction([], np.zeros(0), np.zeros(0))
        return self.decode(self.encode([image])[0], prompts)

    @torch.no_grad()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Encoded]:
        """What SAM keeps of each image (H, W, 3) uint8 RGB of any size; ``tile_batch`` of them go in together."""
        done: list[Encoded] = []
        for start in range(0, len(images), self.tile_batch):
            chunk = images[start : start + self.tile_batch]
            inputs = [self._input(image) for image in chunk]
            frames = torch.cat([self.sam.preprocess(pixels) for pixels in inputs])
            with _PRECISIONS[self.precision](self.device):
                features = self._encoder(frames).float()
            for i, (image, pixels) in enumerate(zip(chunk, inputs, strict=True)):
                (height, width), (h, w) = image.shape[:2], pixels.shape[-2:]
                done.append(Encoded(features[i : i + 1], (h, w), (height, width)))
        return done

    @torch.no_grad()
    def decode(self, encoded: Encoded, prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in an image that went through :meth:`encode`.

        Raises:
            ConfigError: There are no prompts that SAM understands.
        """
        if prompts.points is None and prompts.boxes is None and not prompts.has_masks:
            raise ConfigError("SAMPredictor needs points, boxes or masks; choose a prompt such as 'hbox' or 'cp+hbox'")
        found: list[Upsampled] = []
        scores = np.zeros(prompts.count)
        upsampler = self._upsampler(encoded)
        for start in range(0, prompts.count, self.box_batch):
            rows = range(start, min(start + self.box_batch, prompts.count))
            low, iou = self._logits(encoded, prompts, rows)
            batched = len(rows) > 1
            close = not batched or self._close(low[:1], self._logits(encoded, prompts, rows[:1])[0])
            for i, row in enumerate(rows):
                margin = _BATCH_MARGIN if batched else 0.0
                mask = self._find(upsampler, low[i : i + 1], encoded, margin) if close else None
                if mask is None:
                    alone, iou[i : i + 1] = self._logits(encoded, prompts, range(row, row + 1))
                    mask = self._find(upsampler, alone, encoded, 0.0)
                    assert mask is not None
                found.append(mask)
            scores[rows.start : rows.stop] = iou[:, 0].cpu().numpy()
        return Prediction([mask for mask, _ in found], scores, np.array([stability for _, stability in found]))

    def _input(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """The image (1, 3, h, w) uint8 with its long side as long as SAM's frame."""
        pixels = self._transform().apply_image(np.ascontiguousarray(image))
        return torch.as_tensor(pixels, device=self.device).permute(2, 0, 1).contiguous()[None]

    def _transform(self) -> Any:
        from segment_anything.utils.transforms import ResizeLongestSide

        return ResizeLongestSide(self.sam.image_encoder.img_size)

    def _upsampler(self, encoded: Encoded) -> Upsampler:
        height, width = self.sam.prompt_encoder.mask_input_size  # as large as the logits
        sizes = self.sam.image_encoder.img_size, encoded.input_size, encoded.size
        return Upsampler((height, width), *sizes, self.sam.mask_threshold, str(self.device))

    def _close(self, batched: torch.Tensor, alone: torch.Tensor) -> bool:
        """Whether logits from a batch are as near to those of the object alone as the margin takes for granted."""
        error = float((batched - alone).abs().max() / alone.abs().max())
        if error * _BATCH_SAFETY <= _BATCH_MARGIN:
            return True
        _log.warning("on %s a batch of objects changes SAM's logits by %.1e; decoding singly", self.device, error)
        return False

    def _find(self, upsampler: Upsampler, low: torch.Tensor, encoded: Encoded, margin: float) -> Upsampled | None:
        def exact() -> NDArray[np.float32]:
            values = self.sam.postprocess_masks(low, encoded.input_size, encoded.size)[0, 0].cpu().numpy()
            return np.asarray(values, np.float32)

        return upsampler.find(low[0, 0].cpu().numpy(), exact, margin)

    def _logits(self, encoded: Encoded, prompts: Prompts, rows: range) -> tuple[torch.Tensor, torch.Tensor]:
        """Small logits (B, 1, 256, 256) and predicted IoU (B, 1) of some objects."""
        some = slice(rows.start, rows.stop)
        transform, points, boxes, masks = self._transform(), None, None, None
        if prompts.points is not None and prompts.point_labels is not None:
            at = torch.as_tensor(prompts.points[some], dtype=torch.float, device=self.device)
            if not self.samrs_compat_points:
                at = transform.apply_coords_torch(at, encoded.size)
            points = at, torch.as_tensor(prompts.point_labels[some], dtype=torch.int, device=self.device)
        if prompts.boxes is not None:
            boxes = torch.as_tensor(prompts.boxes[some], dtype=torch.float, device=self.device)
            boxes = transform.apply_boxes_torch(boxes, encoded.size)
        if prompts.has_masks:
            frame = self.sam.image_encoder.img_size, self.sam.prompt_encoder.mask_input_size
            drawn = [mask_input(prompts.draw_mask(i, encoded.size), encoded.input_size, *frame) for i in rows]
            masks = torch.as_tensor(np.stack(drawn)[:, None], device=self.device)
        with matmul_precision("highest") if self.precision == "tf32" else nullcontext():
            sparse, dense = self.sam.prompt_encoder(points=points, boxes=boxes, masks=masks)
            low, iou = self.sam.mask_decoder(
                image_embeddings=encoded.features,
                image_pe=self.sam.prompt_encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=dense,
                multimask_output=False,
            )
        return low, iou


def _load(model: str | dict[str, Any], checkpoint: str | None, random_seed: int | None) -> tuple[Any, dict[str, Any]]:
    """The model, and what the manifest says about it and its weights."""
    if isinstance(model, str) and model not in ENCODERS:
        raise ConfigError(
            f"unknown SAM model {model!r}; expected one of: {', '.join(ENCODERS)}, or give encoder settings"
        )
    settings = ENCODERS[model] if isinstance(model, str) else dict(model)
    about: dict[str, Any] = {"name": "SAMPredictor", "model": model if isinstance(model, str) else settings}
    if checkpoint is not None:
        path = local_file(checkpoint)
        return load_sam(settings, path, model), {**about, "weights": path.name, "sha256": sha256_of(path)}
    if random_seed is None:
        raise ConfigError(
            "SAMPredictor needs weights: --cfg-options predictors.sam.checkpoint=FILE "
            "(for example sam_vit_h_4b8939.pth from the Segment Anything repository)"
        )
    _log.warning("SAM RUNS WITH RANDOM WEIGHTS (seed %d): its masks are not usable.", random_seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random_seed)
        return build_sam(settings), {**about, "weights": "random weights", "random_seed": random_seed}


def mask_input(
    drawn: NDArray[np.bool_], input_size: tuple[int, int], side: int, low: tuple[int, int]
) -> NDArray[np.float32]:
    """A mask prompt (H, W) as SAM's small logits.

    Args:
        drawn: The mask in image pixels.
        input_size: (H, W) of the image inside SAM's frame.
        side: Of that frame.
        low: (h, w) of the small logits.

    Source: SAMRS release, section 1.10 of its study.
    """
    logits = np.where(drawn, _MASK_PROMPT, -_MASK_PROMPT)
    frame = np.full((side, side), -_MASK_PROMPT)
    frame[: input_size[0], : input_size[1]] = cv2.resize(logits, input_size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(frame, low[::-1], interpolation=cv2.INTER_LINEAR), np.float32)
