"""What ``tools/segment.py`` does with its arguments: pictures and rasters in the user's own words."""

from __future__ import annotations

import argparse
import logging
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import rasterio
from rasterio import Affine
from rasterio.errors import NotGeoreferencedWarning, RasterioIOError

from rsseg.errors import ConfigError
from rsseg.mapping.command import run, sources_of

__all__ = ["run_segmentation", "segmentation_jobs"]

_log = logging.getLogger("rsseg")
_PICTURES = {".png", ".jpg", ".jpeg"}


def segmentation_jobs(sources: Sequence[str], out: Path) -> list[tuple[str, Path]]:
    """Images and their maps in a folder: ``<name>_map.png`` for plain pictures, ``<name>_map.tif`` for all others.

    Plain pictures are PNG and JPEG files that do not say where they lie.

    Raises:
        ValueError: There are none, or two would have the same map.
    """
    out.mkdir(parents=True, exist_ok=True)
    jobs = [job for source in sources for job in sources_of(source, out)]
    maps = [target for _, target in jobs]
    twice = sorted({str(target) for target in maps if maps.count(target) > 1})
    if twice:
        raise ConfigError(f"two images would become {twice[0]}; give them to two commands with another --out")
    return [(source, target.with_suffix(".png") if _is_picture(source) else target) for source, target in jobs]


def _is_picture(source: str) -> bool:
    if Path(source).suffix.lower() not in _PICTURES:
        return False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotGeoreferencedWarning)
            with rasterio.open(source) as file:
                return file.crs is None and not file.gcps[0] and file.transform == Affine.identity()
    except RasterioIOError:
        return True  # the map says what is wrong


def run_segmentation(args: argparse.Namespace, finished: Callable[[str, Path], None]) -> None:
    """Segment every image; plain pictures as the config tests, all others by sliding windows.

    Args:
        args: As :func:`add_arguments` has them.
        finished: Called with image and map once that is there.

    Raises:
        ValueError: Arguments, config and checkpoint do not go together, or an image could not be segmented.
        OSError: A file cannot be read or written.
    """
    jobs = segmentation_jobs(args.source, args.out)
    pictures = [job for job in jobs if job[1].suffix == ".png"]
    others = [job for job in jobs if job[1].suffix != ".png"]
    groups = {args.mode: jobs} if args.mode else {"config": pictures, "slide": others}
    failed = []
    for mode, group in groups.items():
        if not group:
            continue
        try:
            run(argparse.Namespace(**{**vars(args), "mode": mode}), group, finished)
        except (ValueError, OSError) as error:
            if len(group) == len(jobs):
                raise
            _log.error("%s", error)
            failed.append(str(error))
    if failed:
        raise ConfigError("; ".join(failed))
