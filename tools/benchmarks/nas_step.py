"""``nas_step``: a training step of SparseMask's search, against one that scales each of the 90 edges by itself.

Both take the search network (4.17 M parameters, 8 classes) through forward, loss and backward on 2 crops of 129.  The
reference follows the release: every edge is scaled to its node's size and then added; ours adds up edges of one size
first.  Losses are compared before anything is measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from unittest import mock

from benchmarks.entry import Entry, Work

_CROP = 129


def _sum_of_scaled(maps: Iterable[Any], size: Any) -> Any:
    """The release's sum: each map is scaled by itself."""
    from torch.nn import functional

    total: Any = 0.0
    for x in maps:
        same = x.shape[2:] == size
        total = total + (x if same else functional.interpolate(x, tuple(size), mode="bilinear", align_corners=True))
    return total


def _setup() -> tuple[Work, Work]:
    import torch
    from mmengine.config import ConfigDict
    from mmengine.registry import init_default_scope
    from mmengine.structures import PixelData
    from mmseg.registry import MODELS
    from mmseg.structures import SegDataSample

    import rsseg.models  # noqa: F401
    from rsseg.models.search import sparsemask
    from rsseg.models.search.sparsemask_backbone import tap_channels

    init_default_scope("mmseg")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    norm = dict(type="BN", momentum=0.0003, requires_grad=False)
    loss = dict(type="CrossEntropyLoss", avg_non_ignore=True)
    head = dict(type="SparseMaskSearchHead", in_channels=tap_channels(), num_classes=8, norm_cfg=norm, loss_decode=loss)
    backbone = dict(type="SparseMaskMobileNet", norm_cfg=norm)
    model = MODELS.build(ConfigDict(type="Segmentor", backbone=backbone, decode_head=head))
    images, samples = torch.randn(2, 3, _CROP, _CROP), []
    for _ in range(2):
        samples.append(SegDataSample(metainfo=dict(img_shape=(_CROP, _CROP))))
        samples[-1].gt_sem_seg = PixelData(data=torch.randint(0, 8, (1, _CROP, _CROP)))

    def step() -> float:
        torch.manual_seed(1)
        losses = model.loss(images, samples)
        total = sum(value for name, value in losses.items() if "loss" in name)
        model.zero_grad()
        total.backward()
        return float(total.detach())

    def reference() -> float:
        with mock.patch.object(sparsemask, "sum_at_size", _sum_of_scaled):
            return step()

    if abs(step() - reference()) > 1e-3:
        raise AssertionError("both ways must give the same loss")
    return step, reference


NAS_STEP = Entry("a step of SparseMask's search on 2 crops of 129, against scaling each edge by itself", _setup)
