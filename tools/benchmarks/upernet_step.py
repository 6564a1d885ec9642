"""``upernet_step``, ``upernet_view``, ``upernet_memory``: UPerNet against mmseg's, which upsamples before it convolves.

The models are the same but for the class of the head: ResNet-50, 512 channels, six classes, one crop of 512 x 512, with
the same weights.  A step is forward, loss and backward in float32; a view is a forward pass without gradients.
"""

from __future__ import annotations

from typing import Any

from benchmarks.entry import Entry, Work

_SIDE = 512
_CLASSES = 6


def model(head: str) -> Any:
    """A UPerNet of the configs with a head of the given type, without batch statistics."""
    import torch
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    init_default_scope("mmseg")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    norm = dict(type="BN")
    config = ConfigDict(
        type="EncoderDecoder",
        backbone=dict(type="ResNetV1c", depth=50, norm_cfg=norm),
        decode_head=dict(
            type=head,
            in_channels=[256, 512, 1024, 2048],
            in_index=[0, 1, 2, 3],
            channels=512,
            num_classes=_CLASSES,
            dropout_ratio=0.0,
            norm_cfg=norm,
            align_corners=False,
        ),
    )
    return MODELS.build(config)


def _models() -> tuple[Any, Any]:
    import torch

    ours, stock = model("LowResUPerHead"), model("UPerHead")
    ours.load_state_dict(stock.state_dict())
    image = torch.randn(1, 3, 128, 128)
    with torch.no_grad():
        own, other = (each.eval().encode_decode(image, [dict(img_shape=(128, 128))]) for each in (ours, stock))
    torch.testing.assert_close(own, other, rtol=1e-3, atol=1e-4)
    return ours, stock


def _step() -> tuple[Work, Work]:
    return upernet_works("cpu")


def upernet_works(device: str, side: int = _SIDE, count: int = 1) -> tuple[Work, Work]:
    """A training step of ours and of mmseg's on ``count`` crops of ``side`` pixels."""
    import torch
    from torch.nn import functional

    shape = (side, side)
    image = torch.randn(count, 3, *shape, device=device)
    target = torch.randint(0, _CLASSES, (count, *shape), device=device)

    def work(own: Any) -> Work:
        own.to(device).train()
        for module in own.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()  # one image has no batch statistics at pool scale 1

        def run() -> None:
            logits = own.decode_head(own.extract_feat(image))
            large = functional.interpolate(logits, size=target.shape[1:], mode="bilinear", align_corners=False)
            functional.cross_entropy(large, target).backward()
            own.zero_grad()

        return run

    ours, stock = _models()
    return work(ours), work(stock)


def _view(half: bool) -> tuple[Work, Work]:
    import torch

    image = torch.randn(1, 3, _SIDE, _SIDE)

    def work(own: Any) -> Work:
        def run() -> None:
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=half):
                own.decode_head(own.extract_feat(image))

        return run

    ours, stock = _models()
    return work(ours), work(stock)


def _view_float32() -> tuple[Work, Work]:
    return _view(half=False)


def _view_bfloat16() -> tuple[Work, Work]:
    return _view(half=True)


UPERNET = {
    "upernet_memory": Entry("peak memory of a training step of UPerNet ResNet-50 against mmseg's", _step, memory=True),
    "upernet_step": Entry("a training step of UPerNet ResNet-50, one crop of 512, against mmseg's", _step),
    "upernet_view": Entry("UPerNet ResNet-50 on one image of 512 against mmseg's, float32", _view_float32),
    "upernet_view_bf16": Entry("UPerNet ResNet-50 on one image of 512 against mmseg's, bfloat16", _view_bfloat16),
}
