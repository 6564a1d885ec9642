"""SED's release through the converter: each of its keys has its place, and a model gives the numbers of its file."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_pretrained
from rsseg.engine.weights import convert_state, convert_weights

pytestmark = pytest.mark.usefixtures("mmseg_scope")

CLIP, HEAD = "sem_seg_head.predictor.clip_model.", "sem_seg_head.predictor.transformer."


def both(name, *shape, of=None):
    """Shapes of a layer: weight, and bias of as many as the first axis has, or as ``of`` says."""
    return {f"{name}.weight": shape, f"{name}.bias": (of or shape[0],)}


def trunk(depths, dims):
    out = both("stem.0", dims[0], 3, 4, 4) | both("stem.1", dims[0]) | both("head.norm", dims[3])
    for i, (depth, dim) in enumerate(zip(depths, dims, strict=True)):
        if i:
            out |= both(f"stages.{i}.downsample.0", dims[i - 1]) | both(
                f"stages.{i}.downsample.1", dim, dims[i - 1], 2, 2
            )
        for block in (f"stages.{i}.blocks.{number}" for number in range(depth)):
            out |= {f"{block}.gamma": (dim,)} | both(f"{block}.conv_dw", dim, 1, 7, 7) | both(f"{block}.norm", dim)
            out |= both(f"{block}.mlp.fc1", 4 * dim, dim) | both(f"{block}.mlp.fc2", dim, 4 * dim)
    return {f"{CLIP}visual.trunk.{key}": shape for key, shape in out.items()}


def texts(width, words, embed):
    out = {
        "positional_embedding": (77, width),
        "text_projection": (width, embed),
        "logit_scale": (),
        "token_embedding.weight": (words, width),
        **both("ln_final", width),
    }
    for block in (f"transformer.resblocks.{i}" for i in range(12)):
        out |= both(f"{block}.ln_1", width) | both(f"{block}.ln_2", width)
        out |= {f"{block}.attn.in_proj_weight": (3 * width, width), f"{block}.attn.in_proj_bias": (3 * width,)}
        out |= both(f"{block}.attn.out_proj", width, width)
        out |= both(f"{block}.mlp.c_fc", 4 * width, width) | both(f"{block}.mlp.c_proj", width, 4 * width)
    return {CLIP + key: shape for key, shape in out.items()}


def decoder(dims):
    out = both("conv1", 128, 80, 7, 7)
    widths, guidance = (128, 64, 32, 16), (80, 32, 16, 8)
    for i in range(3):
        before, after, own = widths[i], widths[i + 1], f"decoder{i + 1}"
        guide = guidance[i + 1]
        out |= both(f"decoder_guidance_projection.{i}.0", guide, dims[2 - i], 3, 3)
        out |= both(f"decoder_corr_guidance_projection.{i}.0", guidance[i], guide, 2, 2, of=guide)
        out |= both(f"{own}.up", before, before - guide, 2, 2, of=before - guide)
        out |= {f"{own}.conv.double_conv.0.weight": (after, before + guide, 3, 3)}
        out |= {f"{own}.conv.double_conv.3.weight": (after, after, 3, 3)}
        out |= both(f"{own}.conv.double_conv.1", after) | both(f"{own}.conv.double_conv.4", after)
        out |= {f"{own}.cnext.gamma": (before,)} | both(f"{own}.cnext.dwconv", before, 1, 9, 9)
        out |= both(f"{own}.cnext.norm", before)
        out |= both(f"{own}.cnext.pwconv1", 4 * before, before) | both(f"{own}.cnext.pwconv2", before, 4 * before)
        for part in "qkv":
            out |= both(f"{own}.attention.attention.{part}", before, before)
        out |= both(f"{own}.attention.MLP.0", 4 * before, before) | both(f"{own}.attention.MLP.2", before, 4 * before)
        out |= both(f"{own}.attention.norm1", before) | both(f"{own}.attention.norm2", before)
        out |= both(f"head{i}", 1, before, 3, 3)
    out |= both("head", 1, 16, 3, 3)
    return {HEAD + key: shape for key, shape in out.items()}


def release(depths=(3, 3, 27, 3), dims=(128, 256, 512, 1024), width=640, words=49408, embed=640):
    """Names and shapes of SED's ConvNeXt-B checkpoint; the sizes of the towers can be chosen."""
    parts = trunk(depths, dims) | texts(width, words, embed) | decoder(dims)
    return parts | {f"{CLIP}visual.head.proj.weight": (embed, dims[3])}


def test_all_608_keys_of_the_published_model():
    shapes = release()
    with torch.device("meta"):
        state, report = convert_state({key: torch.empty(shape) for key, shape in shapes.items()})
    assert len(shapes) == 608 and report.ok and report.part == "model" and report.layout == "SED, official names"
    assert len(state) == len(report.loaded) == 608 + 2 * 12  # of each block's fused projection become three
    assert sum(value.numel() for value in state.values()) == 180_761_741
    assert not (report.skipped or report.fresh or report.resized or report.missing or report.unexpected)
    assert report.model["clip"]["visual"] == dict(depths=(3, 3, 27, 3), dims=(128, 256, 512, 1024))


def test_a_file_becomes_a_model(tmp_path):
    torch.manual_seed(0)
    shapes = release(depths=(1, 1, 2, 1), dims=(8, 16, 24, 32), width=64, words=60, embed=16)
    weights = {key: torch.randn(shape) for key, shape in shapes.items()}
    torch.save(dict(model=weights, iteration=79999), tmp_path / "model_final.pth")
    report = convert_weights(tmp_path / "model_final.pth", tmp_path / "sed.pth")
    model = MODELS.build(report.model)
    load_pretrained(model, tmp_path / "sed.pth")
    own, block = model.state_dict(), "transformer.resblocks.7.attn."
    assert sorted(own) == sorted(report.loaded)
    for ours, theirs in {
        "clip.visual.trunk.stages.2.blocks.1.gamma": f"{CLIP}visual.trunk.stages.2.blocks.1.gamma",
        "clip.visual.head.proj.weight": f"{CLIP}visual.head.proj.weight",
        "decoder.decoder3.attention.attention.k.bias": f"{HEAD}decoder3.attention.attention.k.bias",
        "decoder.head.weight": f"{HEAD}head.weight",
    }.items():
        assert torch.equal(own[ours], weights[theirs]), ours
    assert torch.equal(own[f"clip.{block}k_proj_weight"], weights[f"{CLIP}{block}in_proj_weight"][64:128])


def test_what_lacks_is_named():
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in release().items()}
    del state[f"{HEAD}head2.bias"]
    assert convert_state(state)[1].missing == ["decoder.head2.bias"]
