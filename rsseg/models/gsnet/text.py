"""Class names as texts, their tokens, and their features, which are computed once for as long as they hold."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional

from rsseg.errors import ConfigError, MissingPackageError
from rsseg.metainfo import load_metainfo
from rsseg.models.gsnet.clip import TextTower

__all__ = ["TEMPLATE", "TEMPLATE_SETS", "TextCache", "Vocabulary", "read_templates", "text_embeddings"]

TEMPLATE = "A photo of a {} in the scene"
"""What a class name is put into.  Source: GSNet release."""

TEMPLATE_SETS = ("vild", "imagenet")
"""What may stand in place of a template: ViLD's 14, or the 80 that OpenAI used for ImageNet.  Features are averaged."""

_KEPT = 16
"""Vocabularies whose features a cache keeps, the latest ones."""

_SUMS = 251
_TEXTS = 512
"""Texts that are encoded at once."""


@functools.cache
def _tokenizer() -> Any:
    try:
        from open_clip.tokenizer import SimpleTokenizer
    except ImportError as error:
        raise MissingPackageError('texts require the tokenizer of open_clip: pip install "rsseg[optional]"') from error
    return SimpleTokenizer()


def read_templates(template: str) -> tuple[str, ...]:
    """The texts with ``{}`` that a template stands for: itself, or those of one of ``TEMPLATE_SETS``, from mmseg.

    Raises:
        ConfigError: It is no such name, and does not have exactly one ``{}``.
    """
    if template in TEMPLATE_SETS:
        from mmseg.utils import get_predefined_templates

        return tuple(get_predefined_templates(template))
    if template.count("{}") != 1:
        raise ConfigError(
            f"template={template!r}: expected exactly one {{}}, which stands for the class name, or one of: "
            f"{', '.join(TEMPLATE_SETS)}"
        )
    return (template,)


class Vocabulary:
    """Names of classes, as CLIP reads them.

    Args:
        names: One for each class, as it shall be read.  Of synonyms that are separated by ``", "`` the first is read.
        template: Text with ``{}`` where the name goes, or one of ``TEMPLATE_SETS``.
        context: Most tokens that the model reads.

    Attributes:
        names: As given.
        prompts: The texts, those of a name one after the other.

    Raises:
        ConfigError: There is no name, a name is empty or twice, or ``template`` has no place for it.

    Source: GSNet release (template, synonyms).
    """

    def __init__(self, names: Sequence[str], template: str = TEMPLATE, context: int = 77) -> None:
        if isinstance(names, str):
            raise ConfigError(f"names={names!r}: expected a list of names")
        self.names = tuple(names)
        self.context = context
        templates = read_templates(template)
        read = [name.split(", ")[0].strip() for name in self.names]
        small = [name.lower() for name in read]  # as the tokenizer sees them
        twice = sorted({name for name in small if small.count(name) > 1})
        if not read or not all(read) or twice:
            raise ConfigError(
                f"names {list(names)}: expected at least one name, none of them empty or repeated (repeated: {twice})"
            )
        self._per_name = len(templates)
        self.prompts = tuple(each.replace("{}", name) for name in read for each in templates)

    @classmethod
    def of(cls, names: str | Sequence[str], template: str = TEMPLATE, context: int = 77) -> Vocabulary:
        """Vocabulary of names, or of a class table by its name: the first prompt of each class, else its name.

        Raises:
            ValueError: See :class:`Vocabulary`, or there is no such table.
        """
        if isinstance(names, str):
            table = load_metainfo(names)
            prompts = table.prompts or ((),) * table.num_classes
            names = [own[0] if own else name for own, name in zip(prompts, table.classes, strict=True)]
        return cls(names, template, context)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def key(self) -> tuple[str, ...]:
        """What the features depend on, besides the model."""
        return self.prompts

    def pool(self, features: torch.Tensor) -> torch.Tensor:
        """Features of the names (N, embed), of length 1, from those of the texts: the mean over the templates."""
        if self._per_name == 1:
            return features
        return functional.normalize(features.unflatten(0, (-1, self._per_name)).mean(1), dim=-1)

    @functools.cached_property
    def tokens(self) -> torch.Tensor:
        """(N, L) int64 on the CPU: each text between its marks of start and end, then zeros; L is the longest.

        Raises:
            ImportError: open_clip is not installed.
            ConfigError: A text has more tokens than the model reads.
        """
        tokenizer = _tokenizer()
        rows = [[tokenizer.sot_token_id, *tokenizer.encode(prompt), tokenizer.eot_token_id] for prompt in self.prompts]
        for prompt, row in zip(self.prompts, rows, strict=True):
            if len(row) > self.context:
                raise ConfigError(
                    f"{prompt!r} has {len(row)} tokens, but CLIP reads at most {self.context}; shorten the name"
                )
        out = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
        for i, row in enumerate(rows):
            out[i, : len(row)] = torch.tensor(row)
        return out


def text_embeddings(clip: TextTower, vocabulary: Vocabulary) -> torch.Tensor:
    """Features (N, embed) of a vocabulary, each of length 1, computed anew."""
    parts = [clip.encode_text(part) for part in vocabulary.tokens.split(_TEXTS)]
    return vocabulary.pool(functional.normalize(torch.cat(parts), dim=-1))


class TextCache:
    """Features of vocabularies, kept in evaluation without gradients until a weight of the text tower changes.

    Weights are compared by sums over their bits, so that no way of changing them goes unseen: an optimizer, a loaded
    file, averaged weights swapped in through ``.data``, an edit in place.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Any, torch.Tensor] = OrderedDict()
        self._weights: Any = None

    def embeddings(self, clip: TextTower, vocabulary: Vocabulary) -> torch.Tensor:
        """Features (N, embed) of a vocabulary, each of length 1, on the model's device.

        Args:
            clip: The model.  While it is in training mode, or gradients are on, nothing is kept or taken from what was.
            vocabulary: The texts.
        """
        if clip.training or torch.is_grad_enabled() or clip.token_embedding.weight.is_meta:
            return text_embeddings(clip, vocabulary)
        weights = _fingerprint(clip)
        if weights != self._weights:
            self._kept.clear()
            self._weights = weights
        if vocabulary.key not in self._kept:
            self._kept[vocabulary.key] = text_embeddings(clip, vocabulary)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(vocabulary.key)
        return self._kept[vocabulary.key]


def _fingerprint(clip: TextTower) -> Any:
    """What the features of texts depend on, besides the texts: weights, their type and place, autocast."""
    weights = [value.detach() for value in clip.text_parameters()]
    device = weights[0].device
    cast = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
    return device, cast, [weight.dtype for weight in weights], torch.stack([*map(_sums_of_bits, weights)]).tolist()


def _sums_of_bits(weight: torch.Tensor) -> torch.Tensor:
    """(2 x 251,) sums over a tensor's memory read as int64, bytes where that can't be, and what is left of it.

    Every 251st number is in one sum: as a prime it divides no width, so rows that change places show too.
    """
    flat = weight.contiguous().flatten()
    start, length = flat.storage_offset() * flat.element_size(), flat.numel() * flat.element_size()
    memory = flat.view(torch.uint8 if start % 8 or length % 8 else torch.int64)
    whole = len(memory) // _SUMS * _SUMS
    rest = functional.pad(memory[whole:], (0, _SUMS - len(memory) + whole))
    return torch.cat([memory[:whole].view(-1, _SUMS).sum(0, dtype=torch.int64), rest.long()])
