"""EBSeg (CVPR 2024): SAM and CLIP stay as they are; masks are made of both and named by CLIP and by their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.metainfo import load_metainfo
from rsseg.models.autocast import without_autocast
from rsseg.models.ebseg.proposals import EmbeddedProposals, Proposal, pool_masks
from rsseg.models.ebseg.sam import SAMEncoder
from rsseg.models.ebseg.scores import Exponents, fuse_scores, seen_classes, structure_loss
from rsseg.models.gsnet.inference import resized
from rsseg.models.gsnet.vocabulary_segmentor import VocabularySegmentor, check_labels
from rsseg.models.mask2former.losses import LossSettings, assign, class_loss, class_masks, mask_losses, mean_count
from rsseg.models.san.adapter import recognise
from rsseg.models.segmentor import slide_logits

__all__ = ["EBSeg", "Seen"]

_DIVISOR = 32
_AT_ONCE = 8
"""Masks that are brought to an image's size together: a hundred of a photograph's size fill a card."""

_CLIP_MEAN, _CLIP_STD = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.3231630)
_SAM_MEAN, _SAM_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


class Seen(NamedTuple):
    """What CLIP makes of B images.

    Attributes:
        maps: (B, width, h, w) after each of the taps.
        tokens: (B, 1 + h w, width) after the last of them: the class token and the places.
        places: (B, embed, h, w) of length 1, by attention among like values; None in training.
    """

    maps: list[torch.Tensor]
    tokens: torch.Tensor
    places: torch.Tensor | None


@MODELS.register_module()
class EBSeg(VocabularySegmentor):
    """Masks of SAM's and CLIP's features, named by the decoder, by CLIP's places and by CLIP's class token together.

    Images keep their size; they are padded to a multiple of 32.  CLIP sees them at half of it.  Both towers are frozen
    but for their positions.

    Args:
        clip: Config of CLIP; its ``resolution`` is half the side of the crops of training.
        vocabulary: Name of a class table, or one prompt for each class.
        sam: What differs from :class:`SAMEncoder`'s defaults.
        proposals: What differs from :class:`EmbeddedProposals`' defaults.
        taps: Three numbers of CLIP's blocks after which features are added to SAM's; the blocks behind the last name
            masks.
        template: Name of a set of templates, or a text with ``{}``.
        seen: The classes of training, as ``vocabulary``: how a class is scored depends on whether it shares a name with
            one of them, see :func:`seen_classes`.
        exponents: What differs from :class:`Exponents`' defaults.
        loss: What differs from :class:`LossSettings`' defaults; both classifications weigh ``0.75 class_weight``.
        structure_weight: Weight of :func:`structure_loss`.
        release_defects: Do as the release does where it does harm, see :meth:`Exponents.of` and
            :func:`structure_loss`.
        data_preprocessor: Config; images are normalised by CLIP's mean and deviation.
        train_cfg: Not used.
        test_cfg: ``mode``: "whole" (the release's) or "slide" with ``crop_size`` and ``stride``; ``threshold``.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: ``test_cfg`` has no such mode, ``taps`` are not three rising numbers of blocks before the last, or
            a probability would have a negative exponent.

    Source: EBSeg paper and release.
    """

    _to_sam: torch.Tensor
    _shift: torch.Tensor

    def __init__(
        self,
        clip: dict[str, Any],
        vocabulary: str | Sequence[str],
        sam: dict[str, Any] | None = None,
        proposals: dict[str, Any] | None = None,
        taps: Sequence[int] = (3, 6, 9),
        template: str = "vild",
        seen: str | Sequence[str] = "landdiscover",
        exponents: dict[str, float] | None = None,
        loss: dict[str, Any] | None = None,
        structure_weight: float = 10.0,
        release_defects: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        super().__init__({"taps": (), **clip}, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)
        blocks = self.clip.visual.transformer.resblocks
        if len(taps) != 3 or list(taps) != sorted(set(taps)) or taps[0] < 1 or taps[-1] >= len(blocks):
            raise ConfigError(f"taps={tuple(taps)}: expected three increasing numbers from 1 to {len(blocks) - 1}")
        self.taps, self.train_cfg, self.known = tuple(taps), train_cfg, _texts(seen)
        self.settings, self.structure_weight = LossSettings(**(loss or {})), structure_weight
        self.exponents, self.release_defects = Exponents(**(exponents or {})), release_defects
        if min(power for new in (False, True) for power in self.exponents.of(new, release=True)) < 0:
            raise ConfigError(f"exponents={self.exponents}: expected none below 0, alpha + gamma and beta + gamma to 1")
        self.sam = SAMEncoder(**(sam or {}))
        width, heads = self.clip.channels, blocks[0].attn.heads
        self.proposals = EmbeddedProposals([self.sam.channels] * 4, width, heads, self.clip.embed, **(proposals or {}))
        self.background = nn.Parameter(torch.randn(1, self.clip.embed) * self.clip.embed**-0.5)
        self.clip.requires_grad_(False).eval()
        self.clip.visual.positional_embedding.requires_grad_(True)
        mean, std, own_mean, own_std = (
            torch.tensor(each).view(-1, 1, 1) for each in (_CLIP_MEAN, _CLIP_STD, _SAM_MEAN, _SAM_STD)
        )
        self.register_buffer("_to_sam", std / own_std, persistent=False)
        self.register_buffer("_shift", (mean - own_mean) / own_std, persistent=False)

    @property
    def window(self) -> int:
        """Twice what CLIP sees."""
        return 2 * self.clip.resolution

    def train(self, mode: bool = True) -> EBSeg:
        """Training or evaluation mode; for the towers always the latter, so that texts are read once."""
        super().train(mode)
        self.clip.eval()
        self.sam.eval()
        return self

    def extract_feat(self, inputs: torch.Tensor, places: bool = True) -> tuple[list[torch.Tensor], Seen]:
        """SAM's maps and what CLIP makes of images (B, 3, H, W), padded; ``places`` are wanted or not."""
        padded = _padded(inputs)
        small = functional.interpolate(padded, scale_factor=0.5, mode="bilinear", align_corners=False)
        return self.sam(_padded(inputs * self._to_sam + self._shift)), self._look(small, places)

    def _look(self, images: torch.Tensor, places: bool) -> Seen:
        """CLIP's blocks one by one; beside them, from a sixth on, a second path that only takes attention's part."""
        visual, patch = self.clip.visual, self.clip.visual.conv1.kernel_size[0]
        size = (images.shape[2] // patch, images.shape[3] // patch)
        x = tokens = visual.tokens(images)
        beside: torch.Tensor | None = None
        blocks, maps = visual.transformer.resblocks, []
        for depth, block in enumerate(blocks[: len(blocks) if places else self.taps[-1]], start=1):
            if places and depth > len(blocks) // 6:
                beside = (x if beside is None else beside) + block.attn.self_self(block.ln_1(x), "v")
            x = block(x)
            if depth in self.taps:
                maps.append(x[:, 1:].transpose(1, 2).unflatten(2, size))
                tokens = x
        if beside is None:
            return Seen(maps, tokens, None)
        features = functional.normalize(visual.ln_post(beside) @ visual.proj, dim=-1)
        return Seen(maps, tokens, features[:, 1:].transpose(1, 2).unflatten(2, size))

    def embed_classes(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Embeddings (N, embed) of the texts, of length 1; and (N + 1, embed), with "none" and CLIP's scale; float32.

        Also under autocast: what they would be rounded by becomes a hundred times as much of a logit.
        """
        with without_autocast(self.background.device):
            with torch.no_grad():
                text = self.embed_text().float()
            classes = torch.cat([text, functional.normalize(self.background.float(), dim=-1)])
            return text, classes * self.clip.logit_scale.float().exp()

    def _recognise(self, seen: Seen, proposal: Proposal) -> torch.Tensor:
        size = (seen.maps[-1].shape[2], seen.maps[-1].shape[3])
        return recognise(self.clip, seen.tokens, proposal.bias, self.taps[-1], size)

    def masks_and_scores(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of masks (B, Q, h, w) of images (B, 3, H, W), padded, and probabilities (B, Q, N) of their classes."""
        maps, seen = self.extract_feat(inputs)
        assert seen.places is not None
        proposal = self.proposals(maps, seen.maps, last=True)[0]
        _, classes = self.embed_classes()
        masks = resized(proposal.masks, seen.places.shape[2:])
        pooled = pool_masks(seen.places, masks)
        named = (proposal.embeddings, pooled, self._recognise(seen, proposal))
        known = seen_classes(self.vocabulary.names, self.known)
        with without_autocast(inputs.device):
            own, within, recognised = (each.float() @ classes.T for each in named)
            scores = fuse_scores(own, within, recognised, known, self.exponents, self.release_defects)
        return proposal.masks, scores

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        return self._sums(inputs, inputs.shape[2:])

    def _sums(self, inputs: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """For each class the sum over masks of its probability times that of the mask: (B, N, *size)."""
        masks, scores = self.masks_and_scores(inputs)
        height, width = inputs.shape[2:]
        padded = (height + -height % _DIVISOR, width + -width % _DIVISOR)
        with without_autocast(inputs.device):
            logits = resized(masks.float(), padded)[..., :height, :width]
            parts = zip(scores.split(_AT_ONCE, 1), logits.split(_AT_ONCE, 1), strict=True)
            out = scores.new_zeros(*scores.shape[::2], *size)
            for share, part in parts:
                out += torch.einsum("bqn,bqhw->bnhw", share, resized(part, size).sigmoid())
            return out

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Scores (B, N, H, W) of images (B, 3, H, W), not negative."""
        return self._sums(inputs, inputs.shape[2:])

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``loss_cls``, ``loss_recognised``, ``loss_mask`` and ``loss_dice``, sums over the layers; ``loss_structure``.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W).
        """
        labels = [sample.gt_sem_seg.data[0].long() for sample in data_samples]
        for label in labels:
            check_labels(label, self.num_classes)
        targets = [class_masks(_padded(label, 255)) for label in labels]
        maps, seen = self.extract_feat(inputs, places=False)
        layers = self.proposals(maps, seen.maps)
        text, classes = self.embed_classes()
        count, settings, out = mean_count(targets, empty=0).to(inputs.device), self.settings, dict[str, torch.Tensor]()
        for i, layer in enumerate([layers[-1], *layers[:-1]]):
            recognised = self._recognise(seen, layer)
            with without_autocast(inputs.device):
                own, named = (each.float() @ classes.T for each in (layer.embeddings, recognised))
                masks = layer.masks.float()
                pairs = assign(own, masks, targets, settings)
                entropy, dice = mask_losses(masks, targets, pairs, settings)
                part = dict(
                    loss_cls=0.75 * settings.class_weight * class_loss(own, targets, pairs, settings),
                    loss_recognised=0.75 * settings.class_weight * class_loss(named, targets, pairs, settings),
                    loss_mask=settings.mask_weight * entropy / count,
                    loss_dice=settings.dice_weight * dice / count,
                )
                if i == 0:
                    structure = structure_loss(layer.embeddings.float(), text, targets, pairs, self.release_defects)
                    part["loss_structure"] = self.structure_weight * structure
            out = out | {name: value + out.get(name, 0.0) for name, value in part.items()}
        return out

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Scores (N, *size) of images (3, H, W); where overlapping masks bring their sum above 1, shares of it."""
        if self.test_cfg["mode"] == "slide":
            windows = self.slide_sizes()
            whole = [slide_logits(image[None], self.encode_decode, *windows) for image in images]
            parts = [resized(part, size)[0] for part, size in zip(whole, sizes, strict=True)]
        else:
            parts = [self._sums(image[None], size)[0] for image, size in zip(images, sizes, strict=True)]
        return [part / part.sum(0).clamp(min=1) for part in parts]


def _padded(maps: torch.Tensor, value: float = 0.0) -> torch.Tensor:
    """Maps (..., H, W) with ``value`` below and to the right, up to multiples of 32."""
    height, width = maps.shape[-2:]
    return functional.pad(maps, (0, -width % _DIVISOR, 0, -height % _DIVISOR), value=value)


def _texts(names: str | Sequence[str]) -> list[str]:
    """Names as given, or all names and prompts of a class table."""
    if not isinstance(names, str):
        return list(names)
    table = load_metainfo(names)
    return [*table.classes, *(prompt for own in table.prompts or () for prompt in own)]
