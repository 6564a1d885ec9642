"""Config files, read by mmengine; what is wrong in one is reported with its file, not as a traceback of the reader."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsseg.errors import ConfigError, UserError
from rsseg.io.hub import HubAddress, fetch, is_hub, local_config
from rsseg.io.plain_config import read_plain
from rsseg.io.trust import trusted
from rsseg.packaged import find_packaged, packaged_config

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["config_path", "merge_options", "read_config"]


def config_path(path: Path | str) -> Path:
    """File of a config.

    Args:
        path: Its path, or the name of one of ours: ``rsseg::samrs/upernet_swin_sep.py``; ``configs/...`` that is
            not there is taken from the package.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: rsseg has no config of this name.
    """
    scope, mark, name = str(path).partition("::")
    if mark and scope == "rsseg":
        return packaged_config(name)
    found = find_packaged(path)
    if not found.is_file():
        raise FileNotFoundError(f"{path}: no such config file")
    return found


def read_config(path: Path | str, options: Mapping[str, Any] | None = None, trust: bool = False) -> Config:
    """A config with its bases, and options of the command line put in.

    Args:
        path: As for :func:`config_path`; or the address of a config on the hub, see :mod:`rsseg.io.hub`, which is read
            as data, by :func:`rsseg.io.plain_config.read_plain`.
        options: Dotted key -> value, as of ``--cfg-options``.
        trust: Run the config of a hub as a program, as all others; so does the environment's ``RSSEG_TRUST=1``.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: The file or one of its bases cannot be read as a config, a module of its ``custom_imports`` is not
            there, or an option does not fit it.
    """
    from mmengine.config import Config

    address, path = path, local_config(path) if is_hub(path) else config_path(path)
    try:
        plain = is_hub(address) and not (trust or trusted())
        config = read_plain(path) if plain else Config.fromfile(str(path))
        if is_hub(address):
            _fetch_tables(config._cfg_dict, str(address))
    except (UserError, MemoryError):
        raise
    except Exception as error:  # a config is a program, which raises what it likes
        raise ConfigError(f"{path}: cannot be read as a config ({type(error).__name__}: {error})") from error
    merge_options(config, options, path)
    return config


def _fetch_tables(node: Any, address: str) -> None:
    """Put the local file in the place of every class table that lies beside a config on the hub, in place."""
    for key, value in list(node.items()) if isinstance(node, dict) else ():
        if key in ("table", "vocabulary") and re.fullmatch(r"classes-\d+\.json", str(value)):
            node[key] = str(fetch(replace(HubAddress.parse(address), file=value, sha256="")))
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list | tuple) else ():
        _fetch_tables(value, address)


def merge_options(config: Config, options: Mapping[str, Any] | None, path: Path | str) -> None:
    """Put options of the command line into a config, in place.

    Raises:
        ConfigError: One does not fit, such as a number for what is no list.
    """
    try:
        config.merge_from_dict(dict(options or {}))
    except (KeyError, TypeError, IndexError, AttributeError, AssertionError) as error:
        raise ConfigError(f"{path} cannot take these options, {', '.join(options or ())}: {error}") from error
