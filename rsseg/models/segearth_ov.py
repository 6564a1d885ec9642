"""SegEarth-OV: open-vocabulary segmentation by CLIP without any training, with features at full resolution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.metainfo import load_metainfo
from rsseg.models.gsnet.clip import fit_image
from rsseg.models.gsnet.inference import resized
from rsseg.models.gsnet.text import Vocabulary
from rsseg.models.gsnet.vocabulary_segmentor import VocabularySegmentor
from rsseg.models.segmentor import slide_logits

__all__ = ["IMAGENET", "SegEarthOV", "Synonyms", "TrainingFree"]

IMAGENET = "imagenet"
"""In place of a template: the 80 that OpenAI used for ImageNet, whose features are averaged."""


class Synonyms(Vocabulary):
    """Classes of one name or several, each name put into one template or many.

    Args:
        names: One text for each class; its names are separated by commas.
        template: Text with ``{}``, or ``"imagenet"``.
        context: Most tokens that the model reads.

    Attributes:
        owners: (M,) int64: the class of each of the M names.

    Raises:
        ConfigError: As for :class:`Vocabulary`, names of all classes taken together.
    """

    def __init__(self, names: Sequence[str], template: str = IMAGENET, context: int = 77) -> None:
        split = [[name.strip() for name in text.split(",")] for text in names]
        super().__init__([name for own in split for name in own], template, context)
        self.names = tuple(names)
        self.owners = torch.tensor([i for i, own in enumerate(split) for _ in own])

    @classmethod
    def of(cls, names: str | Sequence[str], template: str = IMAGENET, context: int = 77) -> Synonyms:
        """Of names, or of a class table by its name: all prompts of each class, else its name."""
        if isinstance(names, str):
            table = load_metainfo(names)
            prompts = table.prompts or ((),) * table.num_classes
            names = [",".join(own) or name for own, name in zip(prompts, table.classes, strict=True)]
        return cls(names, template, context)

    def by_class(self, scores: torch.Tensor) -> torch.Tensor:
        """Scores (M, ...) of the names to (N, ...) of the classes: the largest of a class's names."""
        if len(self.owners) == len(self):
            return scores
        owners = self.owners.to(scores.device)
        return torch.stack([scores[owners == i].amax(0) for i in range(len(self))])


class TrainingFree(VocabularySegmentor):
    """What models share that are asked as they come: no loss, several names for a class, a score for the background.

    Attributes:
        background: Name of the class of whatever is none of the others; None where there is no such class.
        background_threshold: What that class's score is at least.
    """

    modes = ("slide", "whole")
    vocabulary_type = Synonyms
    training_free = True
    vocabulary: Synonyms
    background: str | None
    background_threshold: float

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Scores (B, N, H, W) of images (B, 3, H, W)."""
        return self.inference(inputs)

    def loss(self, inputs: torch.Tensor, data_samples: Any) -> dict[str, torch.Tensor]:
        """None.

        Raises:
            ConfigError: Always.
        """
        name = type(self).__name__
        raise ConfigError(f"{name} is not trained; test it, or train an open-vocabulary model such as GSNet")

    def by_class(self, names: torch.Tensor) -> torch.Tensor:
        """Scores (M, H, W) of the names to (N, H, W) of the classes; the background's is raised in place."""
        out = self.vocabulary.by_class(names)
        if self.background is not None and self.background in self.vocabulary.names:
            out[self.vocabulary.names.index(self.background)].clamp_(min=self.background_threshold)
        return out


