"""Write files behind the work that makes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

__all__ = ["Writer"]


class Writer:
    """One thread that writes in the background, in order, with a bounded number of waiting jobs.

    Args:
        waiting: Jobs that may wait; ``submit`` blocks beyond that.
    """

    def __init__(self, waiting: int = 8) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._slots = threading.BoundedSemaphore(waiting)
        self._unchecked: deque[Future[Any]] = deque()

    def submit(self, function: Callable[..., Any], *args: Any) -> Future[Any]:
        """Call ``function(*args)`` in the writer's thread, after everything submitted before."""
        self._slots.acquire()
        future = self._pool.submit(function, *args)
        future.add_done_callback(lambda _: self._slots.release())
        return future

    def submit_checked(self, function: Callable[..., Any], *args: Any) -> None:
        """As ``submit``, for callers that keep no future: the next call, or ``close_checked``, raises what failed.

        Raises:
            Exception: Whatever an earlier job raised.
        """
        self._raise_failed(wait=False)
        self._unchecked.append(self.submit(function, *args))

    def close_checked(self) -> None:
        """Wait for all jobs of ``submit_checked`` and stop the thread.

        Raises:
            Exception: Whatever a job raised.
        """
        self.close()
        self._raise_failed(wait=True)

    def _raise_failed(self, wait: bool) -> None:
        while self._unchecked and (wait or self._unchecked[0].done()):
            self._unchecked.popleft().result()

    def close(self, cancel: bool = False) -> None:
        """Wait for the thread; ``cancel`` drops jobs that have not begun."""
        self._pool.shutdown(wait=True, cancel_futures=cancel)
