"""Convert a file with weights to the names of the models here, with every key accounted for."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings
from mmseg.registry import MODELS
from torch import nn

from rsseg.engine.weights import (
    ebseg,
    efficientnet,
    eomt,
    fasterseg,
    gsnet,
    inception,
    internimage,
    mit,
    mobilenet,
    regions,
    resnet,
    san,
    sed,
    swin,
    vit,
    vitae,
)
from rsseg.engine.weights.content import Parts, read_weights, split_parts
from rsseg.engine.weights.decoders import model_config, translate_rest
from rsseg.engine.weights.layouts import Layout, State, Target, Translation, explain
from rsseg.engine.weights.report import ConversionReport
from rsseg.errors import ConfigError, DataError
from rsseg.io.checkpoints import write_weights
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file

__all__ = ["TARGETS", "convert_state", "convert_weights", "name_layout"]

_FAMILIES = (
    mobilenet,
    fasterseg,
    resnet,
    efficientnet,
    swin,
    mit,
    vitae,
    internimage,
    inception,
    sed,
    ebseg,
    eomt,
    regions,
    gsnet,
    san,
    vit,
)
_LAYOUTS = [layout for family in _FAMILIES for layout in family.LAYOUTS]
TARGETS: dict[str, Target] = {name: target for family in _FAMILIES for name, target in family.TARGETS.items()}
"""Backbones that weights can be for, by the name to ask for them."""


def convert_weights(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    to: str | None = None,
    backbone: str | None = None,
    settings: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> ConversionReport:
    """Read a file with weights, convert it and write it, if nothing is unexplained.

    Args:
        path: The file: SAMRS checkpoints; ImageNet weights of torchvision, timm, mmpretrain and the models' authors;
            RSP; MAE, BEiT and DINO; SegFormer's MiT; GSNet, CAT-Seg, SED, EBSeg, OV-Seg, SCAN, mmseg's SAN
            and DAFormer.
        out: File to write, ``.pth`` or ``.safetensors``: weights and ``meta`` (layout, model, SHA-256 of the source).
        to: See :func:`convert_state`.
        backbone: See :func:`convert_state`.
        settings: See :func:`convert_state`.
        trust: See :func:`rsseg.engine.load_file`.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: ``out`` is ``path``, the file cannot be read or recognised, or a key is unexplained.
        OSError: Writing failed.
    """
    source, target = local_file(path), Path(out)
    if target.exists() and source.exists() and target.samefile(source):
        raise ConfigError(f"{source}: would be overwritten by its own conversion; choose another output file")
    try:
        state, report = convert_state(read_weights(source, trust), to, backbone, settings)
    except ValueError as error:
        raise DataError(str(error) if str(error).startswith(str(source)) else f"{source}: {error}") from error
    report.file = source.name
    if not report.ok:
        raise DataError(f"{source}: nothing was written, since some keys are not accounted for\n{report}")
    meta = dict(source=source.name, sha256=sha256_of(source), layout=report.layout, model=report.model)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_weights(target, state, meta)
    return report


def convert_state(
    state: State, to: str | None = None, backbone: str | None = None, settings: Mapping[str, Any] | None = None
) -> tuple[State, ConversionReport]:
    """Weights by the names of the models here, and the account of all keys.

    Args:
        state: A file's weights by name.
        to: ``"backbone"`` gives the backbone's own keys, as its ``init_cfg`` takes them; ``"model"`` those of a whole
            segmentation model, for SAMRS files; by default as much as the file has.
        backbone: One of ``TARGETS``, where a file serves for several (a ViT: vit, rvsa or vit_adapter; a file of
            DAFormer: daformer, its student, or daformer_teacher).
        settings: The backbone's settings where they shall differ from what the shapes say, for example ``img_size``:
            positions are resized.

    Raises:
        DataError: The file is not recognised, or the request does not fit it.
    """
    parts = split_parts(state)
    layout = _recognise(parts)
    name = backbone or layout.targets[0]
    if name not in layout.targets:
        raise DataError(f"{layout.name} weights serve for {', '.join(layout.targets)}, not for {name!r}")
    target = TARGETS[name]
    translation = layout.translate(parts.backbone, parts.prefix)
    translation.choose(target.unused, target.rename)
    before = translation.state
    try:
        chosen = {**target.settings(before), **(settings or {})}
        translation.state = target.fit(before, chosen) if target.fit else before
    except KeyError as error:
        raise DataError(
            f"looks like {layout.name}, but has no {error}; it is another model, or a part of one"
        ) from error
    except IndexError as error:
        raise DataError(f"looks like {layout.name}, but a weight has too few axes; it is another model") from error
    config = dict(type=target.type, **chosen)
    joined = not target.whole and (to == "model" or (to is None and bool(parts.decoder) and bool(parts.heads)))
    part = "model" if joined or target.whole else "backbone"
    report = ConversionReport("", layout.name, model_config(parts, config) if joined else config, part)
    _begin(report, parts, translation, before)
    asked = _rename(parts, translation, state, joined)
    return _load(_build(report.model), asked, translation, target, report), report


def name_layout(state: State) -> tuple[str, str] | None:
    """What stands before a backbone's weights, ``"backbone."``, ``"encoder."`` or nothing, and whose names they have.

    Args:
        state: Weights by name.

    Returns:
        None where no layout is known.
    """
    parts = split_parts(state)
    return next(((parts.prefix, layout.name) for layout in _LAYOUTS if layout.fits(parts.backbone)), None)


def _recognise(parts: Parts) -> Layout:
    for layout in _LAYOUTS:
        if layout.fits(parts.backbone):
            return layout
    keys = list(parts.backbone) or parts.unexpected
    shown = ", ".join(keys[:5])
    raise DataError(f"not recognised by its {len(keys)} keys ({shown} ...); known are {[x.name for x in _LAYOUTS]}")


def _begin(report: ConversionReport, parts: Parts, translation: Translation, before: State) -> None:
    """What can be said without the model: ``before`` is the translation as it was until it was fitted to windows."""
    for reasons in (translation.skipped, parts.skipped):
        for reason, keys in reasons.items():
            report.skipped.setdefault(reason, []).extend(keys)
    rest = [*(f"decoder.{key}" for key in parts.decoder), *parts.heads]
    if rest and report.part == "backbone":
        report.skipped.setdefault("decoder and heads", []).extend(rest)
    lost = [translation.origin[key] for key in before if key not in translation.state]
    if lost:
        report.skipped["indices of another grid"] = lost
    report.resized = [key for key, value in translation.state.items() if value.shape != before[key].shape]
    report.unexpected += parts.unexpected


def _rename(parts: Parts, translation: Translation, state: State, joined: bool) -> State:
    """Weights by the keys of the model, which may be joined from a backbone and a decoder."""
    if not joined:
        return translation.state
    rest = translate_rest(parts)
    translation.origin = {f"backbone.{key}": name for key, name in translation.origin.items()} | rest
    return {f"backbone.{key}": value for key, value in translation.state.items()} | {
        key: state[name] for key, name in rest.items()
    }


def _build(config: dict[str, Any]) -> nn.Module:
    """The model without values where it can be built so, else with initial ones."""
    import_modules_from_strings(["rsseg.models"])
    with DefaultScope.overwrite_default_scope("mmseg"):
        try:
            with torch.device("meta"):
                return MODELS.build(config)
        except (RuntimeError, TypeError):  # a tensor's value is asked for on the way
            pass
        try:
            return MODELS.build(config)
        except (RuntimeError, TypeError, AssertionError) as error:
            raise DataError(f"the shapes of the weights imply {config}, which is not a valid model: {error}") from error


def _load(model: nn.Module, state: State, translation: Translation, target: Target, report: ConversionReport) -> State:
    """Let the model take the weights, so that it fits them as it would any file, and take them from there."""
    own = model.state_dict()
    prefix = "backbone." if report.part == "model" else ""
    report.loaded = [key for key in own if key in state]
    report.unexpected += [translation.origin.get(key, key) for key in state if key not in own]
    for key in (key for key in own if key not in state):
        reason = None if prefix else explain(key, target.fresh)  # whole models were saved with all that they have
        report.fresh.setdefault(reason, []).append(key) if reason else report.missing.append(key)
    for reason in [reason for reason in report.fresh if _in_part(reason, target, report)]:
        report.missing += report.fresh.pop(reason)
    values = {key: state[key].to(own[key].dtype) for key in report.loaded}
    try:
        model.load_state_dict({**own, **values}, assign=True)
    except RuntimeError as error:
        found = re.findall(r"size mismatch for (\S+): .*?(\[.*?\]).*?(\[.*?\])", str(error))
        report.size_mismatch = [f"{key} {file} for {model}" for key, file, model in found] or [str(error)]
        return {}
    out = {key: value.clone() for key, value in model.state_dict().items() if key in values}
    report.resized += [key for key, value in out.items() if value.shape != state[key].shape]
    return out


def _in_part(reason: str, target: Target, report: ConversionReport) -> bool:
    """Whether the file has some of the keys that it should have all or none of."""
    patterns = {pattern: own for pattern, own in target.fresh.items() if own == reason}
    return any(explain(key, patterns) for key in report.loaded)
