"""EBSeg's release through the converter: each of its keys has its place, and a model gives the numbers of its file."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_pretrained
from rsseg.engine.weights import convert_state, convert_weights

pytestmark = pytest.mark.usefixtures("mmseg_scope")

EXTRACTOR, RECOGNISER, TEXTS = "clip_visual_extractor.", "clip_rec_head.", "ov_classifier."
PIXEL, PREDICTOR = "sem_seg_head.pixel_decoder.", "sem_seg_head.predictor."


def both(name, *shape):
    """Shapes of a layer: weight and bias."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[:1]}


def block(own, width, fused):
    names = ("qkv.weight", "qkv.bias", "proj") if fused else ("in_proj_weight", "in_proj_bias", "out_proj")
    out = both(f"{own}.ln_1", width) | both(f"{own}.ln_2", width) | both(f"{own}.attn.{names[2]}", width, width)
    out |= {f"{own}.attn.{names[0]}": (3 * width, width), f"{own}.attn.{names[1]}": (3 * width,)}
    return out | both(f"{own}.mlp.c_fc", 4 * width, width) | both(f"{own}.mlp.c_proj", width, 4 * width)


def clip(seen, read, embed, words, places):
    out = {
        f"{EXTRACTOR}class_embedding": (seen,),
        f"{EXTRACTOR}positional_embedding": (places**2 + 1, seen),
        f"{EXTRACTOR}conv1.weight": (seen, 3, 16, 16),
        f"{TEXTS}positional_embedding": (77, read),
        f"{TEXTS}text_projection": (read, embed),
        f"{TEXTS}logit_scale": (),
        f"{TEXTS}bg_embed": (1, embed),
        f"{TEXTS}attn_mask": (77, 77),
        f"{TEXTS}token_embedding.weight": (words, read),
        **both(f"{EXTRACTOR}ln_pre", seen),
        **both(f"{TEXTS}ln_final", read),
    }
    for part in (EXTRACTOR, RECOGNISER):
        out |= {f"{part}proj": (seen, embed)} | both(f"{part}ln_post", seen)
    for i in range(12):
        own = f"{EXTRACTOR}resblocks.{i}" if i < 9 else f"{RECOGNISER}resblocks.{i - 9}"
        out |= block(own, seen, fused=i >= 2) | block(f"{TEXTS}transformer.resblocks.{i}", read, fused=False)
    return out


def sam(width, grid):
    out = {"backbone.pos_embed": (1, grid, grid, width)} | both("backbone.patch_embed.proj", width, 3, 16, 16)
    for i in range(12):
        own, side = f"backbone.blocks.{i}", grid if i % 3 == 2 else 14
        out |= both(f"{own}.norm1", width) | both(f"{own}.norm2", width)
        out |= {f"{own}.attn.rel_pos_{axis}": (2 * side - 1, 64) for axis in "hw"}
        out |= both(f"{own}.attn.qkv", 3 * width, width) | both(f"{own}.attn.proj", width, width)
        out |= both(f"{own}.mlp.lin1", 4 * width, width) | both(f"{own}.mlp.lin2", width, 4 * width)
    return out


def pixel_decoder(width):
    out = both(f"{PIXEL}mask_features", 256, 256, 1, 1) | {f"{PIXEL}transformer.level_embed": (3, 256)}
    for name, shape in (("adapter_1", (256, width, 1, 1)), ("layer_1", (256, 256, 3, 3))):
        out |= {f"{PIXEL}{name}.weight": shape} | both(f"{PIXEL}{name}.norm", 256)
    for i in range(3):
        out |= both(f"{PIXEL}input_proj.{i}.0", 256, width, 1, 1) | both(f"{PIXEL}input_proj.{i}.1", 256)
    for i in range(6):
        own = f"{PIXEL}transformer.encoder.layers.{i}."
        out |= both(f"{own}self_attn.sampling_offsets", 192, 256) | both(f"{own}self_attn.attention_weights", 96, 256)
        out |= both(f"{own}self_attn.value_proj", 256, 256) | both(f"{own}self_attn.output_proj", 256, 256)
        out |= both(f"{own}linear1", 1024, 256) | both(f"{own}linear2", 256, 1024)
        out |= both(f"{own}norm1", 256) | both(f"{own}norm2", 256)
    return out


