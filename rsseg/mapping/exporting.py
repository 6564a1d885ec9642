"""What ``rsseg export-model`` does: a checkpoint as a file for ONNX Runtime, OpenVINO or QGIS, and a comparison."""

from __future__ import annotations

import argparse
import copy
import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.config import Config, ConfigDict
from numpy.typing import NDArray

import rsseg
from rsseg.engine.pixels import statistics_of
from rsseg.errors import ConfigError, JobError
from rsseg.io.bands import PixelSpec
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.io.configs import read_config
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file
from rsseg.io.pixel_settings import record_pixels
from rsseg.mapping.exported import KEY, describe_table, load_exported
from rsseg.mapping.model import (
    SegmentorScorer,
    check_heads,
    load_model,
    pixel_spec,
    table_name,
    views_of,
    window_of,
)
from rsseg.mapping.runtimes import need
from rsseg.metainfo import ClassTable, load_metainfo
from rsseg.models.exporting import GraphModel, onnx_bytes

__all__ = ["Exported", "export_model", "export_summary"]

_log = logging.getLogger("rsseg")
_TOLERANCE = 1e-4
"""Of the largest score, where that is above 1: how much the scores of an exported model may differ."""
_SHAPES = ((1, 64, 64), (3, 96, 200), (2, 161, 77))
"""Batches and sizes that an exported model is compared with its checkpoint at; none is the traced one."""
_BYTE = 255
_OVERLAP = 15


class Exported(NamedTuple):
    """What was written.

    Attributes:
        path: The file.
        bytes: Its size, of OpenVINO's both files.
        classes: Class names.
        difference: Largest difference of a score from the checkpoint's.
        largest: Largest absolute score.
        shapes: (N, H, W) of the images that were compared.
        loss: With 8-bit integers, the scores lost by them: see :class:`rsseg.mapping.quantizing.Loss`.
    """

    path: Path
    bytes: int
    classes: tuple[str, ...]
    difference: float
    largest: float
    shapes: tuple[tuple[int, int, int], ...]
    loss: Any = None


class _Source(NamedTuple):
    """A model and all that an exported file says about it."""

    config: Config
    model: Any
    table: ClassTable
    pixels: dict[str, Any]
    graph: GraphModel
    about: dict[str, Any]


def export_model(args: argparse.Namespace) -> Exported:
    """Write a model's file, after a comparison of its scores with those of the checkpoint.

    Args:
        args: As ``rsseg export-model`` has them.

    Raises:
        ConfigError: Arguments, config and checkpoint do not go together, or the exported model would give other scores.
        JobError: The file is there.
        MissingPackageError: A package of the extra ``export`` is missing.
    """
    target = _target(args)
    for package in ("onnx", "onnxruntime", *(["openvino"] if args.to == "openvino" else [])):
        need(package)
    source = _read_source(args)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as folder:
        made = Path(folder) / "model.onnx"
        _write_onnx(source, made, args)
        compared = _compare(source, str(made), args)
        loss = None
        if args.int8:
            from rsseg.mapping.quantizing import quantize

            loss = quantize(source.config, made, args.int8)
        if args.to == "openvino":
            made = _convert(made)
            if not args.int8:
                compared = _compare(source, str(made), args)
        size = sum(path.stat().st_size for path in (made, made.with_suffix(".bin")) if path.exists())
        if args.to == "openvino":
            os.replace(made.with_suffix(".bin"), target.with_suffix(".bin"))
        os.replace(made, target)
    return Exported(target, size, source.table.classes, *compared, loss)


def export_summary(made: Exported) -> str:
    """What was written, in a few lines."""
    shapes = ", ".join("x".join(map(str, shape)) for shape in made.shapes)
    lines = [
        f"{made.path}: {len(made.classes)} classes, {made.bytes / 1e6:.1f} MB",
        f"largest difference from the checkpoint's scores: {made.difference:.1e}, of scores up to {made.largest:.3g} "
        f"(images of {shapes})",
    ]
    return "\n".join([*lines, *([str(made.loss)] if made.loss else [])])


