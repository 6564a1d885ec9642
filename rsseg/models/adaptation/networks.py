"""What methods read of the network that is adapted and of its batches."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rsseg.errors import ConfigError
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student, upsample

__all__ = ["full_logits", "head_outputs", "labels_of", "require_form"]


def require_form(method: AdaptationMethod, student: Student, form: str) -> None:
    """See that the network has the head that a method needs.

    Raises:
        ConfigError: It has another one.
    """
    found = getattr(student.decode_head, "form", None)
    if found != form:
        own = type(student.decode_head).__name__ + (f" of form {found!r}" if found else "")
        raise ConfigError(
            f"{type(method).__name__} needs model.decode_head=dict(type='DeepLabV2Head', form={form!r}), not {own}"
        )


def head_outputs(student: Student, inputs: Tensor, size: Sequence[int]) -> dict[str, Tensor]:
    """What a ``DeepLabV2Head`` computes of images (N, 3, H, W), logits scaled to ``size``."""
    out = student.decode_head.outputs(student.extract_feat(inputs))
    return {name: value if name == "embedding" else upsample(student, value, size) for name, value in out.items()}


def full_logits(student: Student, batch: DomainBatch) -> Tensor:
    """Logits (N, C, H, W) of the student for a batch, at its size."""
    return upsample(student, student.network_logits("student", batch.inputs), batch.size)


def labels_of(source: DomainBatch) -> Tensor:
    """Labels (N, H, W) int64 of the source.

    Raises:
        ConfigError: The batch has none.
    """
    if source.labels is None:
        raise ConfigError("the source has no labels; its pipeline needs LoadLabels")
    return source.labels
