"""How the server speaks HTTP: heads of requests are small and come in time, or the connection is closed.

uvicorn waits for ever for the first request of a connection, so that a few hundred silent connections, for which nobody
needs a token, would keep all others out.
"""

from __future__ import annotations

import asyncio
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["CONNECTIONS", "server_config"]

CONNECTIONS = 512
"""Open connections; one more is answered with status 503."""
_HEAD_SECONDS = 20.0


class _InTime(H11Protocol):
    """HTTP/1.1 (h11, whose heads have 64 KiB at most) that closes a connection on which a head takes too long."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(_HEAD_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        """Wait for the rest of a head, where one has begun."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(_HEAD_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._stop()
        super().connection_lost(exc)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def server_config(app: Any) -> uvicorn.Config:
    """Settings of the server of an application; its messages go where the program's go.

    uvicorn's own settings of logging would close the log files of everything else in the process.
    """
    return uvicorn.Config(
        app, http=_InTime, ws="none", lifespan="on", log_config=None, log_level="warning",
        limit_concurrency=CONNECTIONS, server_header=False, timeout_graceful_shutdown=3,
    )  # fmt: skip
