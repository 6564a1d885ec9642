"""What one ``rsseg serve`` serves, where it writes, and its limits."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.errors import ConfigError

__all__ = ["REVIEWER", "ServeSettings", "is_loopback"]

_SHORTEST = 16
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""What may stand in the header Authorization, and in a cookie."""
REVIEWER = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"
"""Names of reviewers, which are names of files, too."""


@dataclass(frozen=True)
class ServeSettings:
    """Settings of a server; all are fixed while it runs.

    Attributes:
        paths: Maps, images, folders of them, and converted sets; nothing else is ever read for a request.
        out: The only folder that is written.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        token: What every request must know; None for none, which is allowed on this machine's own address only.
        text: Options of ``rsseg map`` that name the model of own words (config, checkpoint ...); None for none.
        masks: The predictor of clicks and boxes and its settings, as a conversion's config has them; None for GrabCut.
        reviewer: Who reviews, where the page does not say.
        blind: Whether reviewers see what others decided only after they have finished.
        request_bytes: Largest body of a request.
        request_seconds: Longest time of a request, and of a model's work for one.
        view_pixels: Largest picture that a model is given at once.
        queue_length: Requests that may wait for the model, and as many maps.

    Raises:
        ConfigError: The host is open to other machines and there is no token, or it is too short; or the reviewer's
            name has other characters.
    """

    paths: tuple[Path, ...]
    out: Path = Path("work_dirs/serve")
    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = None
    text: Mapping[str, Any] | None = None
    masks: Mapping[str, Any] | None = None
    reviewer: str = "me"
    blind: bool = True
    request_bytes: int = 4 << 20
    request_seconds: float = 120.0
    view_pixels: int = 4 << 20
    queue_length: int = 32

    def __post_init__(self) -> None:
        if self.token is None and not is_loopback(self.host):
            raise ConfigError(
                f"--host {self.host}: other machines can reach this address, so a token is required; add --token auto, "
                "or set the environment variable RSSEG_TOKEN"
            )
        if self.token is not None and (len(self.token) < _SHORTEST or not _TOKEN.fullmatch(self.token)):
            raise ConfigError(
                f"the token must have at least {_SHORTEST} characters: letters, digits and -._~+/, with = at its end; "
                "--token auto makes one"
            )
        if not re.fullmatch(REVIEWER, self.reviewer):
            raise ConfigError(
                f"--reviewer {self.reviewer!r}: a name must consist of the letters a to z, digits, '_', '.' and '-', "
                "64 at most, and begin with a letter, a digit or '_'"
            )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
