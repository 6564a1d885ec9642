"""The server of forks that tests ask for tools."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from tests.forks import ToolServer


@pytest.mark.stack
@pytest.mark.parametrize("sent", [b"", b'{"arguments": ['])
def test_a_client_that_is_killed_stops_no_server(
    sent: bytes, _tool_server: ToolServer, fork_python: Callable[..., Any]
) -> None:
    """As where torchrun ends its processes while they begin."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(_tool_server.libraries)
        client.sendall(sent)
    assert fork_python("-c", "print(3)").stdout == "3\n"