def predictor(seen, width, embed):
    out = (
        {f"{PREDICTOR}logit_scale": ()} | both(f"{PREDICTOR}decoder_norm", 256) | both(f"{PREDICTOR}bias_scaling", 1, 1)
    )
    out |= {
        f"{PREDICTOR}{name}.weight": (rows, 256)
        for name, rows in dict(query_feat=100, query_embed=100, level_embed=3).items()
    }
    for i in range(9):
        for name, own in (("self", "self_attn"), ("cross", "multihead_attn")):
            layer = f"{PREDICTOR}transformer_{name}_attention_layers.{i}."
            out |= {f"{layer}{own}.in_proj_weight": (768, 256), f"{layer}{own}.in_proj_bias": (768,)}
            out |= both(f"{layer}{own}.out_proj", 256, 256) | both(f"{layer}norm", 256)
        layer = f"{PREDICTOR}transformer_ffn_layers.{i}."
        out |= both(f"{layer}linear1", 2048, 256) | both(f"{layer}linear2", 256, 2048) | both(f"{layer}norm", 256)
    for name, last in dict(mask_embed=256, mask_embed1=embed, attn_proj=256 * seen // 64).items():
        for i in range(3):
            out |= both(f"{PREDICTOR}{name}.layers.{i}", last if i == 2 else 256, 256)
    out |= both(f"{PREDICTOR}pool_proj.0", 256) | both(f"{PREDICTOR}pool_proj.1", 256, 256)
    for i in range(3):
        own = f"sem_seg_head.clip_fusion_layers.{i}."
        out |= both(f"{own}0", seen) | both(f"{own}1", width, seen, 1, 1)
    return out


def release(seen=768, read=512, embed=512, words=49408, places=14, width=768, grid=64):
    """Names and shapes of EBSeg's base checkpoint; the sizes of the towers can be chosen."""
    parts = clip(seen, read, embed, words, places) | sam(width, grid) | pixel_decoder(width)
    return parts | predictor(seen, width, embed) | {"criterion.empty_weight": (172,)}


def test_all_800_keys_of_the_published_model():
    shapes = release()
    with torch.device("meta"):
        state, report = convert_state({key: torch.empty(shape) for key, shape in shapes.items()})
    assert len(shapes) == 800 and report.ok and report.part == "model" and report.layout == "EBSeg, official names"
    assert not (report.fresh or report.resized or report.missing or report.unexpected)
    assert sum(map(len, report.skipped.values())) == 5  # proj and ln_post are there twice, and two buffers
    assert len(state) == len(report.loaded) == 795 + 2 * 24  # of each block's fused projection become three
    assert sum(value.numel() for value in state.values()) == 261_829_572
    assert report.model["sam"]["taps"] == (2, 5, 8, 11) and report.model["taps"] == (3, 6, 9)


def test_a_file_becomes_a_model(tmp_path):
    torch.manual_seed(0)
    shapes = release(seen=64, read=64, embed=16, words=60, places=2, width=64, grid=16)
    weights = {key: torch.randn(shape) for key, shape in shapes.items()}
    torch.save(dict(model=weights, iteration=119999), tmp_path / "EBSeg_base.pth")
    report = convert_weights(tmp_path / "EBSeg_base.pth", tmp_path / "ebseg.pth")
    model = MODELS.build(report.model)
    load_pretrained(model, tmp_path / "ebseg.pth")
    own, resblock = model.state_dict(), "clip.visual.transformer.resblocks."
    assert sorted(own) == sorted(report.loaded)
    for ours, theirs in {
        f"{resblock}8.ln_2.bias": f"{EXTRACTOR}resblocks.8.ln_2.bias",
        f"{resblock}9.mlp.c_fc.weight": f"{RECOGNISER}resblocks.0.mlp.c_fc.weight",
        f"{resblock}11.attn.in_proj_bias": f"{RECOGNISER}resblocks.2.attn.qkv.bias",
        f"{resblock}3.attn.out_proj.weight": f"{EXTRACTOR}resblocks.3.attn.proj.weight",
        "clip.visual.proj": f"{RECOGNISER}proj",
        "clip.logit_scale": f"{TEXTS}logit_scale",
        "background": f"{TEXTS}bg_embed",
        "sam.blocks.4.mlp.fc2.weight": "backbone.blocks.4.mlp.lin2.weight",
        "proposals.logit_scale": f"{PREDICTOR}logit_scale",
        "proposals.attn_proj.2.bias": f"{PREDICTOR}attn_proj.layers.1.bias",
        "proposals.pixel_decoder.encoder.layers.5.ffn.layers.1.weight": (
            f"{PIXEL}transformer.encoder.layers.5.linear2.weight"
        ),
        "proposals.transformer_decoder.layers.8.cross_attn.attn.in_proj_weight": (
            f"{PREDICTOR}transformer_cross_attention_layers.8.multihead_attn.in_proj_weight"
        ),
        "proposals.transformer_decoder.layers.8.norms.0.weight": (
            f"{PREDICTOR}transformer_cross_attention_layers.8.norm.weight"
        ),
    }.items():
        assert torch.equal(own[ours], weights[theirs]), ours
    for number, theirs in (
        (1, f"{EXTRACTOR}resblocks.1.attn.in_proj_weight"),
        (10, f"{RECOGNISER}resblocks.1.attn.qkv.weight"),
    ):
        assert torch.equal(own[f"{resblock}{number}.attn.k_proj_weight"], weights[theirs][64:128])


def test_what_lacks_is_named():
    with torch.device("meta"):
        state = {key: torch.empty(shape) for key, shape in release().items()}
    del state[f"{PREDICTOR}pool_proj.0.bias"]
    assert convert_state(state)[1].missing == ["proposals.pool_proj.0.bias"]
