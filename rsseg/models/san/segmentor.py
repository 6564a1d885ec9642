"""SAN (CVPR 2023): masks of a small network beside CLIP, named by CLIP in the words of any vocabulary."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.autocast import without_autocast
from rsseg.models.gsnet.clip import fit_image
from rsseg.models.gsnet.inference import resized
from rsseg.models.gsnet.text import TEMPLATE
from rsseg.models.gsnet.vocabulary_segmentor import VocabularySegmentor, check_labels
from rsseg.models.mask2former.losses import LossSettings, class_masks, mean_count, query_losses
from rsseg.models.san.adapter import SideAdapter, recognise
from rsseg.models.segmentor import slide_logits

__all__ = ["SAN", "Layer"]


class Layer(NamedTuple):
    """What a block of the adapter proposes for B images: Q masks and what they show.

    Attributes:
        scores: (B, Q, N + 1) logits of the classes; the last is for "none".
        masks: (B, Q, h, w) logits.
    """

    scores: torch.Tensor
    masks: torch.Tensor


@MODELS.register_module()
class SAN(VocabularySegmentor):
    """Side adapter network: CLIP stays as it is but for its positions, all else is trained.

    Images are squeezed to squares of the adapter's resolution.

    Args:
        clip: Config of CLIP; its ``resolution`` is what CLIP sees, half of the adapter's in the paper.
        vocabulary: Name of a class table, or one prompt for each class.
        adapter: What differs from :class:`SideAdapter`'s defaults.
        taps: How many of CLIP's blocks come before each of the features that the adapter takes; the masks are named by
            the blocks behind the last.
        template: Text with ``{}`` where a prompt goes.
        loss: What differs from :class:`LossSettings`'s defaults, which are SAN's.
        data_preprocessor: Config.
        train_cfg: Not used.
        test_cfg: ``mode``: "whole", or "slide" with ``crop_size`` and ``stride``; ``threshold`` as in
            :class:`VocabularySegmentor`.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: ``test_cfg`` has no such mode, or ``taps`` do not rise from 0 to less than CLIP's blocks.

    Source: SAN paper and mmseg; the text tower, the template and the loss are those of the other models here.
    """

    def __init__(
        self,
        clip: dict[str, Any],
        vocabulary: str | Sequence[str],
        adapter: dict[str, Any] | None = None,
        taps: Sequence[int] = (0, 3, 6, 9),
        template: str = TEMPLATE,
        loss: dict[str, Any] | None = None,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        super().__init__(clip, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)
        blocks = self.clip.visual.transformer.resblocks
        if taps[0] != 0 or list(taps) != sorted(set(taps)) or taps[-1] >= len(blocks):
            raise ConfigError(
                f"taps={tuple(taps)}: expected increasing numbers from 0 to {len(blocks) - 1}, the blocks of CLIP"
            )
        self.taps, self.train_cfg, self.settings = tuple(taps), train_cfg, LossSettings(**(loss or {}))
        self.adapter = SideAdapter(self.clip.channels, blocks[0].attn.heads, len(taps), **(adapter or {}))
        self.background = nn.Parameter(torch.randn(1, self.clip.embed) * self.clip.embed**-0.5)
        self.clip.requires_grad_(False).eval()
        self.clip.visual.positional_embedding.requires_grad_(True)

    @property
    def window(self) -> int:
        """What the adapter sees; CLIP sees less."""
        return self.adapter.resolution

    def train(self, mode: bool = True) -> SAN:
        """Training or evaluation mode; for CLIP always the latter, so that texts are read once."""
        super().train(mode)
        self.clip.eval()
        return self

    def extract_feat(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """CLIP's tokens (B, 1 + L, width) at each of ``taps``, of images (B, 3, H, W)."""
        x = self.clip.visual.tokens(fit_image(inputs, self.clip.resolution))
        out = [x]
        for i, block in enumerate(self.clip.visual.transformer.resblocks[: self.taps[-1]], start=1):
            x = block(x)
            if i in self.taps:
                out.append(x)
        return out

    def layers(self, inputs: torch.Tensor) -> list[Layer]:
        """Proposals for images (B, 3, H, W): of the last block, and in training of the one before too, first."""
        squares = fit_image(inputs, self.adapter.resolution)
        tokens = self.extract_feat(squares)
        side = math.isqrt(tokens[0].shape[1] - 1)
        maps = [x[:, 1:].transpose(1, 2).unflatten(2, (side, side)) for x in tokens]
        with torch.no_grad():
            text = self.embed_text()
        text = torch.cat([text, functional.normalize(self.background, dim=-1)]) * self.clip.logit_scale.exp()
        return [
            Layer(recognise(self.clip, tokens[-1], bias, self.taps[-1]) @ text.T, masks)
            for masks, bias in self.adapter(squares, maps)
        ]

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        """For each class the sum over masks of its probability times that of the mask: (B, N, side, side)."""
        layer, side = self.layers(inputs)[-1], self.adapter.resolution
        with without_autocast(inputs.device):
            masks = resized(layer.masks.float(), (side, side)).sigmoid()
            return torch.einsum("bqn,bqhw->bnhw", layer.scores.float().softmax(-1)[..., :-1], masks)

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Scores (B, N, H, W) of images (B, 3, H, W), not negative."""
        return resized(self._forward(inputs), inputs.shape[2:])

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``loss_cls``, ``loss_mask`` and ``loss_dice``, each the sum over the last two blocks; see ``query_losses``.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W).
        """
        labels = [sample.gt_sem_seg.data[0].long() for sample in data_samples]
        for label in labels:
            check_labels(label, self.num_classes)
        targets = [class_masks(label) for label in labels]
        count, out = mean_count(targets), dict[str, torch.Tensor]()
        for scores, masks in self.layers(inputs):
            part = query_losses(scores, masks, targets, count, self.settings)
            out = {name: value + out.get(name, 0.0) for name, value in part.items()}
        return out

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Scores (N, *size) of images (3, H, W); where overlapping masks bring their sum above 1, shares of it."""
        if self.test_cfg["mode"] == "slide":
            windows = self.slide_sizes()
            parts = [slide_logits(image[None], self.encode_decode, *windows) for image in images]
        else:
            squares = torch.cat([fit_image(image[None], self.adapter.resolution) for image in images])
            parts = list(self._forward(squares).split(1))
        parts = [resized(part, size)[0] for part, size in zip(parts, sizes, strict=True)]
        return [part / part.sum(0).clamp(min=1) for part in parts]
