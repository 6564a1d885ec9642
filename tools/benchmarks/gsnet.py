"""``gsnet_*``: GSNet's fast forms against its plain ones (``gsnet_plain.py``), with the same random weights.

Full size: CLIP ViT-B/16, DINO ViT-B/8, views of 384 x 384.  Texts are embedded beforehand on both sides.
``gsnet_bf16`` and ``gsnet_step`` run on a GPU where there is one; images/s are the images of a run over its seconds.
"""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

from benchmarks.entry import Entry, Work

_EMBED = 512


def _texts(classes: int) -> Any:
    import torch
    from torch.nn import functional

    return functional.normalize(torch.randn(classes, _EMBED), dim=-1)


def _check(ours: Any, reference: Any) -> None:
    import torch

    torch.testing.assert_close(ours, reference, rtol=1e-4, atol=1e-4)


def _decoder(classes: int) -> tuple[Work, Work]:
    import torch

    from benchmarks import gsnet_plain
    from rsseg.models.gsnet import Aggregator, GSNet, QueryGuidedFusion, ResidualDecoder
    from rsseg.models.gsnet.segmentor import Streams

    torch.set_num_threads(1)
    torch.manual_seed(0)
    parts: Any = SimpleNamespace(fusion=QueryGuidedFusion(), aggregator=Aggregator(), decoder=ResidualDecoder())
    for part in vars(parts).values():
        part.eval()
    maps = [[torch.randn(1, 256, 48, 48), torch.randn(1, 128, 96, 96)] for _ in range(2)]
    streams, text = Streams(torch.randn(1, _EMBED, 24, 24), torch.randn(1, _EMBED, 24, 24), *maps), _texts(classes)

    def ours() -> Any:
        with torch.inference_mode():
            return GSNet.decode(parts, streams, text)

    def reference() -> Any:
        with torch.inference_mode():
            return gsnet_plain.classes(parts, streams, text)

    _check(ours(), reference())
    return ours, reference


def gsnet_model(classes: int) -> Any:
    """GSNet at full size whose texts are random."""
    import torch
    from mmengine.registry import init_default_scope
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    init_default_scope("mmseg")
    torch.manual_seed(0)
    parts = dict(fusion="QueryGuidedFusion", aggregator="Aggregator", decoder="ResidualDecoder")
    towers = dict(clip=dict(type="CLIP"), dino=dict(type="DINOViT"))
    slots = {name: dict(type=kind) for name, kind in parts.items()}
    names = [f"class {i}" for i in range(classes)]
    model = MODELS.build(dict(type="GSNet", **towers, **slots, vocabulary=names)).eval()
    text = _texts(classes)
    model.embed_text = lambda: text
    return model


def _view() -> tuple[Work, Work]:
    import torch

    from benchmarks import gsnet_plain

    torch.set_num_threads(1)
    model, image = gsnet_model(40), torch.randn(1, 3, 384, 384)

    def ours() -> Any:
        with torch.inference_mode():
            return model(image)

    def reference() -> Any:
        with torch.inference_mode():
            return gsnet_plain.view(model, image, model.embed_text())

    _check(ours(), reference())
    return ours, reference


def _words() -> tuple[Work, Work]:
    import itertools

    import torch

    from rsseg.models.remembered import RememberedFeatures

    torch.set_num_threads(1)
    model, image, number = gsnet_model(5), torch.randn(1, 3, 384, 384), itertools.count()
    del model.embed_text
    remembered = RememberedFeatures(model.extract_feat, 1 << 30)
    remembered.look_at("the view")

    def run(encode: Any) -> Any:
        model.extract_feat = encode
        model.set_vocabulary([f"thing {next(number)}" for _ in range(5)])  # texts that were not seen before
        with torch.inference_mode():
            return model(image)

    return partial(run, remembered), partial(run, remembered.encode)


def _five_views() -> tuple[Work, Work]:
    import torch

    from benchmarks import gsnet_plain

    torch.set_num_threads(1)
    model, image = gsnet_model(40), torch.randn(1, 3, 640, 640)

    def ours() -> Any:
        with torch.inference_mode():
            return model.inference(image)

    def reference() -> Any:
        with torch.inference_mode():
            return gsnet_plain.five_views(model, image, model.embed_text())

    return ours, reference


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _finish() -> None:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _on_device(images: int) -> tuple[Any, Any]:
    """The model and a batch of views, on the GPU where there is one."""
    import torch

    torch.set_num_threads(1)
    model = gsnet_model(40)
    text = model.embed_text().to(_device())
    model.embed_text = lambda: text
    side = model.clip.resolution
    return model.to(_device()), torch.randn(images, 3, side, side, device=_device())


def _half() -> tuple[Work, Work]:
    import torch

    model, images = _on_device(4)

    def run(half: bool) -> None:
        with torch.inference_mode(), torch.autocast(_device(), torch.bfloat16, enabled=half):
            model(images)
        _finish()

    return partial(run, True), partial(run, False)


def _step() -> tuple[Work, Work]:
    import torch
    from torch.nn import functional

    from benchmarks import gsnet_plain
    from rsseg.models.gsnet import vocabulary_loss

    model, images = _on_device(2)
    model.train()
    target = torch.randint(0, 40, (len(images), *images.shape[2:]), device=_device())

    def our_loss() -> Any:
        logits = functional.interpolate(model(images), images.shape[2:], mode="bilinear")
        return vocabulary_loss(logits, target)

    def plain_loss() -> Any:
        logits = gsnet_plain.view(model, images, model.embed_text())
        logits = functional.interpolate(logits, images.shape[2:], mode="bilinear")
        hot = functional.one_hot(target, 40).permute(0, 3, 1, 2).float()
        return functional.binary_cross_entropy_with_logits(logits, hot)

    def step(loss: Any) -> Any:
        value = loss()
        value.backward()
        model.zero_grad()
        _finish()
        return value.detach()

    _check(step(our_loss), step(plain_loss))
    return partial(step, our_loss), partial(step, plain_loss)


_DECODER = "GSNet from the two streams to logits at 96 x 96, {} classes, against the plain forms; equal to 1e-4"
GSNET: dict[str, Entry] = {
    "gsnet_decoder_5": Entry(_DECODER.format(5), partial(_decoder, 5)),
    "gsnet_decoder_40": Entry(_DECODER.format(40), partial(_decoder, 40)),
    "gsnet_view": Entry("GSNet on a view of 384 x 384, 40 classes, against the plain forms; equal to 1e-4", _view),
    "gsnet_words": Entry(
        "GSNet asked for five other words in a view of 384 x 384 whose features are kept, against a view that is new",
        _words,
    ),
    "gsnet_memory": Entry(
        "peak memory of GSNet's five views of an image in one batch, 40 classes, against the plain forms",
        _five_views,
        memory=True,
    ),
    "gsnet_bf16": Entry("GSNet on four views, 40 classes, in bfloat16 autocast against float32, both ours", _half),
    "gsnet_step": Entry("forward, loss and backward of two views, 40 classes, without the texts, against plain", _step),
}