@MODELS.register_module()
class SegEarthOV(TrainingFree):
    """CLIP's features of every pixel compared with texts; nothing is trained.

    Args:
        clip: Config of CLIP, with ``weights``; its ``resolution`` is the side of the windows.
        vocabulary: Name of a class table, or one text for each class; names of one class are separated by commas.
        upsampler: Config of what brings features to the image's resolution; None interpolates the scores bilinearly.
        template: Text with ``{}``, or ``"imagenet"``.
        class_token: Weight of the class token's own scores, which are the same at every place.
        scale: Factor of the cosines before the softmax over all names.
        background: Name of the class of whatever is none of the others, where the vocabulary has it.
        background_threshold: What that class's probability is at least: it takes pixels whose best one is lower.
        data_preprocessor: As in :class:`VocabularySegmentor`.
        train_cfg: Not used.
        test_cfg: ``mode``: "slide" (``size``: side that the image is brought into, its proportions kept, 448;
            ``stride`` of the windows, half of them) or "whole", one view of a square; ``threshold``.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: ``test_cfg`` has no such mode.

    Source: SegEarth-OV (arXiv 2410.01768) and its release.
    """

    def __init__(
        self,
        clip: dict[str, Any],
        vocabulary: str | Sequence[str],
        upsampler: dict[str, Any] | None = None,
        template: str = IMAGENET,
        class_token: float = -0.3,
        scale: float = 50.0,
        background: str | None = None,
        background_threshold: float = 0.0,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        self.class_token, self.scale = class_token, scale
        self.background, self.background_threshold = background, background_threshold
        super().__init__({"taps": (), **clip}, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)
        self.upsampler = None if upsampler is None else MODELS.build(upsampler)
        self.requires_grad_(False)

    @property
    def weight_files(self) -> list[str]:
        """The files that the model's parts take their weights from.

        Raises:
            ConfigError: A part names none, so that its weights would be random.
        """
        parts = {"clip": self.clip, **({"upsampler": self.upsampler} if self.upsampler is not None else {})}
        if without := [name for name, part in parts.items() if part.weights is None]:
            raise ConfigError(f"model.{without[0]}.weights names no file, and the weights would be random")
        named = [part.weights for part in parts.values()]
        return [file for own in named for file in ([own] if isinstance(own, str) else own)]

    def extract_feat(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Class token (B, embed) and features (B, embed, h, w), of length 1, of images (B, 3, H, W)."""
        whole, places = self.clip.encode_places(inputs)
        if self.upsampler is not None:
            places = self.upsampler(places, inputs)
        return functional.normalize(whole, dim=-1), functional.normalize(places, dim=1)

    def compare(self, window: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        """Cosines (B, M, H, W) of a window (B, 3, H, W) with names (M, embed), the class token's weighed in."""
        height, width = window.shape[2:]
        patch = self.clip.visual.conv1.kernel_size[0]
        below, right = -height % patch, -width % patch
        top, left = below // 2, right // 2
        whole, places = self.extract_feat(functional.pad(window, (left, right - left, top, below - top)))
        scores = torch.einsum("bchw,mc->bmhw", places, text) + self.class_token * (whole @ text.T)[..., None, None]
        return resized(scores, (height + below, width + right))[..., top : top + height, left : left + width]

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        return self.compare(inputs, self.embed_text())

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        text = self.embed_text()
        return [
            self._probabilities(self._cosines(image[None], text), size)
            for image, size in zip(images, sizes, strict=True)
        ]

    def _cosines(self, image: torch.Tensor, text: torch.Tensor) -> torch.Tensor:
        side = self.clip.resolution
        if self.test_cfg["mode"] == "whole":
            return self.compare(fit_image(image, side), text)
        height, width = image.shape[2:]
        factor = self.test_cfg.get("size", 448) / max(height, width)
        fitted = resized(image, (max(1, int(height * factor + 0.5)), max(1, int(width * factor + 0.5))))
        stride = self.test_cfg.get("stride", side // 2)
        return slide_logits(fitted, lambda window: self.compare(window, text), (side, side), (stride, stride))

    def _probabilities(self, cosines: torch.Tensor, size: Sequence[int]) -> torch.Tensor:
        """(N, *size) of the cosines (1, M, h, w) of one image."""
        return self.by_class((self.scale * resized(cosines.float(), size)[0]).softmax(0))
