"""What ``rsseg map`` does with its arguments."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from rsseg.engine import Precision, choose_precision
from rsseg.errors import ConfigError, UserError
from rsseg.io.bands import PixelSpec
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.io.configs import read_config
from rsseg.io.files import sha256_of
from rsseg.io.hub import config_of, is_hub, local_file
from rsseg.io.pixel_settings import check_raster
from rsseg.io.sums import sum_of
from rsseg.mapping.layers import FORMATS
from rsseg.mapping.model import SegmentorScorer, load_model, pixel_spec, table_name, views_of, window_of
from rsseg.mapping.plan import recorded
from rsseg.mapping.products import Products
from rsseg.mapping.results import Reference
from rsseg.mapping.runner import MapOptions, map_raster
from rsseg.mapping.sources import sources_of
from rsseg.mapping.vocabulary import VocabularyRequest, apply_vocabulary, mapping_window
from rsseg.messages import few
from rsseg.metainfo import ClassTable, load_metainfo
from rsseg.metainfo.heads import head_errors
from rsseg.models.gsnet.text import TEMPLATE

__all__ = ["Setting", "prepare", "run"]

_log = logging.getLogger("rsseg")
_MANY = 2048  # pixels: larger windows come one by one


def _shard(launcher: str) -> tuple[int, int]:
    """(rank, processes) as torchrun tells them."""
    if launcher == "none":
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def _device(requested: str | None) -> str:
    if requested is not None:
        try:
            torch.zeros(1, device=requested)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"--device {requested}: is not available ({str(error).splitlines()[0]})") from error
        return requested
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"


def _products(args: argparse.Namespace, table: str | ClassTable) -> Products:
    if args.reference is None and (args.reference_classes or args.merge):
        raise ConfigError("--reference-classes and --merge require --reference")
    against = args.reference and Reference(args.reference, args.reference_classes, args.merge, table)
    return Products(args.vectors, args.min_area, args.simplify, against)


def _about(
    args: argparse.Namespace,
    config: Config,
    request: VocabularyRequest | None,
    views: Sequence[tuple[int, ...]],
    device: str,
    files: Sequence[str],
) -> dict[str, Any]:
    """What makes the scores; a map made with something else is another one."""
    words: dict[str, Any] = {}
    if request is not None:
        words = {"vocabulary": list(request.table.texts), "template": config.model.get("template", TEMPLATE)}
        words["mode"] = request.mode
    options = ClassOptions.of(args)
    if options != ClassOptions():
        words["class_map"], words["trust_classes"] = list(map(list, options.pairs)), options.trust
    return {
        "config": Path(args.config).name,
        "config_sha256": sum_of(json.dumps(config.to_dict(), sort_keys=True, default=str).encode()),
        "checkpoint": ", ".join(file if is_hub(file) else Path(file).name for file in files),
        "checkpoint_sha256": ", ".join(sha256_of(local_file(file)) for file in files),
        "head": args.head,
        "views": [list(view) for view in views],
        "device": device.partition(":")[0],
        **words,
    }


class Setting(NamedTuple):
    """What all rasters of a command have in common: see :func:`rsseg.mapping.runner.map_raster`.

    ``kept`` is what the checkpoint says about the pixels that it was trained on.
    """

    predictor: SegmentorScorer
    table: ClassTable
    options: MapOptions
    about: dict[str, Any]
    products: Products
    kept: dict[str, Any]


def prepare(args: argparse.Namespace, load: Callable[..., tuple[Any, dict[str, Any]]] = load_model) -> Setting:
    """Read the config and the model.

    Args:
        args: As :func:`rsseg.mapping.options.add_options` has them.
        load: What loads the model; a caller that maps again and again gives one that remembers it.

    Raises:
        UserError: Arguments, config and checkpoint do not go together.
        FileNotFoundError: A file is missing.
    """
    args.config = config_of(args.config, args.checkpoint)
    config = read_config(args.config, args.cfg_options, args.trust)
    request = apply_vocabulary(config, args.vocabulary, args.template, args.mode)
    if request is not None and (args.classes or args.head):
        raise ConfigError("an open-vocabulary model takes its classes from --vocabulary; remove --classes and --head")
    name = table_name(config, args.head, args.classes) if request is None else request.name
    table = load_metainfo(name) if isinstance(name, str) else name
    if request is None:
        _check_heads(config, args.head or table.name, table)
    products, device = _products(args, name), _device(args.device)
    views = views_of(config) if args.tta else ((),)
    classes = {args.head or "": table.classes} if request is None else None
    class_options = ClassOptions.of(args)
    model, meta = load(config, args.checkpoint, device, args.trust, classes, class_options)
    named = args.checkpoint or "the model"
    spec = pixel_spec(PixelSpec(args.bands, args.range), config, model, meta, named)
    predictor = SegmentorScorer(model, table.num_classes, args.head, views, checkpoint=named)
    window = window_of(config) if request is None else mapping_window(model, request.mode)
    window = (args.window, args.window) if args.window is not None else window
    options = MapOptions(
        spec.bands,
        spec.value_range,
        args.gsd,
        window,
        args.overlap,
        args.blend,
        (1 if device == "cpu" or max(window) > _MANY else 4) if args.batch is None else args.batch,
        args.probabilities,
        args.overwrite,
        (config.model.get("test_cfg") or {}).get("threshold") if args.threshold is None else args.threshold,
        args.update,
    )
    files = [args.checkpoint] if args.checkpoint is not None else model.weight_files
    about = _about(args, config, request, views, device, files)
    return Setting(predictor, table, options, about, products, meta.get("pixels") or {})


def _precision(args: argparse.Namespace, predictor: SegmentorScorer, target: Path) -> str:
    """How a map is computed: as it was begun, where that is left to choose; else as chosen now."""
    before = recorded("precision", target) if args.precision == "auto" else None
    found = Precision.parse(before) if before else None
    if found is None or found.bf16:
        found = choose_precision(args.precision, predictor.model)
    elif found != predictor.precision:
        _log.info("precision: %s, as %s was begun", found, target)
    predictor.use(found)
    return str(found)


def _check_heads(config: Config, name: str, table: ClassTable) -> None:
    """Before the model is loaded and anything begun: does what it predicts have as many classes as the table?"""
    wrong = [text for text in head_errors(config.model, {name: table.classes}) if "auxiliary_head" not in text]
    if wrong:
        raise ConfigError(f"{wrong[0]}, or name the class table of the model with --classes")


def run(
    args: argparse.Namespace,
    jobs: Sequence[tuple[str, Path]] | None = None,
    finished: Callable[[str, Path], None] = lambda source, target: None,
    load: Callable[..., tuple[Any, dict[str, Any]]] = load_model,
) -> None:
    """Load the model and map every source.

    Args:
        args: As :func:`add_arguments` has them; without ``source`` and ``target`` where there are jobs.
        jobs: Sources and their maps; None for those that the arguments name.
        finished: Called with source and map once that is there.
        load: As for :func:`prepare`.

    Raises:
        UserError: Arguments, config and checkpoint do not go together.
        OSError: A file cannot be read or written.
    """
    jobs = sources_of(args.source, args.target) if jobs is None else jobs
    if len(jobs) > 1 and (args.reference or args.vectors not in (None, *FORMATS)):
        raise ConfigError(
            "several rasters cannot have one --reference, and their --vectors must be a suffix only "
            f"({', '.join(FORMATS)})"
        )
    setting = prepare(args, load)
    failed = []
    for source, target in jobs:
        try:
            check_raster(source, setting.kept, args.checkpoint or "the model")
            about = {**setting.about, "precision": _precision(args, setting.predictor, target)}
            if map_raster(
                source, target, setting.predictor, setting.table, setting.options, about, _shard(args.launcher),
                setting.products,
            ):  # fmt: skip
                finished(source, target)
        except (UserError, OSError) as error:
            if len(jobs) == 1:
                raise
            _log.error("%s", error)
            failed.append(source)
    if failed:
        head = f"{len(failed)} of {len(jobs)} rasters could not be mapped (see above); repeat the command to map only "
        raise ConfigError(few(f"{head}the missing ones:", failed))
