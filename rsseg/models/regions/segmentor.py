"""What OV-Seg and SCAN have in common: a network proposes masks, CLIP sees the regions, both say what they show."""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.metainfo import IGNORE
from rsseg.models.autocast import without_autocast
from rsseg.models.gsnet.inference import resized
from rsseg.models.gsnet.vocabulary_segmentor import VocabularySegmentor, check_labels
from rsseg.models.mask2former.losses import ClassMasks, class_masks, mean_count
from rsseg.models.regions.classifier import ChangeOutside, Regions, combine_scores, cut_regions, embed_regions
from rsseg.models.segmentor import check_pretrained, slide_logits

__all__ = ["CLIP_MEAN", "CLIP_STD", "Proposal", "RegionSegmentor", "pad_to_multiple"]

CLIP_MEAN = (122.7709383, 116.7460125, 104.09373615)
CLIP_STD = (68.5005327, 66.6321579, 70.3231630)
"""Of red, green and blue from 0 to 255, by which CLIP's images are normalised.  Source: OpenAI's CLIP."""

_STRIDE = 32
_SCALE = 100.0
"""Factor of all cosines.  Source: OV-Seg and SCAN releases."""


class Proposal(NamedTuple):
    """What a step of the decoder proposes for B images: Q masks and what they show.

    Attributes:
        embeddings: (B, Q, embed) in CLIP's joint space, not normalised.
        masks: (B, Q, h, w) logits, a quarter of the sides of the image that is padded to multiples of 32.
    """

    embeddings: torch.Tensor
    masks: torch.Tensor


def pad_to_multiple(images: torch.Tensor, multiple: int = _STRIDE, value: float = 0.0) -> torch.Tensor:
    """Images (..., H, W) with ``value`` below and at the right, up to sides that are multiples of ``multiple``."""
    height, width = images.shape[-2:]
    return functional.pad(images, (0, -width % multiple, 0, -height % multiple), value=value)


