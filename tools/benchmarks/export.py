"""``export_...``: a view of 512 x 512 by ONNX Runtime and OpenVINO against PyTorch, all on one thread.

The models are U-Nets with EfficientNet-Lite0 and ResNet-34, and UPerNets with ResNet-50 (512 channels) and Swin-T, with
random weights; PyTorch runs them in float32 as maps do, the others run the file of ``rsseg export-model``.  Those with
8-bit convolutions (``--int8``) are compared with ONNX Runtime in float32.
"""

from __future__ import annotations

import functools
from typing import Any

from benchmarks.entry import Entry, Work
from benchmarks.map_stub import folder
from benchmarks.precision import model as random_model
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


def _model(config: str) -> Any:
    import torch

    torch.set_num_threads(1)
    return random_model(config)


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


def _int8(build: Any, runtime: str) -> tuple[Work, Work]:
    """8-bit convolutions by a runtime, and float32 by ONNX Runtime, on the same image."""
    import torch

    from rsseg.mapping.quantizing import quantize_file
    from rsseg.mapping.runtimes import RUNTIMES
    from rsseg.models.exporting import GraphModel, onnx_bytes

    path = folder() / "model.onnx"
    path.write_bytes(onnx_bytes(GraphModel(build())))
    image = 255 * torch.rand(1, 3, _SIDE, _SIDE).numpy()
    quantize_file(path, path.with_name("int8.onnx"), [image])
    ours, _ = RUNTIMES[runtime](path.with_name("int8.onnx"), "rsseg", False)
    reference, _ = RUNTIMES["onnxruntime"](path, "rsseg", False)
    return functools.partial(ours, image), functools.partial(reference, image)


_BUILDS = {
    "unet": _unet,
    "unet_r34": functools.partial(_model, "openearthmap/unet_r34_openearthmap.py"),
    "upernet": _upernet,
    "swin": functools.partial(_model, "openearthmap/upernet_swin_t_openearthmap.py"),
}


def _entries() -> dict[str, Entry]:
    out = {}
    for name, build in _BUILDS.items():
        for short, runtime, bf16 in (("onnx", "onnxruntime", False), ("openvino", "openvino", False),
                                     ("openvino_bf16", "openvino", True)):  # fmt: skip
            what = f"{name} by {runtime}, {'bfloat16' if bf16 else 'float32'}, on one image of {_SIDE}"
            out[f"export_{name}_{short}"] = Entry(
                f"{what}, against PyTorch in float32", functools.partial(_view, build, runtime, bf16)
            )
    for name in ("unet", "unet_r34", "upernet"):
        for short, runtime in (("onnx", "onnxruntime"), ("openvino", "openvino")):
            out[f"export_{name}_int8_{short}"] = Entry(
                f"{name} with 8-bit convolutions by {runtime}, one image of {_SIDE}, against float32 by ONNX Runtime",
                functools.partial(_int8, _BUILDS[name], runtime),
            )
    return out


EXPORT = _entries()
