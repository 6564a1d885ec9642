"""``export_...``: a view of 512 x 512 by ONNX Runtime and OpenVINO against PyTorch, all on one thread.

The models are a U-Net with EfficientNet-Lite0 and a UPerNet with ResNet-50 (512 channels), with random weights; PyTorch
runs them in float32 as maps do, the others run the file of ``rsseg export-model``.
"""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import folder
from benchmarks.upernet_step import model as upernet

_SIDE = 512
_BOUND = {False: 1e-4, True: 0.3}
"""Largest difference, as a share of the largest score, in float32 and in bfloat16."""


def _unet() -> Any:
    import torch
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    from rsseg.io.configs import read_config

    init_default_scope("mmseg")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = read_config("rsseg::scenes/unet_efficientnet_lite0_scenes.py", {"model.backbone.init_cfg": None})
    return MODELS.build(config.model)


def _upernet() -> Any:
    return upernet("LowResUPerHead")


def _view(build: Any, runtime: str, bf16: bool) -> tuple[Work, Work]:
    import torch

    from rsseg.mapping.runtimes import RUNTIMES
    from rsseg.models.exporting import GraphModel, onnx_bytes

    graph = GraphModel(build())
    path = folder() / "model.onnx"
    path.write_bytes(onnx_bytes(graph))
    run, _ = RUNTIMES[runtime](path, "rsseg", bf16)
    image = 255 * torch.rand(1, 3, _SIDE, _SIDE)

    def reference() -> torch.Tensor:
        with torch.inference_mode():
            return graph(image)

    def ours() -> torch.Tensor:
        return torch.from_numpy(run(image.numpy()))

    expected = reference()
    difference = float((ours() - expected).abs().max() / expected.abs().max())
    assert difference <= _BOUND[bf16], difference
    return ours, reference


def _entries() -> dict[str, Entry]:
    out = {}
    for name, build in (("unet", _unet), ("upernet", _upernet)):
        for short, runtime, bf16 in (("onnx", "onnxruntime", False), ("openvino", "openvino", False),
                                     ("openvino_bf16", "openvino", True)):  # fmt: skip
            what = f"{name} by {runtime}, {'bfloat16' if bf16 else 'float32'}, on one image of {_SIDE}"
            out[f"export_{name}_{short}"] = Entry(
                f"{what}, against PyTorch in float32", functools.partial(_view, build, runtime, bf16)
            )
    return out


EXPORT = _entries()