class RegionSegmentor(VocabularySegmentor):
    """A segmentor whose masks are named twice: by its queries, and by a CLIP that sees the regions they cut out.

    CLIP is not trained.  In training it only reads the texts.  Scores of a pixel are sums over the masks of the mask's
    value there times its score; :meth:`predict` divides them by their sum where that is above 1.

    Args:
        clip: Config of CLIP; its ``resolution`` is the side of the regions.
        backbone: Config of what sees the images.
        vocabulary: Name of a class table, or one prompt for each class.
        template: Text with ``{}`` where a prompt goes, or the name of a set of templates.
        mask_threshold: What a mask must exceed at a pixel for it to belong to the region.
        clip_weight: CLIP's share of the classes' scores, from 0 (CLIP sees no image) to 1.
        release_defects: Keep those defects of the release that change results; each model says which it has.
        data_preprocessor: Config; CLIP's images are had from its ``mean`` and ``std``, which must be of RGB.
        train_cfg: Not used.
        test_cfg: ``mode``: "whole" (each image at the size it has), or "slide" with ``crop_size`` and ``stride``;
            ``crop_size`` as one number is the side of a map's windows; ``threshold`` as in
            :class:`VocabularySegmentor`.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: A number is not in its range, or ``test_cfg`` has no such mode.

    Source: OV-Seg and SCAN releases.
    """

    window = 640

    def __init__(
        self,
        clip: dict[str, Any],
        backbone: dict[str, Any],
        vocabulary: str | Sequence[str],
        template: str = "vild",
        mask_threshold: float = 0.5,
        clip_weight: float = 0.7,
        release_defects: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        super().__init__(clip, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)
        for name, value in dict(mask_threshold=mask_threshold, clip_weight=clip_weight).items():
            if not 0 <= value <= 1:
                raise ConfigError(f"{name}={value}: expected a number from 0 to 1")
        self.mask_threshold, self.clip_weight = mask_threshold, clip_weight
        self.release_defects, self.train_cfg = release_defects, train_cfg
        self.backbone = MODELS.build(backbone)
        self.no_object = nn.Parameter(torch.empty(1, self.clip.embed).normal_(std=self.clip.embed**-0.5))
        self.clip.requires_grad_(False).eval()

    def init_weights(self) -> None:
        """Initial weights as in mmseg.

        Raises:
            ConfigError: Most of the weights in the file that ``backbone.init_cfg`` names are not the backbone's.
        """
        begun = self.is_init
        super().init_weights()
        if not begun:
            check_pretrained(self.backbone)

    def train(self, mode: bool = True) -> RegionSegmentor:
        """Training or evaluation mode; for CLIP always the latter, so that texts are read once."""
        super().train(mode)
        self.clip.eval()
        return self

    @abstractmethod
    def propose(self, inputs: torch.Tensor) -> tuple[list[Proposal], Any]:
        """Masks of images (B, 3, H, W), and what :meth:`change_outside` needs of the images.

        Returns:
            In training a proposal of each step of the decoder, else at least of the last.
        """

    def change_outside(self, regions: Regions, context: Any) -> ChangeOutside | None:
        """What CLIP sees in place of what is outside of the regions of an image; here it sees CLIP's mean colour."""
        return None

    @abstractmethod
    def step_losses(
        self, scores: torch.Tensor, masks: torch.Tensor, targets: Sequence[ClassMasks], count: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Losses of one step's scores (B, Q, N + 1) and masks; see ``query_losses``."""

    def supervised(self, proposals: list[Proposal]) -> list[Proposal]:
        """Those that have a loss: all of them."""
        return proposals

    def texts(self) -> torch.Tensor:
        """Embeddings (N + 1, embed) float32 of the classes and of "none", of length 1, also under autocast.

        In half precision they would be rounded, and what a cosine loses becomes a hundred times as much of a logit.
        """
        with without_autocast(self.no_object.device):
            with torch.no_grad():
                text = self.embed_text()
            return torch.cat([text.float(), functional.normalize(self.no_object.float(), dim=-1)])

    def class_logits(self, embeddings: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Logits (..., N + 1) float32 of embeddings (..., embed): cosines with :meth:`texts`, times 100."""
        with without_autocast(embeddings.device):
            return _SCALE * functional.normalize(embeddings.float(), dim=-1) @ text.T

    def clip_images(self, inputs: torch.Tensor) -> torch.Tensor:
        """Images (B, 3, H, W) as the preprocessor gives them, normalised for CLIP instead."""
        images, own = inputs.float(), self.data_preprocessor
        if getattr(own, "_enable_normalize", False):
            images = images * own.std + own.mean
        mean, std = (images.new_tensor(values)[:, None, None] for values in (CLIP_MEAN, CLIP_STD))
        return (images - mean) / std

    def extract_feat(self, inputs: torch.Tensor) -> Sequence[torch.Tensor]:
        """The backbone's maps of images (B, 3, H, W), which are padded with zeros to multiples of 32."""
        return self.backbone(pad_to_multiple(inputs))

    def name_regions(
        self, image: torch.Tensor, scores: torch.Tensor, masks: torch.Tensor, context: Any, text: torch.Tensor
    ) -> torch.Tensor:
        """Scores (Q, N) of the classes for the masks of one image.

        Args:
            image: (1, 3, H, W), normalised by the preprocessor.
            scores: (Q, N + 1) float32 logits by the queries.
            masks: (Q, H, W) float32 from 0 to 1.
            context: See :meth:`propose`.
            text: See :meth:`texts`.
        """
        if self.clip_weight == 0:
            return scores.softmax(-1)[:, :-1]
        regions = cut_regions(self.clip_images(image)[0], masks, self.mask_threshold, self.clip.resolution)
        features = embed_regions(self.clip, regions, self.change_outside(regions, context))
        seen = self.class_logits(features, text)
        return combine_scores(scores, seen, regions.valid, self.clip_weight, self.release_defects)

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        """For each class the sum over masks of its score times the mask: (B, N, H, W)."""
        return self._score_all(inputs, self.texts())

    def _score_all(self, inputs: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        return torch.cat([self._score(image[None], text) for image in inputs])

    def _score(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Scores (1, N, H, W) of one image (1, 3, H, W)."""
        proposals, context = self.propose(image)
        last = proposals[-1]
        height, width = image.shape[2:]
        with without_autocast(image.device):
            padded = (height + -height % _STRIDE, width + -width % _STRIDE)
            masks = resized(last.masks.float(), padded)[0, :, :height, :width].sigmoid()
        logits = self.class_logits(last.embeddings[0], text)
        scores = self.name_regions(image, logits, masks, context, text)
        with without_autocast(image.device):
            return torch.einsum("qn,qhw->nhw", scores.float(), masks)[None]

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Scores (B, N, H, W) of images (B, 3, H, W), not negative."""
        return self._forward(inputs)

    def _targets(self, data_samples: Sequence[SegDataSample]) -> list[ClassMasks]:
        labels = [sample.gt_sem_seg.data[0].long() for sample in data_samples]
        for label in labels:
            check_labels(label, self.num_classes)
        return [class_masks(pad_to_multiple(label, value=IGNORE)) for label in labels]

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``loss_cls``, ``loss_mask`` and ``loss_dice``, each the sum over the decoder's steps that have a loss.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W).
        """
        targets = self._targets(data_samples)
        count, text, out = mean_count(targets, empty=0), self.texts(), dict[str, torch.Tensor]()
        for embeddings, masks in self.supervised(self.propose(inputs)[0]):
            part = self.step_losses(self.class_logits(embeddings, text), masks, targets, count)
            out = {name: value + out.get(name, 0.0) for name, value in part.items()}
        return out

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Scores (N, *size) of images (3, H, W); where overlapping masks bring their sum above 1, shares of it."""
        score = functools.partial(self._score_all, text=self.texts())  # read once for all images and windows
        if self.test_cfg["mode"] == "slide":
            windows = self.slide_sizes()
            parts = [slide_logits(image[None], score, *windows) for image in images]
        else:
            parts = [score(image[None]) for image in images]
        parts = [resized(part, size)[0] for part, size in zip(parts, sizes, strict=True)]
        return [part / part.sum(0).clamp(min=1) for part in parts]
