"""What ``rsseg map`` does with its arguments."""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.config import Config

from rsseg.engine import Precision, choose_precision
from rsseg.engine.cluster import once
from rsseg.errors import ConfigError, UserError
from rsseg.io.bands import PixelSpec
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.io.configs import read_config
from rsseg.io.files import sha256_of
from rsseg.io.georeference import GeoReference
from rsseg.io.hub import config_of, is_hub, local_file
from rsseg.io.pixel_settings import check_raster, merge_specs
from rsseg.io.shards import Shard, local_rank, shard_of
from rsseg.io.storage import is_storage
from rsseg.io.sums import sum_of
from rsseg.mapping.cluster import Task, UnusableModelError, map_on_cluster
from rsseg.mapping.collection import collect_finished
from rsseg.mapping.delivery import Delivery, begin_delivery
from rsseg.mapping.exported import ExportedModel, known_name, load_exported, read_table
from rsseg.mapping.layers import FORMATS
from rsseg.mapping.masking import OutsideAreaError, log_failure
from rsseg.mapping.model import (
    SegmentorScorer,
    check_heads,
    load_model,
    pixel_spec,
    table_name,
    views_of,
    window_of,
)
from rsseg.mapping.options import WORK
from rsseg.mapping.plan import recorded
from rsseg.mapping.products import Products
from rsseg.mapping.results import Reference
from rsseg.mapping.runner import MapOptions, map_raster
from rsseg.mapping.selecting import request_of, selected_area
from rsseg.mapping.sharing import Part, share_jobs, whole_jobs
from rsseg.mapping.sources import sources_of
from rsseg.mapping.stored import StoredMap
from rsseg.mapping.vocabulary import VocabularyRequest, apply_vocabulary, mapping_window
from rsseg.messages import few
from rsseg.metainfo import ClassTable, load_metainfo
from rsseg.models.gsnet.text import TEMPLATE

__all__ = ["Setting", "deliver_to", "map_part", "prepare", "run"]

_log = logging.getLogger("rsseg")
_MANY = 2048  # pixels: larger windows come one by one


def _device(requested: str | None) -> str:
    if requested is not None:
        try:
            torch.zeros(1, device=requested)
        except (RuntimeError, AssertionError) as error:
            raise ConfigError(f"--device {requested}: is not available ({str(error).splitlines()[0]})") from error
        return requested
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{local_rank() % torch.cuda.device_count()}"


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


Loader = Callable[..., tuple[Any, dict[str, Any]]]


def prepare(args: argparse.Namespace, load: Loader | None = None) -> Setting:
    """Read the config and the model, or the exported model.

    Args:
        args: As :func:`rsseg.mapping.options.add_options` has them.
        load: What loads the model in the place of :func:`rsseg.mapping.load_model`, or of
            :func:`rsseg.mapping.exported.load_exported`; a caller that maps repeatedly gives one that remembers it.

    Raises:
        UserError: Arguments, config and checkpoint do not go together.
        FileNotFoundError: A file is missing.
    """
    if args.model is not None:
        return _prepare_exported(args, load or load_exported)
    if args.runtime:
        raise ConfigError(f"--runtime {args.runtime} is for an exported model: name its file by --model FILE.onnx")
    args.config = config_of(args.config, args.checkpoint)
    config = read_config(args.config, args.cfg_options, args.trust)
    request = apply_vocabulary(config, args.vocabulary, args.template, args.mode)
    if request is not None and (args.classes or args.head):
        raise ConfigError("an open-vocabulary model takes its classes from --vocabulary; remove --classes and --head")
    name = table_name(config, args.head, args.classes) if request is None else request.name
    table = load_metainfo(name) if isinstance(name, str) else name
    if request is None:
        check_heads(config, args.head or table.name, table)
    products, device = _products(args, name), _device(args.device)
    views = views_of(config) if args.tta else ((),)
    classes = {args.head or "": table.classes} if request is None else None
    class_options = ClassOptions.of(args)
    model, meta = (load or load_model)(config, args.checkpoint, device, args.trust, classes, class_options)
    named = args.checkpoint or "the model"
    spec = pixel_spec(PixelSpec(args.bands, args.range), config, model, meta, named)
    predictor = SegmentorScorer(model, table.num_classes, args.head, views, checkpoint=named)
    window = window_of(config) if request is None else mapping_window(model, request.mode)
    window = (args.window, args.window) if args.window is not None else window
    threshold = (config.model.get("test_cfg") or {}).get("threshold") if args.threshold is None else args.threshold
    options = _options(args, spec, window, device, threshold)
    files = [args.checkpoint] if args.checkpoint is not None else model.weight_files
    about = _about(args, config, request, views, device, files)
    return Setting(predictor, table, options, about, products, meta.get("pixels") or {})


