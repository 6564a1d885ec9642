"""GSNet: open-vocabulary segmentation with a generalist (CLIP) and a specialist (DINO) stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.gsnet.clip import fit_image
from rsseg.models.gsnet.encoder import StreamProjections
from rsseg.models.gsnet.inference import FiveViews, resized
from rsseg.models.gsnet.text import TEMPLATE
from rsseg.models.gsnet.vocabulary_segmentor import VocabularySegmentor, check_labels
from rsseg.models.segmentor import slide_logits

__all__ = ["GSNet", "Streams", "vocabulary_loss"]

_TRAINED = ("attn.q_proj_weight", "attn.v_proj_weight")


def vocabulary_loss(logits: torch.Tensor, target: torch.Tensor, ignore_background: bool = False) -> torch.Tensor:
    """Mean binary cross-entropy of every class at every pixel.

    Args:
        logits: (B, N, H, W).
        target: (B, H, W) int64 class ids, 255 where there is no label.
        ignore_background: Leave pixels without a label out.  Else they are examples against every class.

    Returns:
        Scalar in float32; 0 with a zero gradient where no pixel counts.

    Raises:
        ValueError: A pixel holds another value.

    Source: GSNet release, where "background" is a class of the vocabulary whose pixels count as not labelled.
    """
    logits = logits.float()
    labelled = check_labels(target, logits.shape[1])
    own = logits.gather(1, target.where(labelled, 0)[:, None])[:, 0] * labelled
    against = functional.softplus(logits)
    if not ignore_background:
        return against.mean() - own.sum() / logits.numel()
    count = (labelled.sum() * logits.shape[1]).clamp(min=1)
    return ((against.sum(1) * labelled).sum() - own.sum()) / count


class Streams(NamedTuple):
    """What the two streams give for B images.

    Attributes:
        clip: CLIP's features on the coarse grid (B, embed, grid, grid), not normalised.
        dino: The specialist's there; None without that stream.
        clip_guidance: Maps at twice and four times the grid for the decoder; None where it takes none.
        dino_guidance: The specialist's, likewise.
    """

    clip: torch.Tensor
    dino: torch.Tensor | None
    clip_guidance: list[torch.Tensor] | None
    dino_guidance: list[torch.Tensor] | None


@MODELS.register_module()
class GSNet(VocabularySegmentor):
    """A score for every prompt at every pixel; prompts may change at any time, nothing depends on their number.

    Trained are queries and values of CLIP's two towers and all that is not a tower.

    Args:
        clip: Config of the generalist.
        fusion: Config of what embeds the classes' similarities to both streams; see ``QueryGuidedFusion``.
        aggregator: Config of what refines them on the coarse grid; ``grid`` and ``embed`` are CLIP's.
        decoder: Config of what brings them to four times the grid; its ``guidance`` names the streams that it uses.
        vocabulary: Name of a class table, or one prompt for each class.
        dino: Config of the specialist; None for a model without.
        template: Text with ``{}`` where a prompt goes.
        ignore_background_in_loss: Leave pixels without a label out of the loss; else, as in the release, they are
            examples against every class.
        data_preprocessor: Config; ``AnySizePreprocessor`` allows test batches of images of several sizes.
        train_cfg: Not used.
        test_cfg: ``mode``: "five_view" (with ``size``, ``overlap``; the release's protocol), "slide" (with
            ``crop_size``, ``stride``; windows at the image's own resolution) or "whole"; ``threshold``: pixels whose
            best probability is below become 255.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: ``test_cfg`` has no such mode, or a part does not fit the others.

    Source: GSNet paper (AAAI 2025) and release.
    """

    modes = ("five_view", "slide", "whole")

    def __init__(
        self,
        clip: dict[str, Any],
        fusion: dict[str, Any],
        aggregator: dict[str, Any],
        decoder: dict[str, Any],
        vocabulary: str | Sequence[str],
        dino: dict[str, Any] | None = None,
        template: str = TEMPLATE,
        ignore_background_in_loss: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        super().__init__(clip, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)
        self.dino = None if dino is None else MODELS.build(dino)
        for name, value in self.clip.named_parameters():
            value.requires_grad_(name.endswith(_TRAINED))
        self.fusion = MODELS.build(fusion)
        self.aggregator = MODELS.build({"grid": self.clip.grid, "embed": self.clip.embed, **aggregator})
        self.decoder = MODELS.build(decoder)
        known = {} if self.dino is None else dict(dino_grid=self.dino.grid, dino_width=self.dino.channels)
        guidance = self.decoder.guidance
        if "dino" in guidance and self.dino is None:
            raise ConfigError("decoder.guidance names 'dino', but the model has no dino")
        grid, width, embed = self.clip.grid, self.clip.channels, self.clip.embed
        self.encoder = StreamProjections(grid, width, embed, guidance=guidance, **known)
        self.ignore_background, self.train_cfg = ignore_background_in_loss, train_cfg

    def extract_feat(self, inputs: torch.Tensor) -> Streams:
        """What both streams give for images (B, 3, H, W)."""
        dense, taps = self.clip.encode_image(inputs)
        special, maps = (None, None) if self.dino is None else self.encoder.dino(self.dino(inputs))
        return Streams(dense, special, self.encoder.clip(taps), maps)

    def decode(self, streams: Streams, text: torch.Tensor) -> torch.Tensor:
        """Logits (B, N, 4 grid, 4 grid) of prompts.

        Args:
            streams: See :meth:`extract_feat`.
            text: (N, embed), see :meth:`embed_text`.
        """
        x = self.fusion(streams.clip, streams.dino, text)
        x = self.aggregator(x, streams.clip, text)
        return self.decoder(x, streams.clip_guidance, streams.dino_guidance)

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        return self.decode(self.extract_feat(inputs), self.embed_text())

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Logits (B, N, H, W) of images (B, 3, H, W), each squeezed to CLIP's resolution."""
        return resized(self._forward(inputs), inputs.shape[2:])

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``loss``, see :func:`vocabulary_loss`.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W).
        """
        target = torch.stack([sample.gt_sem_seg.data[0] for sample in data_samples]).long()
        logits = resized(self._forward(inputs).float(), target.shape[1:])
        loss = vocabulary_loss(logits, target, self.ignore_background)
        return {"loss": loss + 0.0 * self._unused()}

    def _unused(self) -> torch.Tensor:
        """Sum of trained weights that this vocabulary does not touch: DDP expects a gradient for each."""
        unused = [self.clip.visual.transformer.resblocks[-1].attn.q_proj_weight]
        for layer in self.aggregator.layers:
            attention = layer.attention
            if self.num_classes >= attention.length:
                unused += [attention.padding_tokens, attention.padding_guidance]
        return torch.stack([value.sum() for value in unused]).sum()

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Probabilities (N, *size) of images (3, H, W)."""
        mode, side = self.test_cfg["mode"], self.clip.resolution
        if mode == "slide":
            return [resized(self._slide(image), size)[0] for image, size in zip(images, sizes, strict=True)]
        if mode == "whole":
            squares = torch.cat([fit_image(image[None], side) for image in images])
            parts = self._forward(squares).float().sigmoid().split(1)
            return [resized(part, size)[0] for part, size in zip(parts, sizes, strict=True)]
        given = {key: self.test_cfg[key] for key in ("size", "overlap") if key in self.test_cfg}
        views = FiveViews(crop=self.test_cfg.get("crop_size", side), **given)
        logits = self._forward(torch.cat([views.cut(image) for image in images])).float()
        parts = logits.split(len(views))
        return [resized(views.merge(part)[None], size)[0] for part, size in zip(parts, sizes, strict=True)]

    def _slide(self, image: torch.Tensor) -> torch.Tensor:
        text = self.embed_text()  # once for all windows: even a cached text is compared with the tower's weights

        def predict(window: torch.Tensor) -> torch.Tensor:
            return resized(self.decode(self.extract_feat(window), text), window.shape[2:]).float().sigmoid()

        return slide_logits(image[None], predict, *self.slide_sizes())
