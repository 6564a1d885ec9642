"""Options of ``rsseg map`` and ``rsseg segment``; reading them imports neither torch nor the MM stack."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rsseg.commands import above, at_least, numbers
from rsseg.engine.launch import ConfigOptions, add_precision
from rsseg.io.checkpoint_options import add_checkpoint_options
from rsseg.io.shards import LAUNCHERS, add_shard
from rsseg.io.storage import storage_or_path
from rsseg.mapping.grid import BLENDS
from rsseg.mapping.selecting import add_selection
from rsseg.mapping.vocabulary import MODES

__all__ = ["WORK", "add_arguments", "add_options", "add_segment_arguments"]

WORK = Path("work_dirs/uploads")
"""Where maps are made that go to a storage."""


def _range(text: str) -> Any:
    return text if text == "raw" else numbers(float, 2)(text)


_range.__name__ = "2 numbers with a comma, or raw"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add source, target and options of ``rsseg map``."""
    add = parser.add_argument
    add(
        "source",
        metavar="SRC",
        help="a raster that GDAL reads (path, URL, s3:// ...), a folder or prefix of rasters, a .txt file with one per "
        "line, or STAC: an item, a collection or an API",
    )
    add("target", metavar="DST", type=storage_or_path, help="the map (.tif, or .png); a folder where SRC is a "
        "folder or a list; also in object storage: s3://BUCKET/FOLDER/, gs://, az:// ...")  # fmt: skip
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``rsseg map`` and ``rsseg segment`` have in common."""
    add = parser.add_argument
    _add_model(parser)
    add_pixels(parser)
    add("--gsd", type=above(0), help="resample to this pixel size in metres, usually that of the training images")
    add("--window", type=at_least(1), help="side of windows in pixels (default: the config's slide or training crop)")
    add(
        "--overlap",
        type=at_least(0, float),
        default=0.25,
        help="overlap of neighbouring windows, as a share of a window (default: %(default)s)",
    )
    add("--blend", choices=list(BLENDS), default="cosine", help="how windows are blended (default: %(default)s)")
    add("--batch", type=at_least(1), help="windows per batch (default: 4 on a GPU; 1 on a CPU, and of large ones)")
    add("--tta", action="store_true", help="average over the flips of the config's tta_pipeline")
    add_precision(parser)
    add("--bf16", dest="precision", action="store_const", const="bf16", default=argparse.SUPPRESS,
        help="short for --precision bf16")  # fmt: skip
    add("--head", help="label set, for models with several heads; rsseg segment: all")
    add("--classes", help="class table (a name or a .json), if the config does not name one")
    add("--vocabulary", metavar="WORDS", help="open-vocabulary models: comma-separated classes (a name with a comma in "
        "double quotes); or a class table (name, .json), or a .txt file with one class per line")  # fmt: skip
    add("--template", help="open-vocabulary models: prompt with {} for the class name (default: the config's)")
    add("--mode", choices=MODES, help="test mode of open-vocabulary models: windows at the raster's resolution "
        "(slide), the whole raster in five views or at once (whole), or the mode of the config")  # fmt: skip
    add("--threshold", type=at_least(0, float), help="pixels whose highest probability is lower get no class (255)")
    add(
        "--probabilities",
        choices=["top", "all"],
        help="also write DST_probabilities.tif: the probability of the best class (top), or of all classes",
    )
    add(
        "--vectors",
        metavar="FILE",
        help="polygons: a file (.gpkg, .geojson, .fgb, .parquet), or only the suffix for one beside the map",
    )
    add("--min-area", type=at_least(0, float), default=0, help="smallest polygon in square metres (default: all)")
    add(
        "--simplify",
        type=at_least(0, float),
        default=0,
        metavar="PIXELS",
        help="tolerance of simpler outlines",
    )
    add("--reference", help="labels to compare the map with: IoU, F1, recall per class, OA")
    add("--reference-classes", metavar="TABLE", help="class table of the labels, where it is not the map's")
    add("--merge", metavar="TABLE", help="common class table of map and labels, for example landcover6")
    add("--work", type=Path, metavar="DIR", help="DST in object storage: where maps are made before they are uploaded "
        f"(default: {WORK}); with --shard, a folder that all jobs share lets them divide a raster")  # fmt: skip
    add("--device", help="cpu, cuda, cuda:1 ... (default: a GPU where there is one)")
    add_shard(parser, (*LAUNCHERS, "ray"), "tools/dist_map.sh and tools/slurm_map.sh", "the rasters")
    add("--overwrite", action="store_true", help="replace results that were made with other settings")
    add("--update", action="store_true", help="map again the rasters that have changed since their maps were made")
    add_selection(parser)
    add_checkpoint_options(parser)
    add("--cfg-options", nargs="+", action=ConfigOptions, help="override settings of the config: key=value ...")


def add_pixels(parser: argparse.ArgumentParser) -> None:
    """Add what says how a raster's numbers become what a model sees."""
    add = parser.add_argument
    add("--bands", type=numbers(int), help="bands as red,green,blue (default: those that the checkpoint was trained "
        "on, or those that the file marks as such)")  # fmt: skip
    add("--range", type=_range, help="values of black and white, for 16-bit and float, for example 0,3000; or raw "
        "(default: what the checkpoint was trained with)")  # fmt: skip


def _add_model(parser: argparse.ArgumentParser) -> None:
    """Add what names the model."""
    add = parser.add_argument
    add("--config", help="the model's config file (default: that of a checkpoint on the hub)")
    add("--checkpoint", help="the model's weights: a file, or hf://OWNER/NAME on the hub; models that are not trained "
        "take the files that their config names")  # fmt: skip
    add("--model", metavar="FILE", help="instead of both, a .onnx or .xml file of rsseg export-model")
    add("--runtime", choices=["onnxruntime", "openvino"], help="what runs that file (default: ONNX Runtime for .onnx)")


def add_segment_arguments(parser: argparse.ArgumentParser) -> None:
    """Add images, folder and options of ``rsseg segment``."""
    parser.add_argument("source", nargs="+", metavar="IMAGE",
                        help="pictures and rasters, folders of them, or .txt files with one path per line")  # fmt: skip
    parser.add_argument("--out", type=storage_or_path, default=Path("work_dirs/segment"), metavar="DIR",
                        help="folder of the results, or its address (default: %(default)s)")  # fmt: skip
    add_options(parser)
