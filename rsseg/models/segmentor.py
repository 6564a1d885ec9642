"""Encoder-decoder segmentation with sliding windows that cost no more than their pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from mmseg.models.segmentors import EncoderDecoder
from mmseg.registry import MODELS

from rsseg.command_list import command
from rsseg.errors import ConfigError
from rsseg.models.api import WithConfig
from rsseg.structures.keys import plain_key
from rsseg.structures.windows import tile_windows

__all__ = ["Segmentor", "check_pretrained", "slide_logits"]


def slide_logits(
    image: torch.Tensor,
    predict: Callable[[torch.Tensor], torch.Tensor],
    crop: tuple[int, int],
    stride: tuple[int, int],
) -> torch.Tensor:
    """Average logits of overlapping windows.

    Args:
        image: (N, 3, H, W) float tensor.
        predict: Logits (N, C, h, w) of a window (N, 3, h, w).
        crop: Window size (H, W); a smaller image is one window.
        stride: Step between windows (H, W).

    Returns:
        (N, C, H, W) logits, the mean over the windows that cover a pixel.

    Raises:
        ValueError: The stride is larger than the window, or not positive.

    Source: the windows are mmseg's (the rule of ``tile_windows``); each is added into its own place instead of being
    padded to the whole image, so the cost does not grow with windows x image.
    """
    height, width = image.shape[2:]
    total: torch.Tensor | None = None
    count = image.new_zeros(1, 1, height, width)
    for x1, y1, x2, y2 in tile_windows((height, width), crop, (crop[0] - stride[0], crop[1] - stride[1])).tolist():
        place = (..., slice(y1, y2), slice(x1, x2))
        logits = predict(image[place])
        if total is None:
            total = logits.new_zeros(image.shape[0], logits.shape[1], height, width)
        total[place] += logits
        count[place] += 1
    assert total is not None  # an image has at least one window
    return total.div_(count)


def check_pretrained(backbone: Any) -> None:
    """See that the file of ``init_cfg`` went in: mmengine only warns where it did not, mmseg's Swin says nothing.

    Args:
        backbone: A module of mmengine after ``init_weights``.

    Raises:
        ConfigError: Most of the weights in the file are not the backbone's.
    """
    config = backbone.init_cfg
    if not isinstance(config, dict) or config.get("type") != "Pretrained":
        return
    content = CheckpointLoader.load_checkpoint(config["checkpoint"], map_location="cpu")
    state = content.get("state_dict", content)
    prefix = config.get("prefix") or ("backbone." if any(key.startswith("backbone.") for key in state) else "")
    file = {key.removeprefix(prefix).lstrip("."): value for key, value in state.items() if key.startswith(prefix)}
    own = {plain_key(key): value for key, value in backbone.state_dict().items()}
    there = sum(k in own and torch.equal(own[k].cpu(), v.to("cpu", own[k].dtype)) for k, v in file.items())
    if 2 * there < len(file):
        raise ConfigError(
            f"{config['checkpoint']}: only {there} of its {len(file)} weights were loaded into "
            f"{type(backbone).__name__}. "
            f"Third-party weights must be converted first: {command('weights')} FILE OUT; files of whole "
            "models require prefix='backbone.'"
        )


@MODELS.register_module()
class Segmentor(WithConfig, EncoderDecoder):
    """mmseg's ``EncoderDecoder`` with :func:`slide_logits` behind ``test_cfg.mode='slide'``."""

    def init_weights(self) -> None:
        """Initial weights as in mmseg.

        Raises:
            ConfigError: Most of the weights in the file that ``backbone.init_cfg`` names are not the backbone's.
        """
        begun = self.is_init
        super().init_weights()
        if not begun:
            check_pretrained(self.backbone)

    def slide_inference(self, inputs: torch.Tensor, batch_img_metas: list[dict]) -> torch.Tensor:
        """Logits (N, C, H, W) of images (N, 3, H, W), window by window."""

        def predict(window: torch.Tensor) -> torch.Tensor:
            metas = [{**meta, "img_shape": window.shape[2:]} for meta in batch_img_metas]
            return self.encode_decode(window, metas)

        return slide_logits(inputs, predict, tuple(self.test_cfg.crop_size), tuple(self.test_cfg.stride))
