"""SED (CVPR 2024): a simple encoder-decoder for open vocabularies, on CLIP's ConvNeXt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.gsnet.inference import resized
from rsseg.models.gsnet.segmentor import vocabulary_loss
from rsseg.models.gsnet.text import Vocabulary, read_templates
from rsseg.models.gsnet.vocabulary_segmentor import VocabularySegmentor
from rsseg.models.sed.decoder import CostDecoder
from rsseg.models.segmentor import slide_logits

__all__ = ["SED", "PromptChannels"]


class PromptChannels(Vocabulary):
    """Classes of which each template has a feature of its own: the mean over a class's names, at length 1.

    Args:
        names: One text for each class; its names are separated by ``", "``.
        template: As for :class:`Vocabulary`.
        context: Most tokens that the model reads.

    Raises:
        ConfigError: As for :class:`Vocabulary`, or a name between two commas is empty.

    Source: SED release.
    """

    def __init__(self, names: Sequence[str], template: str = "imagenet", context: int = 77) -> None:
        super().__init__(names, template, context)
        templates = read_templates(template)
        split = [[part.strip() for part in name.split(", ")] for name in self.names]
        if empty := [name for name, parts in zip(self.names, split, strict=True) if not all(parts)]:
            raise ConfigError(f"the class {empty[0]!r}: expected names between its commas")
        self.prompts = tuple(each.replace("{}", part) for parts in split for each in templates for part in parts)
        self._counts = [len(parts) for parts in split]

    @property
    def key(self) -> tuple[str, ...]:
        """What the features depend on, besides the model: the texts, and how many names each class has."""
        return *self.prompts, *map(str, self._counts)

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Features (N, P, embed) of classes and templates, of length 1, from those of the texts."""
        parts = features.split([count * self._per_name for count in self._counts])
        means = [own.unflatten(0, (self._per_name, -1)).mean(1) for own in parts]
        return functional.normalize(torch.stack(means), dim=-1)


@MODELS.register_module()
class SED(VocabularySegmentor):
    """A score for every class at every pixel, from its similarity in many templates; the image tower is trained whole.

    Args:
        clip: Config of a ``ConvNeXtCLIP``.
        vocabulary: Name of a class table, or one text for each class; names of one class are separated by ``", "``.
        decoder: What differs from :class:`CostDecoder`'s defaults.
        template: Name of a set of templates with as many as the decoder's ``prompts``.
        release_defects: Do as the release does where it does harm: squeeze every image to a square, cut the scores of
            images below the size of the finest map instead of resizing them, and let no loss of the coarser logits
            reach what is before them.
        data_preprocessor: Config.
        train_cfg: Not used.
        test_cfg: ``mode``: "whole" (the release's) or "slide" with ``crop_size`` and ``stride``; ``fast``: before each
            stage only classes stay that are among so many best ones of any place (8 in the release); ``threshold``.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: ``test_cfg`` has no such mode or ``fast``, or the templates are not as many as the decoder reads.

    Source: SED paper and release.
    """

    vocabulary_type = PromptChannels

    def __init__(
        self,
        clip: dict[str, Any],
        vocabulary: str | Sequence[str],
        decoder: dict[str, Any] | None = None,
        template: str = "imagenet",
        release_defects: bool = False,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        super().__init__(clip, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)
        fast = self.test_cfg.get("fast")
        if fast is not None and (isinstance(fast, bool) or not isinstance(fast, int) or fast < 1):
            raise ConfigError(f"test_cfg.fast={fast!r}: expected how many classes of a place stay, 1 or more, or None")
        image_channels = self.clip.channels[2::-1]
        settings = dict(image_channels=image_channels, detach_heads=release_defects)
        self.decoder = CostDecoder(**{**settings, **(decoder or {})})
        if (count := len(read_templates(template))) != self.decoder.prompts:
            raise ConfigError(
                f"template={template!r} gives {count} texts of each class; expected {self.decoder.prompts}, which the "
                "decoder compares: template='imagenet' for the published weights"
            )
        self.release_defects, self.train_cfg = release_defects, train_cfg
        self.clip.requires_grad_(False)
        self.clip.visual.requires_grad_(True)

    def train(self, mode: bool = True) -> SED:
        """Training or evaluation mode; for the tower for texts always the latter, so that texts are read once."""
        super().train(mode)
        self.clip.eval()
        self.clip.visual.train(mode)
        return self

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """CLIP's features of images (B, 3, H, W), brought to its resolution; see ``ConvNeXtCLIP.encode_image``."""
        size = self.clip.fit(inputs, keep_ratio=not self.release_defects)
        return self.clip.encode_image(resized(inputs, size))

    def similarities(self, inputs: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Cosines (B, N, P, h, w) of places and texts, and the maps that guide the decoder, coarsest first."""
        dense, maps = self.extract_feat(inputs)
        with torch.no_grad():
            text = self.embed_text()
        cosines = torch.einsum("bchw,npc->bnphw", functional.normalize(dense, dim=1), text)
        return cosines, maps[2::-1]

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        """Logits (B, N, h, w), a quarter of CLIP's resolution."""
        cosines, maps = self.similarities(inputs)
        keep = self.test_cfg.get("fast")
        if keep is None or self.training:
            return self.decoder(cosines, maps, coarse=False)[0]
        rows = range(len(cosines))
        return torch.cat([self.decoder.fast(cosines[i : i + 1], [own[i : i + 1] for own in maps], keep) for i in rows])

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Probabilities (B, N, H, W) of images (B, 3, H, W)."""
        return resized(self._probabilities(inputs), inputs.shape[2:])

    def _probabilities(self, inputs: torch.Tensor) -> torch.Tensor:
        """Of images (B, 3, H, W), of the finest map's size, or of what the release leaves of it."""
        out = self._forward(inputs).float().sigmoid()
        return out[..., : inputs.shape[2], : inputs.shape[3]] if self.release_defects else out

    def loss(self, inputs: torch.Tensor, data_samples: list[SegDataSample]) -> dict[str, torch.Tensor]:
        """``loss_0`` of the finest logits and ``loss_1`` to ``loss_3`` of coarser ones, see :func:`vocabulary_loss`.

        Args:
            inputs: (B, 3, H, W) normalised images.
            data_samples: One for each image, with ``gt_sem_seg`` (1, H, W).
        """
        target = torch.stack([sample.gt_sem_seg.data[0] for sample in data_samples]).long()
        logits = self.decoder(*self.similarities(inputs))
        return {
            f"loss_{i}": vocabulary_loss(resized(own.float(), target.shape[1:]), target) for i, own in enumerate(logits)
        }

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Probabilities (N, *size) of images (3, H, W)."""
        if self.test_cfg["mode"] == "slide":
            windows = self.slide_sizes()
            parts = [slide_logits(image[None], self.encode_decode, *windows) for image in images]
        else:
            parts = [self._probabilities(image[None]) for image in images]
        return [resized(part, size)[0] for part, size in zip(parts, sizes, strict=True)]
