"""Work functions for the tests of the queue; the worker process imports them by name."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rsseg.errors import ConfigError

Progress = Callable[..., None]
Dict = dict[str, Any]


def echo(request: Dict, models: Dict, progress: Progress) -> Dict:
    """The request, the process and how often this was called in it."""
    models["calls"] = models.get("calls", 0) + 1
    return {**request, "process": os.getpid(), "calls": models["calls"]}


def fail(request: Dict, models: Dict, progress: Progress) -> Dict:
    """Raise what is asked for."""
    kinds = {
        "user": ConfigError("/secret/place/ground.tif: the value 3 is not allowed; see configs/landdiscover or 3/4"),
        "file": FileNotFoundError(2, "No such file or directory", "/secret/place/image.tif"),
        "text": FileNotFoundError("/secret/place/model.py: no such config file"),
        "bug": KeyError("/secret/place"),
        "memory": MemoryError(),
    }
    raise kinds[request["kind"]]


def wait(request: Dict, models: Dict, progress: Progress) -> Dict:
    """Say so in a file, then wait for another file, stepping; ``deaf``: without looking whether to stop."""
    Path(request["begun"]).touch()
    while not Path(request["go"]).exists():
        if not request.get("deaf"):
            progress(0.25, "waiting", {"text": "so far", "data": np.zeros(8)})
        time.sleep(0.01)
    return {"data": np.arange(4), "text": "waited"}


def large(request: Dict, models: Dict, progress: Progress) -> Dict:
    """A result of so many bytes."""
    return {"data": bytes(request["bytes"])}
