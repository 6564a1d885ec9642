"""What a server shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = ["Layers"]


class Layers:
    """Maps, images and sets."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.paths = paths

    def all(self) -> list[Any]:
        """Every layer."""
        return []
