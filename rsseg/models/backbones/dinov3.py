"""DINOv3 as timm has it: transformers and ConvNeXts, trained on web (lvd1689m) or satellite images (sat493m)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmengine.model import BaseModule
from mmseg.registry import MODELS

from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.io.checkpoints import read_state
from rsseg.models.tuning import tune_encoder
from rsseg.structures.keys import compare_keys, plain_key, to_adapted

__all__ = ["DINOv3", "dinov3_statistics"]

_IMAGES = 3


def dinov3_statistics(name: str) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of the images that weights were trained with, in grey levels.

    Args:
        name: Of timm with the tag, such as ``vit_large_patch16_dinov3.sat493m``.

    Raises:
        ConfigError: timm has no such weights, or the tag is missing, by which web and satellite weights differ.
    """
    if "." not in name:
        raise ConfigError(f"{name}: say by a tag which weights are meant, such as {name}.lvd1689m; {_known()}")
    found = _timm().get_pretrained_cfg(name)
    if found is None or "dinov3" not in name:
        raise ConfigError(f"{name}: timm has no such DINOv3; {_known()}")
    return [255 * value for value in found.mean], [255 * value for value in found.std]


def _timm() -> Any:
    try:
        import timm
    except ImportError as error:
        raise MissingPackageError('DINOv3 comes from timm. Run: python -m pip install "rsseg[hub]"') from error
    return timm


def _known() -> str:
    return f"it has {', '.join(_timm().list_models('*dinov3*', pretrained=True)) or 'none; timm >= 1.0.20 is needed'}"


@MODELS.register_module()
class DINOv3(BaseModule):
    """Four maps of a DINOv3; its weights have timm's names behind ``encoder.``.

    Args:
        name: Of timm: ``vit_base_patch16_dinov3``, ``convnext_tiny.dinov3_lvd1689m`` ...; a tag says only which weights
            are meant.
        out_indices: Blocks of a transformer, counted from 0, whose outputs are given, or stages of a ConvNeXt; None
            takes four with equal steps, the last one among them.
        weights: File or ``hf://timm/NAME``, read by :meth:`init_weights`: timm's names, or Meta's ``.pth``.
        tune: ``"full"``; ``"frozen"``: the encoder is no part of the training; ``"lora"``: adapters beside its layers
            are, see :func:`rsseg.models.tuning.tune_encoder`.
        adapters: Settings of these: ``rank``, ``alpha``, ``dropout``, ``targets``, ``also``.
        in_channels: Bands; the first layer of files for three is repeated and scaled for others.
        norm: Pass each map of a transformer through the last norm, as the authors' evaluations do.
        drop_path_rate: Stochastic depth while it is tuned.
        with_cp: Recompute blocks in the backward pass instead of keeping what is inside of them.
        settings: Other arguments of the model in timm, such as ``depth`` of a small one for tests.
        init_cfg: As everywhere.

    Raises:
        ConfigError: timm has no such DINOv3, or an option is not allowed.
        MissingPackageError: timm is not installed.

    Source: DINOv3 (arXiv 2508.10104); timm.
    """

    def __init__(
        self,
        name: str,
        out_indices: Sequence[int] | None = None,
        weights: str | None = None,
        tune: str = "full",
        adapters: Mapping[str, Any] | None = None,
        in_channels: int = _IMAGES,
        norm: bool = True,
        drop_path_rate: float = 0.0,
        with_cp: bool = False,
        settings: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        super().__init__(init_cfg)
        bare = name.partition(".")[0]
        if "dinov3" not in name or not _timm().is_model(bare):
            raise ConfigError(f"{name}: timm has no such DINOv3; {_known()}")
        self.name, self.weights, self.norm, self.in_channels = name, weights, norm, in_channels
        options = dict(num_classes=0, in_chans=in_channels, drop_path_rate=drop_path_rate, **(settings or {}))
        self.encoder = _timm().create_model(bare, pretrained=False, **options)
        self.patch: int | None = None if bare.startswith("convnext") else 16
        parts = len(self.encoder.stages if self.patch is None else self.encoder.blocks)
        self.out_indices = list(out_indices or [parts * i // 4 - 1 for i in (1, 2, 3, 4)])
        if min(self.out_indices) < 0 or max(self.out_indices) != parts - 1:
            raise ConfigError(
                f"out_indices={self.out_indices}: expected numbers from 0 to {parts - 1}, the last included"
            )
        if with_cp:
            self.encoder.set_grad_checkpointing()
        if self.patch is None or not norm:  # what gives no map gets no gradient, which DDP would wait for
            (self.encoder.head if self.patch is None else self.encoder.norm).requires_grad_(False)
        self.tuning = tune_encoder(self, tune, adapters)

    def init_weights(self) -> None:
        """Take the weights of the file, if one is named.

        Raises:
            FileNotFoundError: There is no such file.
            DataError: Its weights are not those of this model.
        """
        if self.weights is not None:
            self._load(self.weights)
        self.tuning.begin(self)

    def _load(self, file: str) -> None:
        state = self._translate(read_state(file, advice="rsseg pull hf://timm/NAME downloads timm's copies"))
        own = self.encoder.state_dict()
        plain = {plain_key(key): value for key, value in own.items() if "lora_" not in key}
        if problems := compare_keys(state, plain):
            raise DataError(f"{file}: does not fit {self.name}: {problems}")
        self.encoder.load_state_dict({**own, **to_adapted(state, own)})
        MMLogger.get_current_instance().info(f"{file}: {len(state)} tensors of {self.name} loaded")

    def _translate(self, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """A file's weights by timm's names, with the first layer for this number of bands."""
        from timm.models import adapt_input_conv
        from timm.models.convnext import checkpoint_filter_fn as filter_convnext
        from timm.models.eva import checkpoint_filter_fn as filter_transformer

        convert = filter_convnext if self.patch is None else filter_transformer
        out = dict(convert(dict(state), self.encoder))
        first = "stem.0.weight" if self.patch is None else "patch_embed.proj.weight"
        if first in out and out[first].shape[1] == _IMAGES != self.in_channels:
            out[first] = adapt_input_conv(self.in_channels, out[first])
        return out

    def train(self, mode: bool = True) -> DINOv3:
        """Training mode; a frozen encoder stays as it is in evaluation."""
        super().train(mode)
        self.tuning.hold(self)
        return self

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps of images (B, bands, H, W).

        Returns:
            Of a transformer (B, C, H / 16, W / 16) each, of a ConvNeXt those of its stages, at strides 4 to 32.

        Raises:
            ConfigError: The sides are no multiples of 16.
        """
        size = tuple(images.shape[2:])
        if self.patch is not None and any(side % self.patch for side in size):
            raise ConfigError(
                f"{self.name}: images of {size[0]} x {size[1]} pixels; sides must be multiples of {self.patch}. Let "
                f"the preprocessor pad them: model.data_preprocessor.test_cfg=dict(size_divisor={self.patch}), and "
                "train on crops of such sizes"
            )
        options: dict[str, Any] = {} if self.patch is None else {"norm": self.norm}
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.tuning.tune != "frozen"):
            maps = self.encoder.forward_intermediates(
                images, indices=self.out_indices, output_fmt="NCHW", intermediates_only=True, **options
            )
        return tuple(maps)
