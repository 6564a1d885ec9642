"""What ``rsseg segment`` does with its arguments: pictures and rasters by a model's classes or by words of the user."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from rsseg.errors import ConfigError, UserError
from rsseg.io.configs import read_config
from rsseg.io.georeference import GeoReference
from rsseg.io.hub import config_of
from rsseg.mapping.command import deliver_to, run
from rsseg.mapping.selecting import request_of, selected_area
from rsseg.mapping.sources import check_jobs, sources_of
from rsseg.mapping.stac import StacRequest

__all__ = ["heads_of", "run_segmentation", "segmentation_jobs"]

_log = logging.getLogger("rsseg")
_PICTURES = {".png", ".jpg", ".jpeg"}


def segmentation_jobs(
    sources: Sequence[str],
    out: Path,
    request: StacRequest = StacRequest(),  # noqa: B008, frozen
    place: Path | str = "",
) -> list[tuple[str, Path]]:
    """Images and their maps in a folder: ``<name>.png`` for plain pictures, ``<name>.tif`` for all others.

    Maps beside their images are called ``<name>_map``.  Plain pictures are PNG and JPEG files without georeference.

    Raises:
        FileNotFoundError: There are none.
        DataError: Two would have the same map.
    """
    out.mkdir(parents=True, exist_ok=True)
    jobs = [job for source in sources for job in sources_of(source, out, request, place)]
    check_jobs(jobs)
    jobs = [(source, target.with_suffix(".png") if _is_picture(source) else target) for source, target in jobs]
    check_jobs(jobs)
    return jobs


def _is_picture(source: str) -> bool:
    if Path(source).suffix.lower() not in _PICTURES:
        return False
    try:
        return GeoReference.of(source).is_empty
    except (UserError, OSError):
        return True  # the map says what is wrong


def _has_vocabulary(args: argparse.Namespace) -> bool:
    if args.model is not None:
        return False
    args.config = config_of(args.config, args.checkpoint)
    model = read_config(args.config, trust=args.trust).get("model") or {}
    return model.get("vocabulary") is not None


def heads_of(args: argparse.Namespace) -> list[str]:
    """Label sets of a model with several heads, for ``--head all``.

    Raises:
        ConfigError: The model has one head, or is an exported one, which has one.
    """
    if args.model is None:
        config = config_of(args.config, args.checkpoint)
        heads = (read_config(config, trust=args.trust).get("model") or {}).get("heads")
        if heads:
            return list(heads)
    raise ConfigError(f"--head all requires a model with several heads, but {args.model or args.config} has one")


def run_segmentation(args: argparse.Namespace, finished: Callable[[str, Path], None]) -> None:
    """Segment every image.

    An open-vocabulary model sees plain pictures as its config tests, all others by sliding windows; a model of fixed
    classes sees all by sliding windows.

    Args:
        args: As :func:`add_arguments` has them.
        finished: Called with image and map once that is there.

    Raises:
        UserError: Arguments, config and checkpoint do not go together, or an image could not be segmented.
        OSError: A file cannot be read or written.
    """
    delivery, out = deliver_to(args, args.out)
    jobs = segmentation_jobs(args.source, out, request_of(args, selected_area(args)), args.out)
    pictures = [job for job in jobs if job[1].suffix == ".png"]
    others = [job for job in jobs if job[1].suffix != ".png"]
    by_kind = args.mode is None and _has_vocabulary(args)
    groups = {"config": pictures, "slide": others} if by_kind else {args.mode: jobs}
    failed = []
    for mode, group in groups.items():
        if not group:
            continue
        try:
            run(argparse.Namespace(**{**vars(args), "mode": mode}), group, finished, delivery=delivery)
        except (UserError, OSError) as error:
            if len(group) == len(jobs):
                raise
            _log.error("%s", error)
            failed.append(str(error))
    if failed:
        raise UserError("; ".join(failed))
