"""How a model's forward pass is computed: exactly, by what this machine does faster, or in bfloat16."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmseg.registry import HOOKS
from torch import Tensor, nn
from torch.nn import functional

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError
from rsseg.io.files import locked, replacing
from rsseg.io.sums import sum_of
from rsseg.io.tables import read_json

__all__ = ["Precision", "UsePrecision", "choose_precision", "matmul_precision"]

_log = logging.getLogger("rsseg")
_switching = threading.RLock()  # torch's switch belongs to the process, not to a thread
_BOUND = 1e-4
"""Largest difference from the exact result, as a share of its largest value; bfloat16 products are off by 1e-3."""
_GAIN = 1.1
"""How many times as fast a form must be to be chosen."""
_SMALL = 1_000_000
"""Models of fewer parameters are computed exactly without a test."""
_ROWS, _SIDE, _LAYERS = 1024, 512, 3
"""Rows of the tested products, side of the tested image in pixels, and how many of the largest layers are tested."""
_SHORT = 0.5  # seconds of CPU: what takes less is repeated


@contextlib.contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """Products of float32 matrices as ``torch.set_float32_matmul_precision`` allows; other threads that ask wait."""
    with _switching:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision(name)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


@dataclass(frozen=True)
class Precision:
    """What is not computed in the plain way.

    Attributes:
        medium: Products of float32 matrices by oneDNN instead of MKL, which torch's precision "medium" means on CPUs.
        channels_last: The channels of a pixel side by side in memory.
        bf16: bfloat16 autocast.
    """

    medium: bool = False
    channels_last: bool = False
    bf16: bool = False

    def __str__(self) -> str:
        return "+".join(field.name for field in fields(self) if getattr(self, field.name)) or "exact"

    @classmethod
    def parse(cls, text: str) -> Precision:
        """The precision whose text this is, such as ``medium+channels_last``.

        Raises:
            ConfigError: There is no such precision.
        """
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in text.split("+") if name not in (*names, "exact")]:
            raise ConfigError(
                f"unknown precision {unknown[0]!r}; expected exact, or one or more of: {', '.join(names)}"
            )
        return cls(**{name: True for name in text.split("+") if name != "exact"})

    def arrange(self, model: nn.Module) -> None:
        """Bring the weights into the memory layout; their values stay."""
        model.to(memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    @contextlib.contextmanager
    def computing(self, device: torch.device) -> Iterator[None]:
        """While a forward pass runs."""
        if not (self.medium or self.bf16):
            yield
            return
        with (
            matmul_precision("medium" if self.medium else torch.get_float32_matmul_precision()),
            torch.autocast(device.type, torch.bfloat16, enabled=self.bf16),
        ):
            yield


def choose_precision(requested: str, model: nn.Module) -> Precision:
    """How to compute a model on this machine.

    Args:
        requested: ``exact``; ``bf16``; or ``auto``: what a short test of the model's largest linear layers, or of a
            convolutional model as a whole, finds to be at least 1.1 times as fast and no further than 1e-4 from exact.
            On GPUs, and for models of less than a million parameters, that is ``exact``.
        model: A segmentor or classifier, on its device; it is left as it was, in its mode.

    Returns:
        The choice, which is also logged.  A model is tested once on a machine: ``rsseg/precision`` in the user's cache
        folder (``XDG_CACHE_HOME``) remembers the choice, so that all runs and processes compute the same; where
        nothing can be written there it is ``exact``.
    """
    device = next(model.parameters()).device
    convolutional = device.type == "cpu" and _weights(model, nn.Conv2d) > 4 * _weights(model, nn.Linear)
    if requested == "bf16":
        choice, reason = Precision(channels_last=convolutional, bf16=True), ""
    elif requested == "exact" or device.type != "cpu" or sum(p.numel() for p in model.parameters()) < _SMALL:
        choice, reason = Precision(), ""
    else:
        choice, reason = _remembered(model, convolutional)
    _log.info("precision: %s%s", choice, f" ({requested}: {reason})" if reason else "")
    return choice


def _remembered(model: nn.Module, convolutional: bool) -> tuple[Precision, str]:
    """The choice of an earlier test of such a model on this machine, else of a test now, and why."""
    shapes = [(name, tuple(value.shape)) for name, value in model.named_parameters()]
    key = sum_of(repr((_processor(), torch.__version__, type(model).__name__, shapes)).encode())[:32]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rsseg" / "precision"
    path = folder / f"{key}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / f"{key}.lock"):
            if not path.exists():
                found = _tested(model, convolutional)
                with replacing(path) as file:
                    file.write(json.dumps([str(found[0]), found[1]]).encode())
        text, reason = read_json(path, list)
    except OSError as error:
        return Precision(), f"no test, since {folder} cannot be written: {error.strerror}"
    return Precision.parse(text), reason


def _processor() -> str:
    """Name of the kind of processor."""
    with contextlib.suppress(OSError):  # another system than Linux
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith(("model name", "CPU part")):
                return f"{line} {torch.backends.cpu.get_cpu_capability()}"
    return f"{platform.processor()} {torch.backends.cpu.get_cpu_capability()}"


def _tested(model: nn.Module, convolutional: bool) -> tuple[Precision, str]:
    """The choice of a test, and what it found."""
    with torch.no_grad(), torch.random.fork_rng(devices=[]), _evaluating(model):
        mixed = 2 * _weights(model, nn.Linear) > _weights(model, nn.Conv2d)
        tests = [_test_products(model)] if mixed else []
        tests += [_test_layout(model)] if convolutional else []
    choice = Precision(**{test.name: test.difference <= _BOUND and test.gain >= _GAIN for test in tests})
    texts = [f"{test.name} is off by {test.difference:.0e} and {test.gain:.2f} times as fast" for test in tests]
    return choice, "; ".join(texts)


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """In eval mode, as a test changes no statistics; afterwards every module is in its own mode again."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


