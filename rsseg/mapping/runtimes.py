"""ONNX Runtime and OpenVINO: open a model's file, give its scores."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from numpy.typing import NDArray

from rsseg.errors import DataError, MissingPackageError

__all__ = ["RUNTIMES", "Run", "need"]

Run = Callable[[NDArray[Any]], NDArray[Any]]
"""Scores (N, classes, H, W) of images (N, bands, H, W), both float32."""


def need(package: str) -> ModuleType:
    """Import a package of the extra ``export``.

    Raises:
        MissingPackageError: It is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise MissingPackageError(
            f'exported models require {package}, which is not installed: python -m pip install "rsseg[export]"'
        ) from error


def _onnxruntime(path: Path, key: str, bf16: bool) -> tuple[Run, str | None]:
    """How to run a file, and the text that it has under a key; it uses as many threads as torch."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # what fails is raised
    try:
        session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its own classes, which have no common base
        raise DataError(f"{path}: ONNX Runtime cannot read it ({_first(error)})") from error
    name = session.get_inputs()[0].name

    def run(images: NDArray[Any]) -> NDArray[Any]:
        try:
            return session.run(None, {name: images})[0]
        except Exception as error:
            raise RuntimeError(f"{path}: images of shape {images.shape}: {_first(error)}") from error

    return run, session.get_modelmeta().custom_metadata_map.get(key)


def _openvino(path: Path, key: str, bf16: bool) -> tuple[Run, str | None]:
    """As :func:`_onnxruntime`; OpenVINO's own default is bfloat16 on CPUs that have it."""
    core = need("openvino").Core()
    settings = {
        "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        "PERFORMANCE_HINT": "LATENCY",
    }
    try:
        model = core.read_model(str(path))
        compiled = core.compile_model(model, "CPU", settings)
    except RuntimeError as error:
        raise DataError(f"{path}: OpenVINO cannot read it ({_first(error)})") from error

    def run(images: NDArray[Any]) -> NDArray[Any]:
        return compiled([images])[0].copy()

    found = model.get_rt_info()
    if key not in found and "framework" in found:  # where it keeps the metadata of an ONNX file
        found = found["framework"]
    return run, found[key].astype(str) if key in found else None


def _first(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


RUNTIMES: dict[str, Callable[[Path, str, bool], tuple[Run, str | None]]] = {
    "onnxruntime": _onnxruntime,
    "openvino": _openvino,
}
"""By name: what opens a file, given its path, the key of its description, and bf16."""
