"""``sep_step``, ``sep_memory``: one SEP training step, one pass for all sets against the release's passes for each.

Both take a small UPerNet with three heads through forward, loss and backward on 12 crops of 224 (2, 2 and 8 of the
sets).  The reference follows the release: mmseg's head, the shared part runs three times, features are brought to full
resolution before dropout and the 1x1 classifier, all in float32.  On a GPU ours runs under bfloat16 autocast, as
`tools/train.py --amp` does.  Memory is that of the process, in float32 on the CPU.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmarks.entry import Entry, Work

_HEADS = {"sota": 18, "sior": 20, "fast": 37}
_COUNTS = {"sota": 2, "sior": 2, "fast": 8}
_CROP = 224
_DROPOUT = 0.1


def _model(head: str, full: bool = False) -> Any:
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    init_default_scope("mmseg")
    norm = dict(type="BN")
    channels, depth, widths = (64, 50, [256, 512, 1024, 2048]) if full else (16, 18, [16, 32, 64, 128])
    return MODELS.build(
        ConfigDict(
            type="MultiHeadSegmentor",
            heads=_HEADS,
            backbone=dict(
                type="ResNet",
                depth=depth,
                stem_channels=channels,
                base_channels=channels,
                style="pytorch",
                norm_cfg=norm,
            ),
            decode_head=dict(
                type=head,
                in_channels=widths,
                in_index=[0, 1, 2, 3],
                channels=512 if full else 128,
                dropout_ratio=_DROPOUT,
                norm_cfg=norm,
                align_corners=False,
            ),
        )
    )


def _plain_step(model: Any, inputs: Any, targets: dict[str, Any]) -> Any:
    """Sum of the sets' losses, each from a pass of its own with the classifier at full resolution."""
    from torch.nn import functional

    losses, first = [], 0
    for name, target in targets.items():
        part = inputs[first : first + len(target)]
        features = model.decode_head._forward_feature(model.extract_feat(part))
        features = functional.interpolate(features, scale_factor=4, mode="bilinear", align_corners=False)
        features = functional.dropout2d(features, _DROPOUT, model.training)
        losses.append(functional.cross_entropy(model.heads[name](features), target, ignore_index=255))
        first += len(target)
    return sum(losses)


def _setup() -> tuple[Work, Work]:
    import torch

    ours, half, reference = sep_works("cuda" if torch.cuda.is_available() else "cpu")
    return (half if torch.cuda.is_available() else ours), reference


def _setup_on_cpu() -> tuple[Work, Work]:
    ours, _, reference = sep_works("cpu")
    return ours, reference


def sep_works(device: str, crop: int = _CROP, full: bool = False, compiled: bool = False) -> tuple[Work, Work, Work]:
    """A step of ours in float32, of ours in bfloat16, and of the release.

    Args:
        device: ``cpu`` or ``cuda``.
        crop: Side of the crops in pixels.
        full: A ResNet-50 with 512 channels behind it, as the configs have it.
        compiled: Compile the backbone of ours.
    """
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    torch.set_num_threads(1)
    torch.manual_seed(0)
    model, plain = (_model(head, full).to(device) for head in ("LowResUPerHead", "UPerHead"))
    plain.load_state_dict(model.state_dict())
    inputs = torch.randn(sum(_COUNTS.values()), 3, crop, crop, device=device)
    targets = {n: torch.randint(0, _HEADS[n], (k, crop, crop), device=device) for n, k in _COUNTS.items()}
    samples = []
    for name, target in targets.items():
        target[torch.rand(target.shape, device=device) < 0.6] = 255
        for one in target:
            samples.append(SegDataSample(metainfo=dict(dataset_name=name)))
            samples[-1].gt_sem_seg = PixelData(data=one[None])

    def our_loss() -> Any:
        return sum(value for key, value in model.loss(inputs, samples).items() if key.endswith("loss"))

    def step(own: Any, loss: Any) -> None:
        loss.backward()
        own.zero_grad()
        if device == "cuda":
            torch.cuda.synchronize()

    def ours(half: bool) -> None:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
            loss = our_loss()
        step(model, loss)

    model.eval(), plain.eval()  # without batch statistics both are the same sum
    with torch.no_grad():
        torch.testing.assert_close(our_loss(), _plain_step(plain, inputs, targets), rtol=1e-3, atol=1e-3)
    model.train(), plain.train()
    if compiled:
        model.backbone.compile()
    return partial(ours, False), partial(ours, True), lambda: step(plain, _plain_step(plain, inputs, targets))


_ABOUT = (
    "one SEP step (12 crops of 224, three sets) in one pass against a float32 pass per set with full-size classifiers"
)
SEP_STEP = Entry(_ABOUT, _setup)
SEP_MEMORY = Entry(f"peak memory of {_ABOUT}", _setup_on_cpu, memory=True)
