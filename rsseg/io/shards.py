"""Which part of the work this process does: of several that a launcher has started, of several independent jobs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from typing import NamedTuple

from rsseg.commands import at_least
from rsseg.errors import ConfigError

__all__ = ["LAUNCHERS", "Shard", "add_shard", "local_rank", "read_shard", "shard_of"]

LAUNCHERS: dict[str, tuple[str, str] | None] = {
    "none": None,
    "pytorch": ("RANK", "WORLD_SIZE"),
    "slurm": ("SLURM_PROCID", "SLURM_NTASKS"),
}
"""Launcher -> variables in which it tells a process its number and how many processes there are."""


class Shard(NamedTuple):
    """One of several equal parts of the work.

    Attributes:
        rank: Its number, from 0.
        world: How many there are.
        alone: Whether it is a job of its own, with its own log.
    """

    rank: int = 0
    world: int = 1
    alone: bool = False

    @property
    def reports(self) -> bool:
        """Whether the process shows its progress; of processes with a common log only the first does."""
        return self.rank == 0 or self.alone


def read_shard(text: str) -> Shard:
    """``2/8``, the third of eight parts.

    Raises:
        ConfigError: It has another form, or there is no such part.
    """
    number, slash, count = text.partition("/")
    if not (slash and _is_number(number) and _is_number(count) and int(number) < int(count)):
        raise ConfigError(
            f"--shard {text}: expected I/N, the number of the part from 0 to N-1 and how many there are: of 8 parts "
            "0/8 is the first and 7/8 the last"
        )
    return Shard(int(number), int(count), True)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def shard_of(launcher: str = "none", shard: str | None = None) -> Shard:
    """The part of this process, from the launcher and ``--shard``; with both, the launcher's processes divide a shard.

    Args:
        launcher: ``none``, ``pytorch`` (torchrun: RANK, WORLD_SIZE) or ``slurm`` (SLURM_PROCID, SLURM_NTASKS).
        shard: ``I/N`` as ``--shard`` has it; None for all the work.

    Raises:
        ConfigError: There is no such launcher or shard, or the launcher's variables are not set.
    """
    if launcher not in LAUNCHERS:
        raise ConfigError(f"unknown launcher {launcher!r}; expected one of: {', '.join(LAUNCHERS)}")
    part = Shard() if shard is None else read_shard(shard)
    variables = LAUNCHERS[launcher]
    if variables is None:
        return part
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ConfigError(f"launcher {launcher!r} needs {missing[0]} in the environment; start it through the launcher")
    rank, world = (int(os.environ[name]) for name in variables)
    return Shard(part.rank * world + rank, part.world * world, part.alone and rank == 0)


def local_rank() -> int:
    """Number of this process on its machine, as torchrun or Slurm tells it; 0 where neither has started it."""
    return int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))


def add_shard(
    parser: argparse.ArgumentParser, launchers: Sequence[str] = (), script: str = "", what: str = "the work"
) -> None:
    """Add ``--shard``, and ``--launcher`` where a command can be started by one.

    Args:
        parser: The parser.
        launchers: Values of ``--launcher``.
        script: Scripts that set it, for the help.
        what: What a shard is a part of, for the help.
    """
    if launchers:
        by_ray = "ray" in launchers
        more = "; ray: tasks on a cluster of Ray (RAY_ADDRESS, or this machine)" if by_ray else ""
        parser.add_argument("--launcher", choices=launchers, default="none", help=f"set by {script}{more}")
        if by_ray:
            parser.add_argument(
                "--gpus-per-task", type=at_least(0, float), metavar="N",
                help="with --launcher ray, also a share such as 0.25 (default: 1 where the cluster has GPUs)",
            )  # fmt: skip
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help=f"do only part I, from 0 to N-1, of N equal parts of {what}: independent jobs that share the output "
        "folder; the one that ends last writes the result",
    )
