"""Speed of models, measured: latency with its spread, images per second and peak memory, beside what they count."""

from __future__ import annotations

import contextlib
import copy
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.evaluation.complexity import (
    Row,
    build_for_counting,
    count_multiply_adds,
    count_parameters,
    count_parameters_run,
    prepare_model,
    read_rows,
)
from rsseg.io.checkpoints import load_file
from rsseg.io.configs import read_config
from rsseg.io.memory import peak_of_process
from rsseg.io.tables import markdown_head, markdown_row
from rsseg.io.trust import trusted

__all__ = [
    "COUNTED",
    "SpeedOptions",
    "SpeedRow",
    "describe",
    "measure",
    "measure_rows",
    "read_targets",
    "speed_table",
    "summarise",
]

COUNTED = (
    "Parameters: all of the model, as OpenEarthMap's table 3 has them, and those of the modules that run for a "
    "prediction, as its table 4 has them.  GMACs: multiply-adds of convolutions and matrix products for one image, "
    "one multiply-add being one of the paper's FLOPs; normalisation, activations and scaling do not count.  Latency: "
    "median of the runs, with the middle half of them in brackets; CPU: median of the CPU time, of all threads "
    "together, which depends less on other processes; initial weights, images of random numbers, logits as the "
    "network gives them (before they are scaled to the image where the network itself does not).  Memory: the peak "
    "above what the model itself takes on a GPU, of the whole process on a CPU."
)


@dataclass(frozen=True)
class SpeedOptions:
    """How to measure.

    Attributes:
        size: Side of the square images.
        device: Such as ``cpu`` or ``cuda:0``.
        batch: Images at a time.
        runs: Measured runs.
        warmup: Runs before.
        bf16: bfloat16 autocast.
        compile: ``torch.compile`` the model.
        onnx: Run the exported model with ONNX Runtime instead, on the CPU.
        predict: Time a prediction as a test makes it, with all views or regions and at the image's size, instead of
            one pass of the network.
    """

    size: int = 1024
    device: str = "cpu"
    batch: int = 1
    runs: int = 20
    warmup: int = 3
    bf16: bool = False
    compile: bool = False
    onnx: bool = False
    predict: bool = False


@dataclass(frozen=True)
class SpeedRow:
    """What was measured of one model.

    Attributes:
        name: The table's row, else the config.
        parameters: All parameters.
        parameters_run: Those of modules that run for a prediction.
        macs: Multiply-adds for one image.
        latency: Median seconds of a run.
        low: First quartile of the seconds.
        high: Third quartile of the seconds.
        images_per_second: Of the median.
        memory: Peak in MiB; None where the machine does not say.
        cpu: Median CPU seconds of a run, of all threads; None on a GPU.
        params_paper: Millions of parameters in the paper's table.
        flops_paper: Thousand millions of multiply-adds there.
    """

    name: str
    parameters: int
    parameters_run: int
    macs: int
    latency: float
    low: float
    high: float
    images_per_second: float
    memory: float | None
    cpu: float | None = None
    params_paper: float | None = None
    flops_paper: float | None = None


def summarise(seconds: Sequence[float]) -> tuple[float, float, float]:
    """Median, first and third quartile of measured times; one time is all three."""
    if len(seconds) == 1:
        return seconds[0], seconds[0], seconds[0]
    low, _, high = quantiles(seconds, n=4, method="inclusive")
    return median(seconds), low, high


def describe(options: SpeedOptions) -> str:
    """What a table was measured with, in words."""
    device = torch.device("cpu" if options.onnx else options.device)
    if device.type == "cuda":
        machine = torch.cuda.get_device_name(device)
    else:
        machine = f"CPU ({platform.machine()}), {torch.get_num_threads()} threads"
    kind = "ONNX Runtime" if options.onnx else f"torch {torch.__version__}"
    kinds = ((options.bf16, "bfloat16"), (options.compile, "compiled"), (options.predict, "whole predictions"))
    more = [text for on, text in kinds if on]
    images = f"{options.batch} x 3 x {options.size} x {options.size}"
    return f"{machine}, {', '.join([kind, *more])}; images {images}, {options.runs} runs after {options.warmup}."


def read_targets(targets: Sequence[str | Path], trust: bool = False) -> list[tuple[Row, Config]]:
    """Rows and configs of configs (``.py``), of tables (``.csv``) and of checkpoints (``.pth``), which hold theirs.

    Args:
        targets: The files.
        trust: Run the config in a checkpoint, which is a program; so does the environment's ``RSSEG_TRUST=1``.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: A checkpoint holds no config, or see :func:`read_rows`.
        ConfigError: A config has no model, or a checkpoint is not trusted.
    """
    out: list[tuple[Row, Config]] = []
    for target in map(Path, targets):
        if target.suffix in (".pth", ".pt"):
            out.append((Row(target, target.as_posix()), _config_in(target, trust)))  # all are iter_<n>
        else:
            out += [(row, read_config(row.config)) for row in read_rows([target])]
    for row, config in out:
        if "model" not in config:
            raise ConfigError(f"{row.config}: has no 'model'")
    return out