def _target(args: argparse.Namespace) -> Path:
    suffix = {"onnx": ".onnx", "openvino": ".xml"}[args.to]
    target = args.out or Path("work_dirs/export") / f"{Path(str(args.config)).stem}{suffix}"
    if target.suffix.lower() != suffix:
        raise ConfigError(f"--out {target}: a file for --to {args.to} ends in {suffix}")
    if args.profile and args.to != "onnx":
        raise ConfigError(f"--profile {args.profile}: QGIS plugins read ONNX files; use --to onnx")
    if args.int8 and args.head:
        raise ConfigError("--int8 is for models with one head; fine-tune the model on the images of one set first")
    if target.exists() and not args.overwrite:
        raise JobError(f"{target}: exists already; add --overwrite to replace it")
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _read_source(args: argparse.Namespace) -> _Source:
    config = read_config(args.config, args.cfg_options, args.trust)
    if config.model.get("vocabulary") is not None:
        raise ConfigError(f"{args.config}: an open-vocabulary model takes words beside images, and cannot be exported")
    name = table_name(config, args.head, args.classes)
    table = load_metainfo(name)
    check_heads(config, args.head or table.name, table)
    classes = {args.head or "": table.classes}
    model, meta = load_model(config, args.checkpoint, "cpu", args.trust, classes, ClassOptions.of(args))
    spec = pixel_spec(PixelSpec(), config, model, meta, args.checkpoint)
    probabilities = bool(getattr(model, "probabilities", False))
    graph = GraphModel(
        model,
        args.head,
        float(_BYTE) if args.profile else 1.0,
        args.profile is not None and not probabilities,
        model.decode_head.threshold if _has_one_score(model, args.head, table) else None,
    )
    _check_profile(args, graph, spec)
    kept = {**record_pixels(config, *statistics_of(model)), **(meta.get("pixels") or {})}
    kept |= {"bands": spec.bands, "value_range": spec.value_range}
    window = (args.size, args.size) if args.size else window_of(config)
    about = {
        "format": 1,
        "version": rsseg.__version__,
        "config": Path(str(args.config)).name,
        "checkpoint": Path(args.checkpoint).name,
        "checkpoint_sha256": sha256_of(local_file(args.checkpoint)),
        "head": args.head,
        "classes": describe_table(table),
        "table": name,
        "bands": graph.bands,
        "scale": graph.scale,
        "probabilities": probabilities or graph.probabilities,
        "pixels": kept,
        "window": list(window),
        "size": [args.size, args.size] if args.size else None,
        "views": [list(view) for view in _views(config)],
    }
    return _Source(config, model, table, kept, graph, about)


def _views(config: Config) -> tuple[tuple[int, ...], ...]:
    try:
        return views_of(config)
    except ConfigError:  # one that maps do not support
        return ((),)


def _has_one_score(model: Any, head: str | None, table: ClassTable) -> bool:
    return head is None and table.num_classes == 2 and getattr(model, "out_channels", None) == 1


def _check_profile(args: argparse.Namespace, graph: GraphModel, spec: PixelSpec) -> None:
    if args.profile is None:
        return
    if args.size is None:
        raise ConfigError(
            f"--profile {args.profile} requires --size PIXELS, the side of the tiles: the plugins read it"
        )
    if isinstance(spec.value_range, tuple) or spec.value_range == "raw" or graph.bands != 3:
        raise ConfigError(f"--profile {args.profile}: the plugins give red, green and blue of 8 bits; this model was "
                          f"trained on {graph.bands} bands, range {spec.value_range}")  # fmt: skip


def _write_onnx(source: _Source, path: Path, args: argparse.Namespace) -> None:
    """Trace the model, write the graph with its description."""
    onnx = need("onnx")
    try:
        content = onnx_bytes(source.graph, args.size)
    except (RuntimeError, TypeError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ConfigError(f"{args.config}: the model cannot be exported ({reason})") from error
    model = onnx.load_model_from_string(content)
    shape = (1, args.size, args.size) if args.size else ("batch", "height", "width")
    scores = [shape[0], source.table.num_classes, *shape[1:]]
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, scores))
    texts = {KEY: json.dumps(source.about, ensure_ascii=False)}
    onnx.helper.set_model_props(model, {**texts, **(_profile(source.table, args) if args.profile else {})})
    onnx.save(model, path)


