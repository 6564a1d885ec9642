"""SAM 3's detector through transformers: an image is seen once, and asked for one text after the other."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError
from rsseg.io.hub import is_hub
from rsseg.io.hub_folder import model_folder
from rsseg.io.pretrained import describe_folder, load_pretrained, load_processor, transformers_library

__all__ = ["SAM3", "Answer"]

_TOKENS = 32
"""What SAM 3 reads of a text.  Source: transformers' Sam3Processor."""
_KEPT = 1024
"""Texts whose features are kept."""


class Answer(NamedTuple):
    """What SAM 3 finds for one text in one image, on its device.

    Attributes:
        masks: (Q, h, w) float32 small logits of the queries' masks.
        boxes: (Q, 4) float32, x1 y1 x2 y2 in 0..1 of the image.
        scores: (Q,) float32 in 0..1: how sure a query is, times the presence.
        presence: () float32 in 0..1: how sure it is that there is anything of the kind.
        semantic: (h, w) float32 small logits of all that the text names.
    """

    masks: torch.Tensor
    boxes: torch.Tensor
    scores: torch.Tensor
    presence: torch.Tensor
    semantic: torch.Tensor


@MODELS.register_module()
class SAM3(nn.Module):
    """SAM 3's detector.  Until :meth:`init_weights` it takes no memory, and cannot be asked.

    Args:
        weights: Folder of a SAM 3 that transformers has saved, or ``hf://facebook/sam3``.
        resolution: Side in pixels of the windows of an image that it is given one by one; each is squeezed to 1008.

    Raises:
        MissingPackageError: transformers is not installed.

    Source: Carion et al. 2025, SAM 3: Segment Anything with Concepts, and its port in transformers.
    """

    context = _TOKENS

    def __init__(self, weights: str | None = None, resolution: int = 512) -> None:
        super().__init__()
        self.weights, self.resolution, self.loaded = weights, resolution, False
        library = transformers_library("SAM3")
        self.version = library.__version__
        here = weights is not None and not is_hub(weights) and (Path(weights).expanduser() / "config.json").is_file()
        config = library.Sam3Config.from_pretrained(os.fspath(Path(str(weights)).expanduser())) if here else None
        with torch.device("meta"):
            self.model = library.Sam3Model(config or library.Sam3Config())
        self.place: torch.Tensor
        self.register_buffer("place", torch.zeros(()), persistent=False)
        self.processor: Any = None
        self._texts: dict[str, tuple[Any, torch.Tensor]] = {}
        self.requires_grad_(False)

    def _apply(self, fn: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True) -> SAM3:
        """Move the weights, or, while there are none, only remember where to."""
        self._texts.clear()
        if self.loaded:
            return super()._apply(fn, recurse)
        self.place = fn(self.place)
        return self

    def init_weights(self) -> None:
        """Read weights and processor; a second call changes nothing.

        Raises:
            ConfigError: No weights are named.
            FileNotFoundError: There is no such folder.
            DataError: They are no weights of SAM 3.
            OSError: The hub does not give them; the message says what to do.
        """
        if self.loaded:
            return
        if self.weights is None:
            raise ConfigError("SAM3 needs weights: the folder of a saved model, or hf://facebook/sam3")
        folder = model_folder(self.weights)
        self.processor = load_processor("Sam3Processor", folder, "SAM3")
        self.model = load_pretrained("Sam3Model", folder, "SAM3").to(self.place.device).requires_grad_(False)
        self.files, self.loaded = describe_folder(folder, reads_text=True), True

    @torch.no_grad()
    def encode(self, image: torch.Tensor) -> Any:
        """What the model keeps of an image (3, H, W) uint8 RGB."""
        inputs = self.processor.image_processor(
            [image.to(self.place.device)], input_data_format="channels_first", return_tensors="pt"
        )
        return self.model.get_vision_features(inputs["pixel_values"].to(self.place.device))

    @torch.no_grad()
    def ask(self, encoded: Any, text: str) -> Answer:
        """What there is of a text, such as ``ship``, in an image that went through :meth:`encode`.

        Raises:
            ConfigError: The text is longer than what the model reads.
        """
        features, mask = self._read(text)
        out = self.model(vision_embeds=encoded, text_embeds=features, attention_mask=mask)
        presence = out.presence_logits[0].sigmoid()
        scores = out.pred_logits[0].sigmoid() * presence
        return Answer(out.pred_masks[0], out.pred_boxes[0], scores, presence[0], out.semantic_seg[0, 0])

    def _read(self, text: str) -> tuple[Any, torch.Tensor]:
        if text not in self._texts:
            tokens = self.processor.tokenizer([text], return_tensors="pt", padding="max_length", max_length=_TOKENS).to(
                self.place.device
            )
            if (count := tokens["input_ids"].shape[1]) > _TOKENS:
                raise ConfigError(f"{text!r} has {count} tokens, but SAM 3 reads at most {_TOKENS}; shorten the name")
            if len(self._texts) >= _KEPT:
                self._texts.clear()
            mask = tokens["attention_mask"]
            self._texts[text] = self.model.get_text_features(tokens["input_ids"], mask), mask
        return self._texts[text]
