"""The formats in which tiles are written: the option of the commands, what a record says of it, and how it is found.

:mod:`rsseg.io.tile_files` encodes them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rsseg.errors import ConfigError

__all__ = ["TILE_FORMATS", "add_tile_format", "format_record", "tile_suffix"]

TILE_FORMATS = ("png", "tif")
"""Formats in which tiles are written, which are also the suffixes of their files."""


def add_tile_format(parser: argparse.ArgumentParser, default: str | None = "png") -> None:
    """Add the option ``--format`` of the commands that write tiles.

    Args:
        parser: The parser.
        default: What counts where the option is not given; None leaves it to a config.
    """
    shown = "the config's" if default is None else default
    text = f"format of tiles (default: {shown}); of tif, stored in blocks, training reads only what a crop takes"
    parser.add_argument("--format", choices=TILE_FORMATS, default=default, help=text)


def format_record(name: str) -> dict[str, str]:
    """What a job's record says of the format of its tiles, so that formats never mix; nothing for PNG, the first one.

    Raises:
        ConfigError: The format is none of :data:`TILE_FORMATS`.
    """
    if name not in TILE_FORMATS:
        raise ConfigError(f"the format of tiles must be one of {', '.join(TILE_FORMATS)}, not {name!r}")
    return {} if name == "png" else {"tile_format": name}


def tile_suffix(folder: Path | str, name: str) -> str:
    """Suffix of the tiles in a folder, all of one format: ``.tif`` where ``<name>.tif`` is there, else ``.png``.

    Args:
        folder: Where the tiles are.
        name: One of them, without suffix.
    """
    return ".tif" if Path(folder, f"{name}.tif").is_file() else ".png"
