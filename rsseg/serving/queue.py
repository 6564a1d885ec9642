"""The model's worker process."""

from __future__ import annotations

from rsseg.serving.settings import ServeSettings

__all__ = ["ModelQueue"]


class ModelQueue:
    """Requests to the model, in order."""

    def __init__(self, settings: ServeSettings) -> None:
        self.settings = settings

    def close(self) -> None:
        """End the worker."""
