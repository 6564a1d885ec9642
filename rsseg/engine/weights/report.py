"""What became of every key: of the file's and of the model's."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ConversionReport"]


@dataclass
class ConversionReport:
    """Account of a conversion.

    Args:
        file: Name of the file.
        layout: Whose names it has.
        model: Config of the model that the weights are for.
        part: ``"backbone"`` or ``"model"``.
        loaded: The model's keys that the file has.
        resized: Those among them that were resized to another grid, or lost the place of a class token.
        skipped: The file's keys that the model does without by design, by reason.
        fresh: The model's keys that such files do not have, by reason; they keep their initial values.
        missing: The model's keys that the file should have.
        unexpected: The file's keys that have no place in the model.
        size_mismatch: What has another shape than the model's.
    """

    file: str
    layout: str
    model: dict[str, Any]
    part: str
    loaded: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    fresh: dict[str, list[str]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    size_mismatch: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is unexplained."""
        return bool(self.loaded) and not (self.missing or self.unexpected or self.size_mismatch)

    def __str__(self) -> str:
        """The account in a few lines."""
        name = "model" if self.part == "model" and "backbone" not in self.model else "backbone"
        settings = ", ".join(f"{key}={value!r}" for key, value in self.model.get("backbone", self.model).items())
        lines = [
            f"{self.file}: {self.layout}, for a {self.part} ({self.model['type']})",
            f"  loaded             {len(self.loaded)}",
            f"  skipped by design  {_groups(self.skipped)}",
            f"  fresh by design    {_groups(self.fresh)}",
            f"  missing            {_names(self.missing)}",
            f"  unexpected         {_names(self.unexpected)}",
        ]
        if self.resized:
            lines.insert(2, f"  of these resized   {_names(self.resized)}")
        if self.size_mismatch:
            lines.append(f"  size mismatch      {_names(self.size_mismatch)}")
        return "\n".join([*lines, f"  {name:<19}dict({settings})"])


def _groups(groups: dict[str, list[str]]) -> str:
    total = sum(map(len, groups.values()))
    parts = ", ".join(f"{len(keys)} {reason}" for reason, keys in groups.items())
    return f"{total} ({parts})" if total else "0"


def _names(keys: list[str], most: int = 5) -> str:
    shown = ", ".join(keys[:most]) + (" ..." if len(keys) > most else "")
    return f"{len(keys)}: {shown}" if keys else "0"
