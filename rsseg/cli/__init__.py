"""The command ``rsseg``: ``rsseg convert ...``, ``rsseg train ...``, ``rsseg map ...``.

Each command is a module here with a ``main()``; ``tools/*.py`` start the same ones.  Nothing is imported before it is
needed, so that ``rsseg --help`` answers at once.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from rsseg.commands import run_tool
from rsseg.interruption import AGAIN

__all__ = ["COMMANDS", "GROUPS", "command_parser", "main", "start"]

GROUPS = {
    "Make labels": {
        "convert": ("convert_labels", "detection boxes to segmentation labels, by a mask model"),
        "ablate": ("ablate_prompts", "compare prompt kinds of a mask model with ground-truth masks"),
        "report labels": ("report_labels", "statistics and an HTML page of a labelled set"),
        "export": ("export_labels", "a labelled set as SAMRS pickles, colour images, YOLO or COCO"),
        "tile": ("tile_images", "cut images into tiles"),
        "scenes": ("make_scenes", "procedural aerial scenes with exact labels, to try everything out"),
    },
    "Train and test": {
        "check": ("check_dataset", "read a config's images and labels once; say what would stop or spoil a training"),
        "train": ("train", "train a model from a config"),
        "search": ("search", "search for a network's architecture, and write a config that trains it"),
        "test": ("test", "scores of a trained model, predictions, pictures"),
        "weights": ("convert_weights", "convert a file with third-party weights"),
        "parameters": ("count_parameters", "parameters and multiply-adds of models"),
        "speed": ("speed", "how fast models are: latency, images per second, memory"),
        "few-lists": ("make_few_labels", "lists of a few per cent of a training set"),
        "few-labels": ("run_few_labels", "fine-tune with few labels from several initialisations; one table"),
        "methods": ("run_methods", "train and test methods of domain adaptation with several seeds; one table"),
        "demo": ("demo", "the whole path on procedural scenes, on a CPU"),
    },
    "Make maps": {
        "map": ("map_raster", "map rasters of any size with a trained model"),
        "segment": ("segment", "segment images by classes in your own words"),
        "report map": ("report_map", "one HTML page for a map"),
        "compare": ("compare_labels", "compare two folders of labels or maps of the same images"),
    },
    "Prepare and describe datasets": {
        "prepare": ("prepare_data", "cut Potsdam, iSAID or DeepGlobe into tiles"),
        "split-openearthmap": ("split_openearthmap", "OpenEarthMap's lists, official or new"),
        "fill-xbd": ("fill_xbd", "put the images that OpenEarthMap leaves out where they belong"),
        "build-landdiscover": ("build_landdiscover", "LandDiscover50K from the five sets it is made of"),
        "pack-bigearthnet": ("pack_bigearthnet", "BigEarthNet as one file that is fast to read"),
        "report classes": ("label_statistics", "pixels and segments of land-cover labels"),
        "report bigearthnet": ("bigearthnet_statistics", "images per class, seasons and countries of BigEarthNet"),
    },
    "Compare with the papers": {
        "test-vocabulary": ("test_vocabulary", "GSNet's table 2: an open-vocabulary model on several sets"),
        "check-sam": ("check_sam", "compare our SAM with segment_anything's predictor, bit by bit"),
    },
}
"""Group -> command -> module here and what the command does."""
COMMANDS = {name: module for group in GROUPS.values() for name, (module, _) in group.items()}
"""Command -> module here."""


def main() -> NoReturn:
    """Run the command that the command line names."""
    words = sys.argv[1:]
    if not words or words[0] in ("-h", "--help", "help"):
        if words[1:]:
            _run([*words[1:], "--help"])
        (sys.stdout if words else sys.stderr).write(_help())
        sys.exit(0 if words else 2)
    if words[0] == "--version":
        from rsseg import __version__

        sys.stdout.write(f"rsseg {__version__}\n")
        sys.exit(0)
    _run(words)


def start(name: str) -> NoReturn:
    """Run one command with the arguments of this process.

    Args:
        name: A key of ``COMMANDS``.
    """
    again = "run the same command with --resume to continue" if name in ("train", "search") else AGAIN
    run_tool(lambda: importlib.import_module(f"rsseg.cli.{COMMANDS[name]}").main(), again)


def command_parser(name: str) -> argparse.ArgumentParser:
    """The parser of one command, without running the command; for the reference pages and the tests of the documents.

    Args:
        name: A key of ``COMMANDS``.
    """
    from unittest import mock

    found: list[argparse.ArgumentParser] = []

    def stop(parser: argparse.ArgumentParser, *args: object) -> NoReturn:
        found.append(parser)
        raise SystemExit

    module = importlib.import_module(f"rsseg.cli.{COMMANDS[name]}")
    with (
        mock.patch.object(argparse.ArgumentParser, "parse_args", stop),
        mock.patch.object(sys, "argv", [f"rsseg {name}"]),
        mock.patch.dict(os.environ),
    ):
        try:
            module.main()
        except SystemExit:
            return found[0]
    raise RuntimeError(f"rsseg.cli.{COMMANDS[name]} reads no arguments")


def _run(words: Sequence[str]) -> NoReturn:
    for count in (2, 1):
        name = " ".join(words[:count])
        if name in COMMANDS:
            sys.argv = [f"rsseg {name}", *words[count:]]
            start(name)
    sys.exit(_unknown(words))


def _unknown(words: Sequence[str]) -> str:
    several = [name for name in COMMANDS if name.startswith(f"{words[0]} ")]
    if several:
        return f"rsseg {words[0]}: say of what: {', '.join(f'rsseg {name}' for name in several)}"
    old = {module: name for name, module in COMMANDS.items()}
    close = difflib.get_close_matches(words[0], [*COMMANDS, *old], n=1)
    hint = f"; did you mean 'rsseg {old.get(close[0], close[0])}'?" if close else ""
    return f"rsseg: unknown command {words[0]!r}{hint} All commands: rsseg --help"


def _help() -> str:
    width = max(map(len, COMMANDS)) + 2
    lines = ["usage: rsseg COMMAND [arguments]", "", "Remote-sensing segmentation: from detection boxes to maps.", ""]
    for group, commands in GROUPS.items():
        lines += [f"{group}:", *(f"  {name:{width}}{what}" for name, (_, what) in commands.items()), ""]
    lines += ["Options and examples of one command: rsseg COMMAND --help.  Version: rsseg --version.", ""]
    return "\n".join(lines)
