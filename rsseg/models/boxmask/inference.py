"""A trained box-to-mask network: read from its file, and asked about crops."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file
from rsseg.models.boxmask.crops import box_maps
from rsseg.models.boxmask.folded import FoldedNetwork, has_bf16
from rsseg.models.boxmask.network import BoxMaskDecoder
from rsseg.models.boxmask.score import BOX_MASK_FORMAT, calibrate, expected_iou, stability

__all__ = ["CropMasks", "TrainedBoxMask", "load_box_mask"]

_META = ("settings", "training", "calibration")
_SETTINGS = ("model_name", "channels", "size", "context", "least", "mean", "std")


class CropMasks(NamedTuple):
    """What the network says of N crops.

    Attributes:
        logits: (N, S, S) float32.
        predicted_iou: (N,) float64, calibrated.
        stability: (N,) float64.
    """

    logits: NDArray[np.float32]
    predicted_iou: NDArray[np.float64]
    stability: NDArray[np.float64]


class TrainedBoxMask:
    """A network for inference.

    Args:
        path: What ``rsseg train-boxmask`` wrote.
        precision: ``bf16``, ``fp32``, or ``auto``, which takes bfloat16 where the device computes it.
        device: A torch device.
        views: 4 averages each crop and its mirror images, 8 also their quarter turns.

    Attributes:
        settings: ``size``, ``context``, ``least`` and the rest of what it was built with.
        training: What the file says of the training.
        precision: The one that was chosen.
    """

    def __init__(self, path: Path, precision: str, device: str, views: int) -> None:
        self._network, meta = load_box_mask(path)
        self.settings: dict[str, Any] = dict(meta["settings"])
        self.training: dict[str, Any] = dict(meta["training"])
        self._curve = tuple(meta["calibration"])
        if precision == "auto":
            precision = "bf16" if has_bf16(device) else "fp32"
        self.precision, self._device, self._views = precision, device, views
        self._network.to(device, torch.bfloat16 if precision == "bf16" else torch.float32)

    @torch.inference_mode()
    def ask(
        self, crops: NDArray[np.uint8], boxes: NDArray[np.float64], rboxes: NDArray[np.float64] | None
    ) -> CropMasks:
        """Masks of the objects in the boxes.

        Args:
            crops: (N, S, S, 3) uint8 RGB.
            boxes: (N, 4, 2) corners of the boxes in crop pixels.
            rboxes: (N, 4, 2) corners of the rotated boxes, where they are known.
        """
        count, size = crops.shape[:2]
        pixels = torch.from_numpy(crops).to(self._device).permute(0, 3, 1, 2).float()
        prompts = torch.zeros(count, 2, size, size, device=self._device)
        for channel, corners in enumerate((boxes, rboxes)):
            if corners is not None:
                prompts[:, channel] = box_maps(torch.from_numpy(corners).float().to(self._device), size)
        logits = self._logits(pixels, prompts)
        inside = prompts[:, :1] > 0
        thin = ~inside.any(dim=-1, keepdim=True).any(dim=-2, keepdim=True)  # between two rows of the crop's pixels
        inside = inside | (thin & (prompts[:, :1] > -1))
        scores = calibrate(_to_numpy(expected_iou(logits, inside)), self._curve)
        return CropMasks(logits[:, 0].cpu().numpy(), scores, _to_numpy(stability(logits, inside)))

    def _logits(self, pixels: Tensor, prompts: Tensor) -> Tensor:
        found: Tensor = self._network(pixels, prompts)
        if self._views >= 4:
            for axes in ((-1,), (-2,), (-1, -2)):
                found = found + self._network(pixels.flip(axes), prompts.flip(axes)).flip(axes)
        if self._views == 8:  # of the transposed crop, which is a mirror image turned by a quarter
            pixels, prompts, found = pixels.mT, prompts.mT, found.mT
            found = found + self._network(pixels, prompts)
            for axes in ((-1,), (-2,), (-1, -2)):
                found = found + self._network(pixels.flip(axes), prompts.flip(axes)).flip(axes)
            found = found.mT
        return found / self._views


def load_box_mask(path: Path) -> tuple[FoldedNetwork, dict[str, Any]]:
    """The network of a file that ``rsseg train-boxmask`` wrote, float32 on the CPU, and its ``meta``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is something else, or its weights do not fit.
        ImportError: timm is not installed.
    """
    import timm

    content = load_file(path, trust=None, advice="train one first: rsseg train-boxmask CONFIG")
    meta = content.get("meta") if isinstance(content, Mapping) else None
    if not isinstance(meta, Mapping) or meta.get("boxmask") != BOX_MASK_FORMAT:
        raise DataError(
            f"{path}: this is no box-to-mask network; expected the boxmask.pth that rsseg train-boxmask writes into "
            "its work dir, not one of the checkpoints of the training"
        )
    lacking = [name for name in _META if name not in meta] or [n for n in _SETTINGS if n not in meta["settings"]]
    if lacking:
        raise DataError(f"{path}: is damaged, its meta lacks {lacking[0]!r}; train it again")
    try:
        settings, state = meta["settings"], content["state_dict"]
        encoder: Any = timm.create_model(settings["model_name"], features_only=True, pretrained=False)
        stem = encoder.conv_stem.out_channels
        decoder = BoxMaskDecoder(encoder.feature_info.channels(), stem, channels=settings["channels"])
        for prefix, part in (("backbone.timm_model.", encoder), ("decoder.", decoder)):
            part.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        network = FoldedNetwork(encoder.eval(), decoder.eval(), settings["mean"], settings["std"])
    except (RuntimeError, AttributeError, KeyError, TypeError) as error:
        raise DataError(f"{path}: its weights do not fit its settings ({error}); train it again") from error
    return network, dict(meta)


def _to_numpy(values: Tensor) -> NDArray[np.float64]:
    return np.asarray(values.to(torch.float64).cpu().numpy())