class _Test(NamedTuple):
    name: str
    difference: float
    gain: float


def _layers(model: nn.Module, kind: type[nn.Module]) -> list[Any]:
    return [own for own in model.modules() if isinstance(own, kind) and isinstance(own.weight, Tensor)]


def _weights(model: nn.Module, kind: type[nn.Module]) -> int:
    return sum(int(own.weight.numel()) for own in _layers(model, kind))


def _seconds(work: Callable[[], Any]) -> tuple[float, list[Tensor]]:
    """CPU seconds of the quickest of a few runs, and the tensors of the result."""
    best, used, maps = float("inf"), 0.0, []
    for _ in range(5):
        start = time.process_time()
        result = work()
        taken = time.process_time() - start
        best, used, maps = min(best, taken), used + taken, _tensors(result)
        if used > _SHORT:
            break
    return best, maps


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result.detach()]
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, (list, tuple)) else ()
    return [own for part in parts for own in _tensors(part)]


def _difference(exact: list[Tensor], other: list[Tensor]) -> float:
    pairs = zip(exact, other, strict=True)
    return max((float((b - a).abs().max() / a.abs().max().clamp(min=1e-12)) for a, b in pairs), default=float("inf"))


def _result(name: str, exact: tuple[float, list[Tensor]], other: tuple[float, list[Tensor]]) -> _Test:
    return _Test(name, _difference(exact[1], other[1]), exact[0] / max(other[0], 1e-9))


def _test_products(model: nn.Module) -> _Test:
    """The model's largest linear layers of different shapes on rows of noise."""
    by_shape = {own.weight.shape: own for own in _layers(model, nn.Linear)}
    largest = sorted(by_shape.values(), key=lambda own: int(own.weight.numel()))[-_LAYERS:]
    noise = torch.Generator().manual_seed(0)
    rows = [torch.randn(_ROWS, own.in_features, generator=noise) for own in largest]

    def run(precision: str) -> list[Tensor]:
        with matmul_precision(precision):
            return [functional.linear(x, own.weight, own.bias) for own, x in zip(largest, rows, strict=True)]

    run("medium")  # builds its kernels
    return _result("medium", _seconds(lambda: run("highest")), _seconds(lambda: run("medium")))


def _test_layout(model: Any) -> _Test:
    """The whole model on an image of noise."""
    bands = next(own.in_channels for own in _layers(model, nn.Conv2d))
    image = torch.randn(1, bands, _SIDE, _SIDE, generator=torch.Generator().manual_seed(0))
    results = []
    for precision in (Precision(channels_last=True), Precision()):
        precision.arrange(model)
        model(image, mode="tensor")  # builds its kernels
        results.append(_seconds(lambda: model(image, mode="tensor")))
    return _result("channels_last", results[1], results[0])


@HOOKS.register_module()
class UsePrecision(Hook):
    """Test with the precision that :func:`choose_precision` finds; scores are float32 anyway.

    Args:
        precision: ``auto``, ``exact`` or ``bf16``.
    """

    def __init__(self, precision: str = "auto") -> None:
        self.precision = precision

    def before_test(self, runner: Runner) -> None:
        """Choose, and arrange the model."""
        model = bare_model(runner.model)
        choice = choose_precision(self.precision, model)
        choice.arrange(model)
        forward, device = model.forward, next(model.parameters()).device

        def computing(*args: Any, **kwargs: Any) -> Any:
            with choice.computing(device):
                return _float32(forward(*args, **kwargs))

        model.forward = computing

    def after_test(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Leave the model as it was."""
        model = bare_model(runner.model)
        model.__dict__.pop("forward", None)
        Precision().arrange(model)


def _float32(result: Any) -> Any:
    """A result with the bfloat16 tensors of its data samples as float32."""
    for sample in result if isinstance(result, (list, tuple)) else ():
        for name, value in sample.items() if isinstance(sample, BaseDataElement) else ():
            if isinstance(value, BaseDataElement):
                _float32([value])
            elif isinstance(value, Tensor) and value.dtype == torch.bfloat16:
                sample.set_field(value.float(), name)
    return result