def _options(
    args: argparse.Namespace, spec: PixelSpec, window: tuple[int, int], device: str, threshold: float | None
) -> MapOptions:
    return MapOptions(
        spec.bands,
        spec.value_range,
        args.gsd,
        window,
        args.overlap,
        args.blend,
        (1 if device == "cpu" or max(window) > _MANY else 4) if args.batch is None else args.batch,
        args.probabilities,
        args.overwrite,
        threshold,
        args.update,
        selected_area(args),
    )


_OF_CHECKPOINTS = ("config", "checkpoint", "head", "classes", "vocabulary", "template", "mode", "class_map",
                   "trust_classes", "cfg_options")  # fmt: skip


def _prepare_exported(args: argparse.Namespace, load: Loader) -> Setting:
    """As :func:`prepare`, of an exported model, whose file says what a config and a checkpoint say."""
    if given := [name for name in _OF_CHECKPOINTS if getattr(args, name, None)]:
        raise ConfigError(f"--model {args.model}: its classes, head and settings are in the file; remove "
                          f"--{given[0].replace('_', '-')}")  # fmt: skip
    if args.device not in (None, "cpu"):
        raise ConfigError(f"--device {args.device}: an exported model runs on the CPU; remove --device")
    model, about = load(args.model, args.runtime, args.precision == "bf16")
    table = read_table(about["classes"], Path(args.model))
    spec = merge_specs(PixelSpec(args.bands, args.range), about["pixels"], "the command (--bands, --range)", args.model)
    views = [tuple(view) for view in about["views"]] if args.tta else [()]
    predictor = SegmentorScorer(model, table.num_classes, views=views, checkpoint=args.model)
    height, width = about["window"]
    window = (height, width) if args.window is None else (args.window, args.window)
    if model.size is not None and window != model.size:
        raise ConfigError(
            f"--window {args.window}: {args.model} takes windows of {model.size[0]} only; remove --window"
        )
    made = {
        "model": Path(args.model).name,
        "model_sha256": sha256_of(Path(args.model).expanduser()),
        "runtime": args.runtime,
        "views": [list(view) for view in views],
        "device": "cpu",
    }
    options = _options(args, spec, window, "cpu", args.threshold)
    return Setting(predictor, table, options, made, _products(args, known_name(about, table)), about["pixels"])


def _precision(
    args: argparse.Namespace, predictor: SegmentorScorer, target: Path, stored: StoredMap | None = None
) -> str:
    """How a map is computed: as it was begun, where that is left to choose; else as chosen now."""
    if isinstance(predictor.model, ExportedModel):
        return "bf16" if args.precision == "bf16" else "exact"
    before = recorded("precision", target) if args.precision == "auto" else None
    if args.precision == "auto" and before is None and stored is not None:
        before = stored.settings.get("precision")
    found = Precision.parse(before) if before else None
    if found is None or found.bf16:
        found = choose_precision(args.precision, predictor.model)
    elif found != predictor.precision:
        _log.info("precision: %s, as %s was begun", found, target)
    predictor.use(found)
    return str(found)


def run(
    args: argparse.Namespace,
    jobs: Sequence[tuple[str, Path]] | None = None,
    finished: Callable[[str, Path], None] = lambda source, target: None,
    load: Loader | None = None,
    report: Callable[[float], None] = lambda share: None,
    delivery: Delivery | None = None,
) -> None:
    """Load the model and map every source.

    Args:
        args: As :func:`add_arguments` has them; without ``source`` and ``target`` where there are jobs.
        jobs: Sources and their maps; None for those that the arguments name.
        finished: Called with source and map once that is there.
        load: As for :func:`prepare`.
        report: As for :func:`rsseg.mapping.runner.map_raster`, of each source.
        delivery: Where the maps of the jobs go, if that is a storage.

    Raises:
        UserError: Arguments, config and checkpoint do not go together.
        OSError: A file cannot be read or written.
    """
    collects = jobs is None
    if jobs is None:
        delivery, target = deliver_to(args, args.target)
        area = selected_area(args)
        jobs = sources_of(args.source, target, request_of(args, area), args.target)
        if area is not None and len(jobs) == 1 and args.gsd is None:  # before the model is loaded
            area.on(GeoReference.of(jobs[0][0]), jobs[0][0])
    args = argparse.Namespace(**{**vars(args), "delivery": delivery})
    if len(jobs) > 1 and (args.reference or args.vectors not in (None, *FORMATS)):
        raise ConfigError(
            "several rasters cannot have one --reference, and their --vectors must be a suffix only "
            f"({', '.join(FORMATS)})"
        )
    if delivery is not None:
        delivery.check_sources(jobs)
        finished = delivery.upload_after(finished)
    shard = Shard() if args.launcher == "ray" else shard_of(args.launcher, args.shard)
    if args.launcher == "ray":
        failed, own = map_on_cluster(_perform, args, jobs, finished), len(jobs)
    else:
        failed, own = _map_shard(args, jobs, shard, finished, load, report)
    if collects and len(jobs) > 1:
        place, root = (args.target, args.target) if delivery is None else (delivery.storage, delivery.folder)
        collect_finished(place, [target.relative_to(root) for _, target in jobs], shard.world == 1)
    if delivery is not None and shard.world == 1:
        delivery.close()
    _raise_failures(failed, own)