def _config_in(checkpoint: Path, trust: bool) -> Config:
    content = load_file(checkpoint, trust=trust)
    text = content.get("meta", {}).get("cfg") if isinstance(content, dict) else None
    if not isinstance(text, str):
        raise DataError(
            f"{checkpoint}: holds no config in meta['cfg']; name the config that it was trained with instead"
        )
    if not (trust or trusted()):
        raise ConfigError(
            f"{checkpoint}: the config in a checkpoint is a program, which is not run. Name the config that it was "
            "trained with instead, or add --trust if you made this file or trust who did"
        )
    return Config.fromstring(text, ".py")


def measure_rows(targets: Sequence[tuple[Row, Config]], options: SpeedOptions) -> Iterator[SpeedRow]:
    """What :func:`measure` says of each target, as soon as it is measured.

    Raises:
        ConfigError: A model cannot be built or does not take images of this size.
        MissingPackageError: ONNX Runtime is asked for and not installed.
    """
    for row, config in targets:
        init_default_scope(config.get("default_scope") or "mmseg")
        yield measure(row, config, options)


def measure(row: Row, config: Config, options: SpeedOptions) -> SpeedRow:
    """Count and time one model; arguments and errors as of :func:`measure_rows`."""
    size = (options.size, options.size)
    settings = copy.deepcopy(config.model)
    prepare_model(settings, row.classes)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.build(settings).eval().requires_grad_(False)
        images = torch.rand(options.batch, 3, *size)
    try:
        counts = _count(build_for_counting(config.model, row.classes), size)
    except RuntimeError:  # what is done next depends on values; a fault shows again
        counts = _count(model, size)
    device = torch.device("cpu" if options.onnx else options.device)
    model, images = model.to(device), images.to(device)
    run = _onnx_run(model, images) if options.onnx else _torch_run(model, images, options)
    seconds, cpu, memory = _time(run, device, options)
    middle, low, high = summarise(seconds)
    name = row.name or row.config.name
    speed = (middle, low, high, options.batch / middle)
    return SpeedRow(name, *counts, *speed, memory, cpu, row.params, row.flops)


def _count(model: nn.Module, size: tuple[int, int]) -> tuple[int, int, int]:
    """Parameters, those that run, and multiply-adds."""
    return count_parameters(model), count_parameters_run(model, size), count_multiply_adds(model, size)


def _torch_run(model: nn.Module, images: torch.Tensor, options: SpeedOptions) -> Callable[[], Any]:
    if options.compile:
        model.compile()
    kind = images.device.type
    context: Any = torch.autocast(kind, torch.bfloat16) if options.bf16 else contextlib.nullcontext()

    def run() -> None:
        with torch.inference_mode(), context:
            model(images, mode="predict") if options.predict else model(images)

    return run


def _onnx_run(model: nn.Module, images: torch.Tensor) -> Callable[[], Any]:
    """A run of the exported model.

    Raises:
        MissingPackageError: ONNX Runtime or the exporter is not installed.
    """
    try:
        import_module("onnx")  # the exporter's
        onnxruntime = import_module("onnxruntime")
    except ImportError as error:
        raise MissingPackageError(
            '--onnx requires the packages onnx and onnxruntime: python -m pip install "rsseg[export]"'
        ) from error
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "model.onnx")
        torch.onnx.export(model, (images,), path, opset_version=17, dynamo=False)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: images.numpy().astype(np.float32)}
    return lambda: session.run(None, inputs)


def _time(
    run: Callable[[], Any], device: torch.device, options: SpeedOptions
) -> tuple[list[float], float | None, float | None]:
    """Seconds of each run, the median of its CPU seconds, and the peak of the memory in MiB."""
    on_gpu = device.type == "cuda"
    for _ in range(options.warmup):
        run()
    if on_gpu:
        torch.cuda.synchronize(device)
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    seconds, busy = [], []
    with peak_of_process() as process:
        for _ in range(options.runs):
            start, used = time.perf_counter(), time.process_time()
            run()
            if on_gpu:
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - start)
            busy.append(time.process_time() - used)
    if on_gpu:
        return seconds, None, (torch.cuda.max_memory_allocated(device) - before) / 2**20
    return seconds, median(busy), process.mebibytes


def speed_table(rows: Iterator[SpeedRow] | Sequence[SpeedRow]) -> Iterator[str]:
    """Lines of a Markdown table: a head, then one for each row as soon as it is there."""
    columns = [
        "model",
        "params (M)",
        "that run (M)",
        "paper",
        "GMACs",
        "paper",
        "latency (ms)",
        "CPU (ms)",
        "images/s",
        "memory (MiB)",
    ]
    yield from markdown_head(columns).splitlines()
    for row in rows:
        paper = ["" if value is None else f"{value:.2f}" for value in (row.params_paper, row.flops_paper)]
        times = f"{1e3 * row.latency:.1f} ({1e3 * row.low:.1f}-{1e3 * row.high:.1f})"
        memory = "" if row.memory is None else f"{row.memory:.0f}"
        millions = [f"{count / 1e6:.3f}" for count in (row.parameters, row.parameters_run)]
        cpu = "" if row.cpu is None else f"{1e3 * row.cpu:.1f}"
        speed = [f"{row.macs / 1e9:.2f}", paper[1], times, cpu, f"{row.images_per_second:.1f}", memory]
        yield markdown_row([row.name, *millions, paper[0], *speed])
