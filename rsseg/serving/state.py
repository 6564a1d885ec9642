"""What all routes of a server share."""

from __future__ import annotations

from dataclasses import dataclass

from rsseg.serving.layers import Layers
from rsseg.serving.queue import ModelQueue
from rsseg.serving.settings import ServeSettings

__all__ = ["State"]


@dataclass
class State:
    """One server.

    Attributes:
        settings: As it was started.
        layers: What it shows.
        queue: Its models, in processes of their own.
    """

    settings: ServeSettings
    layers: Layers
    queue: ModelQueue