def _profile(table: ClassTable, args: argparse.Namespace) -> dict[str, str]:
    """What Deepness and GeoDeep, plugins of QGIS, read; each value is a JSON document.

    Source: the documentation and the code of both; the former says ``tiles_size``, its code reads ``tile_size``.
    """
    values: dict[str, Any] = {
        "model_type": "Segmentor",
        "class_names": {str(i): name for i, name in enumerate(table.classes)},
        "tile_size": args.size,
        "tiles_size": args.size,
        "tiles_overlap": _OVERLAP,
        "seg_thresh": 0.0,
    }
    if args.gsd:
        values["resolution"] = round(100 * args.gsd, 6)  # centimetres per pixel
    return {key: json.dumps(value) for key, value in values.items()}


def _convert(path: Path) -> Path:
    """The two files of OpenVINO, with weights of the same precision."""
    openvino = need("openvino")
    model = openvino.Core().read_model(str(path))
    text = {own.key: own.value for own in need("onnx").load(path).metadata_props}[KEY]
    model.set_rt_info(text, [KEY])
    openvino.save_model(model, str(path.with_suffix(".xml")), compress_to_fp16=False)
    return path.with_suffix(".xml")


def _compare(
    source: _Source, path: str, args: argparse.Namespace
) -> tuple[float, float, tuple[tuple[int, int, int], ...]]:
    """Largest difference and largest score over images of several sizes; raises where they differ too much."""
    model = copy.copy(source.model)
    model.test_cfg = ConfigDict(mode="whole")
    classes, head = source.table.num_classes, source.about["head"]
    before = SegmentorScorer(model, classes, head, checkpoint=args.checkpoint)
    after = SegmentorScorer(load_exported(path)[0], classes, head, checkpoint=path)
    difference = largest = 0.0
    done = []
    shapes = ((2, args.size, args.size),) if args.size else _SHAPES
    for shape, windows in _images(source, shapes):
        try:
            own = before(before.prepare(windows))
        except RuntimeError as error:  # no image of this size
            _log.info("%s: takes no images of %s: %s", args.config, shape, error)
            continue
        own = own.softmax(1) if source.graph.probabilities else own
        try:
            other = after(after.prepare(windows))
        except RuntimeError as error:
            raise ConfigError(f"{args.config}: the exported model fails on images of {shape} pixels ({error}); "
                              "nothing was written; export it for one size, --size PIXELS") from error  # fmt: skip
        difference = max(difference, float((own - other).abs().max()))
        largest = max(largest, float(own.abs().max()))
        done.append(shape)
        if not difference <= _TOLERANCE * max(1.0, largest):
            raise ConfigError(f"{args.config}: the exported model's scores differ by {difference:.2g} on images of "
                              f"{shape} pixels; nothing was written; export one size: --size PIXELS")  # fmt: skip
    if not done:
        raise ConfigError(f"{args.config}: takes none of the sizes {shapes}; give --size PIXELS")
    return difference, largest, tuple(done)


def _images(
    source: _Source, shapes: Sequence[tuple[int, int, int]]
) -> Iterator[tuple[tuple[int, int, int], list[NDArray[np.float32]]]]:
    """Noise with the mean and standard deviation that the model knows."""
    mean = source.graph.mean.flatten().numpy().reshape(-1, 1, 1)
    std = source.graph.std.flatten().numpy().reshape(-1, 1, 1)
    random = np.random.default_rng(0)
    for count, height, width in shapes:
        shape = (source.graph.bands, height, width)
        yield (
            (count, height, width),
            [(mean + std * random.normal(size=shape)).astype(np.float32) for _ in range(count)],
        )
