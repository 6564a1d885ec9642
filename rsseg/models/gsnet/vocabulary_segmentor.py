"""What segments images into the classes of a vocabulary that may change at any time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import BaseSegmentor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from rsseg.errors import ConfigError
from rsseg.metainfo import IGNORE, load_metainfo, word_table
from rsseg.models.api import WithConfig
from rsseg.models.gsnet.inference import stored_image
from rsseg.models.gsnet.text import TEMPLATE, TextCache, Vocabulary

__all__ = ["VocabularySegmentor", "check_labels"]


def check_labels(target: torch.Tensor, classes: int) -> torch.Tensor:
    """Which pixels have a label.

    Args:
        target: (B, H, W) int64 class ids, 255 where there is no label.
        classes: Number of classes of the vocabulary.

    Returns:
        (B, H, W) bool.

    Raises:
        ConfigError: A pixel holds another value.
    """
    labelled = target != IGNORE
    wrong = target[labelled & ((target < 0) | (target >= classes))]
    if wrong.numel():
        raise ConfigError(
            f"label {int(wrong[0])}: expected 0 to {classes - 1}, the classes of the vocabulary, "
            f"or {IGNORE} for pixels without a label"
        )
    return labelled


class VocabularySegmentor(WithConfig, BaseSegmentor):
    """A segmentor with CLIP, whose classes are texts; what it gives for an image are probabilities.

    Args:
        clip: Config of CLIP.
        vocabulary: Name of a class table, or one prompt for each class.
        template: Text with ``{}`` where a prompt goes, or the name of a set of templates, see :class:`Vocabulary`.
        data_preprocessor: Config; ``AnySizePreprocessor`` allows test batches of images of several sizes.
        test_cfg: ``mode``, one of ``modes``, the first by default, and what it needs; ``threshold``: pixels whose best
            probability is below become 255.
        init_cfg: As everywhere.
        pretrained: None, which mmseg's ``init_model`` sets; the towers name their own files.

    Attributes:
        probabilities: :meth:`inference` gives probabilities, not logits.
        modes: What ``test_cfg.mode`` may be.
        vocabulary_type: How the model reads names of classes.

    Raises:
        ConfigError: ``test_cfg`` has no such mode, or ``pretrained`` names a file.
    """

    probabilities = True
    align_corners = False
    modes: ClassVar[tuple[str, ...]] = ("whole", "slide")
    vocabulary_type: ClassVar[type[Vocabulary]] = Vocabulary

    def __init__(
        self,
        clip: dict[str, Any],
        vocabulary: str | Sequence[str],
        template: str = TEMPLATE,
        data_preprocessor: dict[str, Any] | None = None,
        test_cfg: dict[str, Any] | None = None,
        init_cfg: Any = None,
        pretrained: None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        if pretrained is not None:
            raise ConfigError(f"model.pretrained={pretrained!r}: name the towers' files, as in model.clip.weights")
        self.clip = MODELS.build(clip)
        self.template = template
        self.test_cfg = dict(test_cfg or dict(mode=self.modes[0]))
        if self.test_cfg.get("mode") not in self.modes:
            allowed = ", ".join(map(repr, self.modes))
            raise ConfigError(f"test_cfg.mode={self.test_cfg.get('mode')!r}: expected one of: {allowed}")
        self._texts = TextCache()
        self.set_vocabulary(vocabulary)

    def set_vocabulary(self, names: str | Sequence[str]) -> None:
        """Segment these classes from now on.

        Args:
            names: One prompt for each class, or the name of a class table.

        Raises:
            ValueError: There is none, or one is empty or twice; or there is no such table.
        """
        self.vocabulary = self.vocabulary_type.of(names, self.template, self.clip.context)
        self._asked = names

    @property
    def dataset_meta(self) -> dict[str, Any]:
        """Names and colours of the classes that the model is asked for.

        Those of its checkpoint, which mmseg's APIs set, are of its training and not kept.
        """
        table = load_metainfo(self._asked) if isinstance(self._asked, str) else word_table(self._asked, "the model")
        return {"classes": table.classes, "palette": [list(color) for color in table.palette]}

    @dataset_meta.setter
    def dataset_meta(self, meta: Any) -> None:
        """Nothing, see there."""

    @property
    def window(self) -> int:
        """Side in pixels of the windows that a raster is cut into for this model: what it sees at once."""
        return self.clip.resolution

    @property
    def num_classes(self) -> int:
        """Number of classes of the vocabulary."""
        return len(self.vocabulary)

    out_channels = num_classes

    def embed_text(self) -> torch.Tensor:
        """Embeddings (N, embed) of the vocabulary, of length 1; computed once where nothing is trained."""
        return self._texts.embeddings(self.clip, self.vocabulary)

    def inference(self, inputs: torch.Tensor, batch_img_metas: list[dict] | None = None) -> torch.Tensor:
        """Probabilities (B, N, H, W) of images (B, 3, H, W) at their size, as ``test_cfg.mode`` says."""
        return torch.stack(self._scores(list(inputs), [image.shape[-2:] for image in inputs]))

    def predict(
        self, inputs: torch.Tensor | Sequence[torch.Tensor], data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Predictions: ``pred_sem_seg`` (1, H, W) and ``seg_logits`` (N, H, W), which are probabilities.

        Args:
            inputs: (B, 3, h, w) normalised images, or a list of them; they may differ in size.
            data_samples: One for each image; results have its ``ori_shape``.
        """
        samples = [SegDataSample() for _ in inputs] if data_samples is None else data_samples
        images = [stored_image(image, s.metainfo) for image, s in zip(inputs, samples, strict=True)]
        sizes = [s.metainfo.get("ori_shape", i.shape[-2:])[:2] for i, s in zip(images, samples, strict=True)]
        for sample, scores in zip(samples, self._scores(images, sizes), strict=True):
            if sample.metainfo.get("flip"):
                scores = scores.flip(2 if sample.metainfo["flip_direction"] == "horizontal" else 1)
            sample.set_data({
                "seg_logits": PixelData(data=scores),
                "pred_sem_seg": PixelData(data=self.labels_of(scores)[None]),
            })  # fmt: skip
        return samples

    def slide_sizes(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """(height, width) of the windows of the mode "slide", and of the steps from one to the next.

        Raises:
            ConfigError: ``test_cfg`` does not say them.
        """
        sizes: list[Any] = [self.test_cfg.get(name) for name in ("crop_size", "stride")]
        if not all(isinstance(size, Sequence) and len(size) == 2 for size in sizes):
            raise ConfigError(
                f"test_cfg={self.test_cfg}: mode='slide' needs crop_size=(height, width) and stride=(height, width)"
            )
        (height, width), (down, right) = sizes
        return (height, width), (down, right)

    def labels_of(self, scores: torch.Tensor) -> torch.Tensor:
        """Class ids (H, W) int64 of probabilities (N, H, W), 255 where the best one is below the threshold."""
        best, labels = scores.max(0)
        threshold = self.test_cfg.get("threshold")
        return labels if threshold is None else labels.where(best >= threshold, IGNORE)

    @abstractmethod
    def _scores(self, images: Sequence[torch.Tensor], sizes: Sequence[Sequence[int]]) -> list[torch.Tensor]:
        """Probabilities (N, *size) of images (3, H, W), as ``test_cfg`` says."""
