"""What ``rsseg serve`` does with its arguments."""

from __future__ import annotations

import argparse
import logging
import os
import secrets
import socket
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rsseg.errors import ConfigError, MissingPackageError
from rsseg.io.configs import config_path
from rsseg.io.hub import config_of, is_hub
from rsseg.serving.masks import check_masks
from rsseg.serving.settings import ServeSettings

__all__ = ["TOKEN_VARIABLE", "address_query", "listen", "serve", "settings_of"]

_log = logging.getLogger("rsseg")
TOKEN_VARIABLE = "RSSEG_TOKEN"
"""Environment variable with the token, which other users of the machine cannot read, unlike a command line."""
_WAITING = 512
"""Connections that wait until they are accepted."""
_MODEL = ("checkpoint", "head", "classes", "device", "precision", "template", "mode", "trust", "cfg_options", "bands",
          "range")  # fmt: skip
"""Options of ``rsseg map`` that say which model answers to words, and how."""


def settings_of(args: argparse.Namespace) -> ServeSettings:
    """Settings as the command line has them.

    Raises:
        ConfigError: They do not go together.
        FileNotFoundError: A path does not exist.
    """
    for path in args.path:
        if not path.exists():
            raise FileNotFoundError(f"{path}: does not exist; name maps, images, folders of them, or converted sets")
    token = args.token or os.environ.get(TOKEN_VARIABLE) or None
    masks = {"predictor": args.predictor, "weights": args.predictor_weights, "device": args.device}
    check_masks(masks)
    return ServeSettings(
        tuple(args.path),
        args.out,
        args.host,
        args.port,
        secrets.token_urlsafe(24) if token == "auto" else token,
        _text_model(args),
        masks,
        args.reviewer,
        not args.not_blind,
    )


def _text_model(args: argparse.Namespace) -> dict[str, Any] | None:
    """Options of the model for words, whose files are there; None for no model."""
    if args.config is None and args.checkpoint is None:
        return None
    config = config_of(args.config, args.checkpoint)
    if not is_hub(config):
        config_path(config)
    if args.checkpoint is not None and not is_hub(args.checkpoint) and not Path(args.checkpoint).expanduser().is_file():
        raise FileNotFoundError(f"--checkpoint {args.checkpoint}: there is no such file with a model's weights")
    return {"config": config, **{name: getattr(args, name) for name in _MODEL}}


def listen(host: str, port: int) -> socket.socket:
    """A socket that waits for connections.

    Raises:
        ConfigError: The address is not one of this machine, or the port is taken.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # named as TCP, asyncio sends at once: otherwise each answer waits 40 ms for the client's acknowledgement
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host.strip("[]"), port))
    except (OSError, OverflowError) as error:
        found.close()
        reason = error.strerror if isinstance(error, OSError) else "ports end at 65535"
        raise ConfigError(f"--host {host} --port {port}: cannot listen there ({reason}); "
                          "choose another port, or 0 for a free one") from error  # fmt: skip
    found.listen(_WAITING)
    return found


def address_query(token: str | None) -> str:
    """End of the address to open; a token of the environment is in no log, where only its name stands."""
    if token is None:
        return ""
    shown = f"${TOKEN_VARIABLE}" if token == os.environ.get(TOKEN_VARIABLE) else quote(token, safe="")
    return f"?token={shown}"


def serve(args: argparse.Namespace) -> None:
    """Serve until the user ends it.

    Raises:
        UserError: Something cannot be served, or a package is missing.
        OSError: A path does not exist.
    """
    try:
        import fastapi  # noqa: F401
        import rio_tiler  # noqa: F401
        import uvicorn
    except ImportError as error:
        advice = 'python -m pip install "rsseg[serve]"'
        raise MissingPackageError(f"rsseg serve needs more packages: {advice} ({error})") from error
    from rsseg.serving.app import create_app
    from rsseg.serving.connections import server_config

    settings = settings_of(args)
    app = create_app(settings)
    listener = listen(settings.host, settings.port)
    name = settings.host.strip("[]")
    host = f"[{name}]" if ":" in name else name
    address = f"http://{host}:{listener.getsockname()[1]}/{address_query(settings.token)}"
    count = len(app.state.rsseg.layers.all())
    _log.info("%d layer%s; results go to %s", count, "" if count == 1 else "s", settings.out)
    _log.warning("open %s", address)
    try:
        uvicorn.Server(server_config(app)).run(sockets=[listener])
    except KeyboardInterrupt:
        _log.info("ended")
    finally:
        listener.close()
