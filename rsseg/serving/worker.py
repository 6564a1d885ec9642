"""A process that runs models for the page: requests come through a pipe, one after the other."""

from __future__ import annotations

import importlib
import logging
import os
import pickle
import queue
import re
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from rsseg.errors import UserError
from rsseg.interruption import end_with_parent

__all__ = ["Stopped", "error_summary", "serve_in_background", "serve_requests", "without_folders"]

_log = logging.getLogger("rsseg")
_NICE = 10
"""How much a process in the background gives way to others on the processor."""
_MEMORY = "memory ran out; choose a smaller view, or a model with fewer parameters"
_FOLDERS = re.compile(r"(?<![\w.~/-])~?/(?:[^/\s:;,'\"()]+/)+")
"""The folders of an absolute path in a text."""


class Stopped(BaseException):
    """Raised by ``progress`` in a work function whose request was cancelled; no work function shall swallow it."""


class _Progress:
    """What a work function calls: tells the server how far it is, and ends the work where that is asked for."""

    def __init__(self, send: Callable[..., None], stopped: set[str], request_id: str) -> None:
        self._send, self._stopped, self._id = send, stopped, request_id

    def __call__(self, done: float, message: str, partial: dict[str, Any] | None = None) -> None:
        if self._id in self._stopped:
            raise Stopped
        self._send("progress", self._id, (min(max(float(done), 0.0), 1.0), message, partial))


def serve_requests(pipe: Connection) -> None:
    """Body of the worker process: runs until the server closes the pipe or ends, however it ends.

    Args:
        pipe: Receives ``("run", id, work, request)`` and ``("stop", id)``; sends pickled ``(kind, id, value)``, where
            kind is ``progress``, ``done``, ``failed`` or ``stopped``.
    """
    end_with_parent()
    todo: queue.SimpleQueue[tuple[str, str, dict[str, Any]]] = queue.SimpleQueue()
    stopped: set[str] = set()

    def receive() -> None:
        try:
            while True:
                kind, *rest = pipe.recv()
                if kind == "stop":
                    stopped.add(rest[0])
                else:
                    todo.put((rest[0], rest[1], rest[2]))
        except (EOFError, OSError):  # the server has ended
            os._exit(1)

    threading.Thread(target=receive, name="requests", daemon=True).start()
    models: dict[str, Any] = {}

    def send(kind: str, request_id: str, value: Any) -> None:
        pipe.send_bytes(pickle.dumps((kind, request_id, value), protocol=pickle.HIGHEST_PROTOCOL))

    while True:
        request_id, work, request = todo.get()
        kind, value = _run(work, request, models, _Progress(send, stopped, request_id))
        stopped.discard(request_id)
        send(kind, request_id, value)


def serve_in_background(pipe: Connection) -> None:
    """As :func:`serve_requests`, for what may take long: other processes come first on the processor."""
    os.nice(_NICE)
    serve_requests(pipe)


def _run(work: str, request: dict[str, Any], models: dict[str, Any], progress: _Progress) -> tuple[str, Any]:
    """Result or error of one request, as the pipe carries it; whatever goes wrong, the process goes on."""
    module, _, name = work.partition(":")
    try:
        progress(0, "")
        return "done", getattr(importlib.import_module(module), name)(request, models, progress)
    except Stopped:
        return "stopped", None
    except Exception as error:
        if isinstance(error, (UserError, OSError)):
            _log.warning("%s: %s", work, error)
        else:
            _log.error("%s failed:\n%s", work, traceback.format_exc())
        return "failed", error_summary(error)


def without_folders(text: str) -> str:
    """A text in which absolute paths have only their last part."""
    return _FOLDERS.sub("", text)


def error_summary(error: Exception) -> str:
    """One line about an error for the page, without folders; what is not meant for users stays in the server's log."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return _MEMORY
    if isinstance(error, OSError) and error.filename is not None:
        return f"{Path(os.fsdecode(error.filename)).name}: {error.strerror or type(error).__name__}"
    if isinstance(error, (UserError, OSError)):
        return without_folders(str(error))
    return f"an error of the program ({type(error).__name__}); the log of the server has the details"
