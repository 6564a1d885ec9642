"""``uda_step``: one joint backward against one for each loss; ``uda_<method>``: an iteration against source only.

All take a small DeepLabV2 (a ResNet-18 of 16 channels in the stem, output stride 16) or, for DAFormer and MIC, the same
encoder with a plain head, through one iteration on 2 source and 2 target crops of 128 pixels: forward, backward,
clipping and optimizer steps.  ``uda_<method>`` compares it with ``SourceOnly`` on the 2 source crops alone and the same
network, so that 1 / ratio says how many times as long a method takes; ``uda_<method>_memory`` compares the peak memory
of the process.  They run on a GPU where there is one, except for memory.  CBST and IAST have their pseudo labels in
files; a round of labels is not part of the iteration.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.entry import Entry, Work

_CROP, _CLASSES, _EACH = 128, 8, 2
_METHODS: dict[str, tuple[str | None, dict[str, Any]]] = {
    "MMD": ("mmd", {}),
    "AdaptSeg": ("cascade", dict(channels=8)),
    "FADA": ("single", dict(channels=(64, 32))),
    "CLAN": ("twin", dict(plain_iterations=0, channels=8)),
    "TransNormAdaptation": ("twin", dict(channels=8)),
    "PyCDA": ("ppm", {}),
    "CBST": ("ppm", dict(start=0)),
    "IAST": ("ppm", dict(start=0)),
    "DAFormer": (None, dict(distance_classes=(0, 1))),
    "MIC": (None, dict(distance_classes=(0, 1))),
}
"""Form of the head, and arguments; discriminators have an eighth of their channels, as the encoder has a quarter."""


def uda_model(method: str, form: str | None, options: dict[str, Any]) -> Any:
    import torch
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.engine
    import rsseg.models  # noqa: F401

    init_default_scope("mmseg")
    torch.manual_seed(0)
    norm = dict(type="TransNorm" if method == "TransNormAdaptation" else "BN")
    head: dict[str, Any] = dict(type="DeepLabV2Head", form=form, in_channels=[64, 128], channels=64)
    if form is None:
        head = dict(type="FCNHead", in_channels=128, in_index=3, channels=64, norm_cfg=dict(type="BN"))
    backbone = dict(type="ResNet", depth=18, stem_channels=16, base_channels=16, style="pytorch", norm_cfg=norm)
    dilated = dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True)
    return MODELS.build(
        ConfigDict(
            type="AdaptationSegmentor",
            data_preprocessor=dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, size=(_CROP, _CROP)),
            backbone={**backbone, **dilated},
            decode_head={**head, "num_classes": _CLASSES, "align_corners": True},
            adaptation=dict(type=method, **options),
            train_cfg=dict(),
            test_cfg=dict(mode="whole"),
        )
    )


def _batch(domains: tuple[str, ...], crop: int = _CROP) -> dict[str, Any]:
    import numpy as np
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    rng, inputs, samples = np.random.default_rng(0), [], []
    positions = np.arange(256, 256 + crop * crop, dtype=np.int32).reshape(crop, crop)
    for name in domains:
        for i in range(_EACH):
            inputs.append(torch.from_numpy(rng.integers(0, 256, (3, crop, crop), dtype=np.uint8)))
            meta = dict(dataset_name=name, img_path=f"{name}/{i}.png", positions=positions, img_shape=(crop, crop))
            samples.append(SegDataSample(metainfo=meta))
            if name == "source":
                labels = torch.from_numpy(rng.integers(0, _CLASSES, (1, crop, crop)))
                samples[-1].gt_sem_seg = PixelData(data=labels)
    return {"inputs": inputs, "data_samples": samples}


def _iteration(method: str, form: str | None, options: dict[str, Any], domains: tuple[str, ...], device: str) -> Work:
    return uda_iteration(uda_model(method, form, options), domains, device)


def uda_iteration(model: Any, domains: tuple[str, ...], device: str, crop: int = _CROP) -> Work:
    """One iteration of an ``AdaptationSegmentor`` on two crops of each domain, which can be repeated."""
    import torch
    from mmengine.optim import build_optim_wrapper

    model = model.to(device).train()
    sgd = dict(optimizer=dict(type="SGD", lr=1e-4, momentum=0.9), clip_grad=dict(max_norm=35))
    adam = dict(optimizer=dict(type="Adam", lr=1e-4), clip_grad=dict(max_norm=35))
    parts = dict(network=sgd, discriminator=adam) if model.adaptation.discriminators else sgd
    wrapper = build_optim_wrapper(model, dict(constructor="AdaptationOptimizers", **parts))
    if hasattr(model.adaptation, "make_round"):
        _write_labels(model.adaptation)
    batch = _batch(domains, crop)

    def run() -> None:
        model.train_step(batch, wrapper)
        if device == "cuda":
            torch.cuda.synchronize()

    return run


def _write_labels(method: Any) -> None:
    import numpy as np
    from PIL import Image

    folder = Path(tempfile.mkdtemp(prefix="uda_step_"))
    method.bind(folder, {f"target/{i}.png": str(i) for i in range(_EACH)}, lambda index: None)
    method.round.fill_(0)
    (folder / "iter_0").mkdir()
    rng = np.random.default_rng(1)
    for i in range(_EACH):
        labels = rng.choice([*range(_CLASSES), 255], (_CROP, _CROP)).astype(np.uint8)
        Image.fromarray(labels).save(folder / "iter_0" / f"{i}.png")


def _sides(method: str, memory: bool) -> tuple[Work, Work]:
    import torch

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() and not memory else "cpu"
    form, options = _METHODS[method]
    ours = _iteration(method, form, options, ("source", "target"), device)
    return ours, _iteration("SourceOnly", form, {}, ("source",), device)


def _joint_and_apart() -> tuple[Work, Work]:
    """AdaptSegNet: all losses in one backward, and as the release: source, target and discriminators one by one."""
    import torch

    torch.set_num_threads(1)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = uda_model("AdaptSeg", *_METHODS["AdaptSeg"]).to(device).train()
    data = model.data_preprocessor(_batch(("source", "target")), True)

    def backward(apart: bool) -> None:
        losses = {key: value for key, value in model.loss(**data).items() if "loss" in key}
        parts = list(losses.values()) if apart else [sum(losses.values())]
        for i, part in enumerate(parts):
            part.backward(retain_graph=i + 1 < len(parts))
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        model.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    gradients: list[list[Any]] = []
    for apart in (False, True):
        backward(apart)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    gradients.clear()

    def run(apart: bool) -> None:
        backward(apart)
        gradients.clear()

    return partial(run, False), partial(run, True)


_ABOUT = "an iteration of {} (2 + 2 crops of 128, small DeepLabV2) against source only (2 crops)"
UDA = {"uda_step": Entry("AdaptSegNet's losses in one backward against one for each of them", _joint_and_apart)}
for _name in _METHODS:
    _key = _name.lower().removesuffix("adaptation")
    UDA[f"uda_{_key}"] = Entry(_ABOUT.format(_name), partial(_sides, _name, False))
    UDA[f"uda_{_key}_memory"] = Entry(
        f"peak memory of {_ABOUT.format(_name)}", partial(_sides, _name, True), memory=True
    )
