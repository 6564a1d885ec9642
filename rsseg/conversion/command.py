"""Options that ``rsseg convert`` and ``rsseg ablate`` share; reading them imports neither torch nor the MM stack."""

from __future__ import annotations

import argparse
from typing import Any

from rsseg.engine.launch import ConfigOptions
from rsseg.io.shards import LAUNCHERS, add_shard

__all__ = ["add_conversion_options", "options_of_config"]


def add_conversion_options(parser: argparse.ArgumentParser, config: str, out: str, ray: bool = False) -> None:
    """Add the config and the options.

    Args:
        parser: The parser.
        config: What the config is, for the help.
        out: Default of ``--out``, for the help.
        ray: Whether a cluster of Ray can do the work.
    """
    add = parser.add_argument
    add("config", help=config)
    add("--out", help=f"output folder (default: {out})")
    add("--images", help="image folder (default: the config's source)")
    add("--annotations", help="label folder or file (default: the config's source)")
    add("--predictor", help="sam, mobile_sam, sam2, sam3, boxmask, grabcut, box, truth, or one of your own")
    add("--checkpoint", help="weights of the mask model, for example boxmask.pth (default: the config's)")
    add("--on-error", choices=("skip", "raise"), default="skip", help="unusable objects and images")
    add("--overwrite", action="store_true", help="delete the results of an earlier run first")
    add("--update", action="store_true", help="convert images again whose files have changed")
    launchers = (*LAUNCHERS, "ray") if ray else tuple(LAUNCHERS)
    add_shard(parser, launchers, "tools/dist_convert.sh and tools/slurm_convert.sh", "the images")
    add("--cfg-options", nargs="+", action=ConfigOptions, help="config overrides, key=value")


def options_of_config(args: argparse.Namespace) -> dict[str, Any]:
    """What the options change in the config, by full names of its settings; those of their own win."""
    own = {"source.images": args.images, "source.annotations": args.annotations}
    own["source.parts"] = [] if any(own.values()) else None
    own |= {"out_dir": args.out, "predictor": args.predictor, "checkpoint": args.checkpoint}
    own["tile_format"] = vars(args).get("format")  # ablate writes no tiles
    return {**(args.cfg_options or {}), **{key: value for key, value in own.items() if value is not None}}