def deliver_to(args: argparse.Namespace, target: Path | str) -> tuple[Delivery | None, Path]:
    """Where maps are made, and the delivery to the place where they go if that is a storage.

    Args:
        args: With ``work`` and ``vectors``.
        target: A local path, or an address.

    Raises:
        UserError: As for :func:`rsseg.mapping.delivery.begin_delivery`, or a work folder is named for a local target.
        OSError: The storage cannot be written to.
    """
    if is_storage(target):
        return begin_delivery(str(target), args.work or WORK, args.vectors)
    if args.work is not None:
        raise ConfigError(f"--work {args.work}: {target} is no address of a storage, so maps are made there; remove it")
    return None, Path(target)


def _map_shard(
    args: argparse.Namespace,
    jobs: Sequence[tuple[str, Path]],
    shard: Shard,
    finished: Callable[[str, Path], None],
    load: Loader | None,
    report: Callable[[float], None],
) -> tuple[dict[str, Exception], int]:
    """Map what belongs to a shard: what went wrong by raster, and how many rasters it has a part of."""
    setting = prepare(args, load)
    among = args.delivery is not None and args.shard is not None
    if among and args.work is not None:
        _log.warning("--shard with --work: jobs share rasters in %s, which all of them must see; otherwise remove "
                     "--work, and each job has whole rasters", args.work)  # fmt: skip
    apart = among and args.work is None
    failed, own = dict[str, Exception](), (whole_jobs if apart else share_jobs)(jobs, shard)
    for (source, target), part in own:
        try:
            if map_part(args, setting, (source, target), part, report):
                finished(source, target)
            else:
                _log.info("%s: this part is finished; the process that finishes last writes the map", target)
        except (UserError, OSError) as error:
            failed[source] = error
            if len(own) > 1:
                log_failure(error)
    return failed, len(own)


def map_part(
    args: argparse.Namespace,
    setting: Setting,
    job: tuple[str, Path],
    part: Part,
    report: Callable[[float], None] = lambda share: None,
) -> bool:
    """Compute a part of a raster's map; who ends last writes the files.

    Returns:
        Whether the map is there now.

    Raises:
        UserError: The raster does not go with the arguments or the model.
        OSError: A file cannot be read or written.
    """
    source, target = job
    check_raster(source, setting.kept, args.model or args.checkpoint or "the model")
    stored = None if args.delivery is None else args.delivery.stored(target)
    about = {**setting.about, "precision": _precision(args, setting.predictor, target, stored)}
    options = setting.table, setting.options, about, part, setting.products, report, stored
    return map_raster(source, target, setting.predictor, *options)


def _perform(args: argparse.Namespace, task: Task) -> bool:
    """A task of a cluster: as :func:`map_part`, with a model, and a listing of the storage, that a worker keeps."""
    try:
        kept, setting = once(_ready, args)
    except (UserError, OSError) as error:
        raise UnusableModelError(error) from error
    return map_part(kept, setting, *task)


def _ready(args: argparse.Namespace) -> tuple[argparse.Namespace, Setting]:
    return args, prepare(args)


def _raise_failures(failed: Mapping[str, Exception], count: int) -> None:
    """Raise what was wrong with the only raster, or name those of several that could not be mapped.

    Of several, those that lie outside of the area of interest are only counted, unless all do.
    """
    outside = {source for source, error in failed.items() if isinstance(error, OutsideAreaError)}
    if failed and (count == 1 or len(outside) == count):
        raise next(iter(failed.values()))
    if outside:
        _log.info("%d of %d rasters have no pixel in the area and were left out", len(outside), count)
        failed = {source: error for source, error in failed.items() if source not in outside}
    if failed:
        head = f"{len(failed)} of {count} rasters could not be mapped (see above); repeat the command to map only "
        raise ConfigError(few(f"{head}the missing ones:", list(failed)))
