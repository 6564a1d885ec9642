"""Size and work of models: parameters and multiply-adds of configs, beside the cells of a paper's table."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from rsseg.errors import ConfigError, DataError
from rsseg.io.configs import read_config
from rsseg.io.tables import markdown_head, markdown_row, read_csv

__all__ = [
    "Row",
    "build_for_counting",
    "count_multiply_adds",
    "count_parameters",
    "count_parameters_run",
    "prepare_model",
    "read_rows",
    "table_lines",
]

COLUMNS = ("row", "config", "classes", "params", "flops")


@dataclass(frozen=True)
class Row:
    """One config, and what a paper says of it.

    Attributes:
        config: The config file.
        name: The table's row; empty where there is no table.
        classes: Number of classes of the model that the paper counts; None leaves the config's own.
        params: The paper's parameters in millions.
        flops: The paper's multiply-adds in GMACs.
    """

    config: Path
    name: str = ""
    classes: int | None = None
    params: float | None = None
    flops: float | None = None


def read_rows(targets: Sequence[str | Path]) -> list[Row]:
    """Rows of configs (``.py``) and of tables (``.csv`` with row, config, classes, params and flops).

    A table's configs are named from the folder where it is; a cell may be empty.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: A table lacks a column, or a cell holds no number.
    """
    rows: list[Row] = []
    for target in map(Path, targets):
        if not target.is_file():
            raise FileNotFoundError(f"{target}: no such file; expected a config or a CSV file of configs")
        rows += _table_rows(target) if target.suffix == ".csv" else [Row(target)]
    return rows


def _table_rows(table: Path) -> Iterator[Row]:
    for line, cells in read_csv(table, COLUMNS):
        config = table.parent / cells["config"]
        if not config.is_file():
            raise FileNotFoundError(f"{table}, line {line}: config {config} not found")
        try:
            params, flops = (float(cells[key]) if cells[key] else None for key in ("params", "flops"))
            classes = int(cells["classes"]) if cells["classes"] else None
        except ValueError as error:
            raise DataError(f"{table}, line {line}: {error}") from error
        yield Row(config, cells["row"], classes, params, flops)


def prepare_model(node: Any, classes: int | None = None) -> None:
    """Fit a model's config for counting and timing: no files, BN for SyncBN, ``classes`` in every head; in place."""
    if isinstance(node, dict):
        node.pop("init_cfg", None)
        node.update({"pretrained": None} if "pretrained" in node else {})
        if node.get("type") == "SyncBN":
            node["type"] = "BN"
        if classes and "num_classes" in node:
            node["num_classes"] = classes
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, (list, tuple)) else ():
        prepare_model(value, classes)


class _RatesHaveValues(TorchFunctionMode):
    """Rates of stochastic depth are read while a model is built, whatever the device of all else."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **{**(kwargs or {}), **({"device": "cpu"} if func is torch.linspace else {})})


def build_for_counting(model: dict[str, Any], classes: int | None = None) -> nn.Module:
    """A model whose parameters have shapes but no values, in evaluation.

    Args:
        model: Config of the model, which stays as it is.
        classes: Number of classes of every head; None leaves those of the config.
    """
    config = copy.deepcopy(model)
    prepare_model(config, classes)
    try:
        with torch.device("meta"), _RatesHaveValues():
            built = MODELS.build(config)
    except RuntimeError:  # some read a value while they are built
        built = MODELS.build(config).to("meta")
    built.train(False).requires_grad_(False)  # what counts multiply-adds can't follow weights that are views
    return built


def count_parameters(model: nn.Module) -> int:
    """All parameters, those of auxiliary heads as well."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_parameters_run(model: nn.Module, size: tuple[int, int]) -> int:
    """Parameters of the modules that run for a prediction.

    Auxiliary heads and parts that are built and not used do not count; this is what the counters count that papers use.

    Args:
        model: As for :func:`count_multiply_adds`.
        size: (H, W) of the image.
    """
    run: set[nn.Module] = set()
    hooks = [part.register_forward_pre_hook(lambda part, _: run.add(part)) for part in model.modules()]
    with torch.inference_mode():
        model(torch.zeros(1, 3, *size, device=next(model.parameters()).device))
    for hook in hooks:
        hook.remove()
    found: dict[int, int] = {}
    for part in run:
        whole = isinstance(part, nn.MultiheadAttention)  # it uses its projection's weights without calling it
        found |= {id(own): own.numel() for own in part.parameters(recurse=whole)}
    return sum(found.values())


def count_multiply_adds(model: nn.Module, size: tuple[int, int]) -> int:
    """Multiply-adds of convolutions and matrix products for one image of (H, W), what only training uses left out.

    Normalisation, activations and scaling do not count; they are about 1 % of the models of mmseg.

    Args:
        model: From :func:`build_for_counting`, or any model that takes images; on another device than ``meta`` it runs.
        size: (H, W) of the image.
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model(torch.zeros(1, 3, *size, device=next(model.parameters()).device))
    return counter.get_total_flops() // 2  # torch counts a multiplication and an addition as two


def table_lines(rows: Sequence[Row], sizes: Sequence[int]) -> Iterator[str]:
    """Lines of a Markdown table: a head, then one for each row as soon as it is counted.

    Millions of parameters: of the config, with the paper's number of classes, the paper's.  Thousand millions of
    multiply-adds: for square images of each of ``sizes``, the paper's.

    Raises:
        ConfigError: A config has no model.
    """
    columns = ["row", "config", "params (M)", "with paper's classes", "paper"]
    columns += [f"FLOPs (G) at {size}" for size in sizes] + ["paper"]
    yield from markdown_head(columns, left=2).splitlines()
    for row in rows:
        config = read_config(row.config)
        if "model" not in config:
            raise ConfigError(f"{row.config}: has no 'model'")
        init_default_scope(config.get("default_scope") or "mmseg")
        model = build_for_counting(config.model)
        own = count_parameters(model)
        paper = count_parameters(build_for_counting(config.model, row.classes)) if row.classes else None
        cells = [row.name, row.config.name, f"{own / 1e6:.3f}"]
        cells.append(f"{paper / 1e6:.3f} ({row.classes})" if paper else "")
        cells.append("" if row.params is None else f"{row.params:.2f}")
        cells += [f"{count_multiply_adds(model, (size, size)) / 1e9:.2f}" for size in sizes]
        cells.append("" if row.flops is None else f"{row.flops:.2f}")
        yield markdown_row(cells)
