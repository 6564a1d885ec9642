"""SegEarth-OV3: open-vocabulary segmentation by SAM 3 without any training, its masks and its semantic map fused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS

from rsseg.errors import ConfigError
from rsseg.io.hub_folder import model_folder, weight_files
from rsseg.models.gsnet.inference import resized
from rsseg.models.sam3 import Answer
from rsseg.models.segearth_ov import TrainingFree
from rsseg.models.segmentor import slide_logits

__all__ = ["SegEarthOV3", "fuse"]


def fuse(answer: Answer, size: Sequence[int], confidence: float) -> torch.Tensor:
    """Scores (H, W) in 0..1 of one text in one window.

    Args:
        answer: What SAM 3 finds.
        size: (H, W) of the window.
        confidence: Queries count whose score is above.

    Source: SegEarth-OV3 (arXiv 2512.08730) and its release: small logits are enlarged, then squashed; the presence is
    in the scores of the queries, and once more in the whole.
    """
    fused = resized(answer.semantic[None, None], size)[0, 0].sigmoid()
    for i in torch.nonzero(answer.scores > confidence)[:, 0].tolist():  # one by one: Q maps of a window are much memory
        mask = resized(answer.masks[i][None, None], size)[0, 0].sigmoid()
        fused = torch.maximum(fused, mask * answer.scores[i])
    return fused * answer.presence


@MODELS.register_module()
class SegEarthOV3(TrainingFree):
    """SAM 3 asked for one name after the other; nothing is trained.

    Args:
        sam3: Config of :class:`~rsseg.models.sam3.SAM3`; its ``resolution`` is the side of the windows.
        vocabulary: Name of a class table, or one text for each class; names of one class are separated by commas.
        template: Text with ``{}`` where a name goes.
        confidence: Masks count whose score is above.
        background: Name of the class of whatever is none of the others, where the vocabulary has it.
        background_threshold: What that class's score is at least: it takes pixels whose best one is lower.
        data_preprocessor: As in :class:`VocabularySegmentor`.
        train_cfg: Not used.
        test_cfg: ``mode``: "slide" (``stride`` of the windows, their side by default) or "whole", one view that is
            squeezed to a square; ``threshold``.
        init_cfg: As everywhere.
        pretrained: None, as in :class:`VocabularySegmentor`.

    Raises:
        ConfigError: ``test_cfg`` has no such mode.
        MissingPackageError: transformers is not installed.

    Source: SegEarth-OV3 (arXiv 2512.08730) and its release.
    """

    def __init__(
        self,
        sam3: dict[str, Any],
        vocabulary: str | Sequence[str],
        template: str = "{}",
        confidence: float = 0.1,
        background: str | None = None,
        background_threshold: float = 0.0,
        data_preprocessor: dict[str, Any] | None = None,
        train_cfg: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        self.confidence = confidence
        self.background, self.background_threshold = background, background_threshold
        super().__init__(sam3, vocabulary, template, data_preprocessor, test_cfg, init_cfg, pretrained)

    @property
    def weight_files(self) -> list[str]:
        """The folder or address of the weights.

        Raises:
            ConfigError: There is none.
        """
        if self.clip.weights is None:
            raise ConfigError("model.sam3.weights names no folder; name one, or hf://facebook/sam3")
        return [str(path) for path in weight_files(model_folder(self.clip.weights))]

    def init_weights(self) -> None:
        """Read SAM 3's weights; mmengine's own would look at values that are not there before."""
        self.clip.init_weights()

    def extract_feat(self, inputs: torch.Tensor) -> list[Any]:
        """What SAM 3 keeps of each image (B, 3, H, W), normalised."""
        return [self.clip.encode(image) for image in self._pixels(inputs)]

    def _forward(self, inputs: torch.Tensor, data_samples: Any = None) -> torch.Tensor:
        return torch.cat([self.compare(image[None]) for image in inputs])

    def compare(self, window: torch.Tensor) -> torch.Tensor:
        """Scores (1, M, H, W) in 0..1 of the M names in a window (1, 3, H, W)."""
        encoded = self.extract_feat(window)[0]
        size = window.shape[2:]
        return torch.stack([
            fuse(self.clip.ask(encoded, name), size, self.confidence) for name in self.vocabulary.prompts
        ])[None]  # fmt: skip

    def _pixels(self, inputs: torch.Tensor) -> torch.Tensor:
        """Images as they were before the data preprocessor normalised them: (B, 3, H, W) uint8."""
        preprocessor = self.data_preprocessor
        mean = getattr(preprocessor, "mean", inputs.new_zeros(3, 1, 1))
        std = getattr(preprocessor, "std", inputs.new_ones(3, 1, 1))
        return (inputs * std + mean).round().clamp(0, 255).to(torch.uint8)

    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        return [
            self.by_class(resized(self._names(image[None]), size)[0]) for image, size in zip(images, sizes, strict=True)
        ]

    def _names(self, image: torch.Tensor) -> torch.Tensor:
        if self.test_cfg["mode"] == "whole":
            return self.compare(image)
        side = self.clip.resolution
        stride = self.test_cfg.get("stride", side)
        return slide_logits(image, self.compare, (side, side), (stride, stride))
