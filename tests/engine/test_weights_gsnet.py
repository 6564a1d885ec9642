"""GSNet's release and DINO's files: every key has its place, and a model gives the numbers of its file."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.engine import load_file, load_pretrained
from rsseg.engine.weights import convert_state, convert_weights, name_layout

pytestmark = pytest.mark.usefixtures("mmseg_scope")

PREDICTOR = "sem_seg_head.predictor."
HEAD = f"{PREDICTOR}transformer."


def both(name, rows, *columns):
    """Shapes of a layer: weight and bias."""
    return {f"{name}.weight": (rows, *columns), f"{name}.bias": (rows,)}


def clip_tower(prefix, width, split=True):
    out = {}
    for i in range(12):
        block = f"{prefix}transformer.resblocks.{i}."
        out |= {f"{block}attn.{part}_proj_weight": (width, width) for part in "qkv"}
        out |= {f"{block}attn.in_proj_bias": (3 * width,)} | both(f"{block}attn.out_proj", width, width)
        out |= both(f"{block}ln_1", width) | both(f"{block}ln_2", width)
        out |= both(f"{block}mlp.c_fc", 4 * width, width) | both(f"{block}mlp.c_proj", width, 4 * width)
    return out


def clip(seen, read, embed, words, patch, places):
    prefix = f"{PREDICTOR}clip_model."
    own = {
        "positional_embedding": (77, read),
        "text_projection": (read, embed),
        "logit_scale": (),
        "token_embedding.weight": (words, read),
        "visual.class_embedding": (seen,),
        "visual.positional_embedding": (places**2 + 1, seen),
        "visual.proj": (seen, embed),
        "visual.conv1.weight": (seen, 3, patch, patch),
        **both("ln_final", read),
        **both("visual.ln_pre", seen),
        **both("visual.ln_post", seen),
        **clip_tower("", read),
        **clip_tower("visual.", seen),
    }
    return {prefix + key: shape for key, shape in own.items()}


def dino(width, places, prefix="dino_model."):
    own = {"cls_token": (1, 1, width), "pos_embed": (1, places**2 + 1, width)} | both("norm", width)
    own |= both("patch_embed.proj", width, 3, 8, 8)
    for i in range(12):
        block = f"blocks.{i}."
        own |= both(f"{block}norm1", width) | both(f"{block}norm2", width)
        own |= both(f"{block}attn.qkv", 3 * width, width) | both(f"{block}attn.proj", width, width)
        own |= both(f"{block}mlp.fc1", 4 * width, width) | both(f"{block}mlp.fc2", width, 4 * width)
    return {prefix + key: shape for key, shape in own.items()}


def aggregator_layer(prefix):
    out = both(f"{prefix}swin_block.guidance_norm", 128)
    for block in ("swin_block.block_1", "swin_block.block_2"):
        own = f"{prefix}{block}."
        out |= both(f"{own}norm1", 128) | both(f"{own}norm2", 128) | both(f"{own}attn.proj", 128, 128)
        out |= both(f"{own}mlp.fc1", 512, 128) | both(f"{own}mlp.fc2", 128, 512)
    for own in ("swin_block.block_1.attn", "swin_block.block_2.attn", "attention.attention"):
        out |= (
            both(f"{prefix}{own}.q", 128, 256) | both(f"{prefix}{own}.k", 128, 256) | both(f"{prefix}{own}.v", 128, 128)
        )
    out |= {f"{prefix}swin_block.block_2.attn_mask": (4, 144, 144)}
    out |= {f"{prefix}attention.padding_{what}": (1, 1, 128) for what in ("tokens", "guidance")}
    out |= both(f"{prefix}attention.MLP.0", 512, 128) | both(f"{prefix}attention.MLP.2", 128, 512)
    return out | both(f"{prefix}attention.norm1", 128) | both(f"{prefix}attention.norm2", 128)


def decoder(embed, seen, special):
    out = both(f"{HEAD}conv1", 128, 1, 7, 7) | both(f"{HEAD}conv2", 128, 1, 7, 7)
    out |= both(f"{HEAD}fusion_corr", 128, 256, 7, 7)
    out |= both(f"{HEAD}guidance_projection.0", 128, embed, 3, 3) | both(
        f"{HEAD}text_guidance_projection.0", 128, embed
    )
    for stream in ("CLIP", "DINO"):
        out |= both(f"{HEAD}{stream}_decoder_guidance_projection.0.0", 32, 256, 3, 3)
        out |= both(f"{HEAD}{stream}_decoder_guidance_projection.1.0", 16, 128, 3, 3)
    for stage, before, up, joined, after in ((1, 128, 96, 160, 64), (2, 64, 48, 80, 32)):
        own = f"{HEAD}Fusiondecoder{stage}."
        out |= {f"{own}up.weight": (before, up, 2, 2), f"{own}up.bias": (up,)}
        out |= {f"{own}conv.double_conv.0.weight": (after, joined, 3, 3)} | both(f"{own}conv.double_conv.1", after)
        out |= {f"{own}conv.double_conv.3.weight": (after, after, 3, 3)} | both(f"{own}conv.double_conv.4", after)
    out |= both(f"{HEAD}head", 1, 32, 3, 3)
    out |= {"upsample1.weight": (seen, 256, 2, 2), "upsample1.bias": (256,)}
    out |= {"upsample2.weight": (seen, 128, 4, 4), "upsample2.bias": (128,)}
    out |= {"dino_decod_proj2.weight": (special, 128, 2, 2), "dino_decod_proj2.bias": (128,)}
    return out | both("dino_decod_proj1", 256, special, 1, 1) | both("dino_down_sample", embed, special, 2, 2)


def release(seen=768, read=512, embed=512, words=49408, places=14, special=768, grid=28):
    """Names and shapes of a GSNet checkpoint as published; the widths of the towers can be chosen."""
    layers = aggregator_layer(f"{HEAD}layers.0.") | aggregator_layer(f"{HEAD}layers.1.")
    parts = clip(seen, read, embed, words, 16, places) | dino(special, grid) | decoder(embed, seen, special)
    return parts | layers


def catseg(**widths):
    """Names and shapes of CAT-Seg's checkpoints: one stream less, and other names in the decoder."""
    of_dino = ("dino_", f"{HEAD}conv2", f"{HEAD}fusion_corr", f"{HEAD}DINO")
    shapes = {key: shape for key, shape in release(**widths).items() if not key.startswith(of_dino)}
    shapes[f"{HEAD}Fusiondecoder1.conv.double_conv.0.weight"] = (64, 128, 3, 3)
    shapes[f"{HEAD}Fusiondecoder2.conv.double_conv.0.weight"] = (32, 64, 3, 3)
    return {key.replace("Fusiondecoder", "decoder").replace("CLIP_", ""): shape for key, shape in shapes.items()}


SMALL = dict(seen=64, read=64, embed=32, words=60, places=2, special=64, grid=4)


def values(shapes):
    torch.manual_seed(0)
    return {key: torch.randn(shape) for key, shape in shapes.items()}


def test_all_648_keys_of_the_published_model():
    shapes = release()
    with torch.device("meta"):
        state, report = convert_state({key: torch.empty(shape) for key, shape in shapes.items()})
    assert len(shapes) == len(state) == len(report.loaded) == 648 and report.ok and report.part == "model"
    assert sum(value.numel() for key, value in state.items() if "attn_mask" not in key) == 243_988_242
    assert not (report.skipped or report.fresh or report.resized)
    assert "for a model (GSNet)" in str(report) and "  model              dict(type='GSNet'" in str(report)
    prefixes = {key.split(".")[0] for key in state}
    assert prefixes == {"clip", "dino", "encoder", "fusion", "aggregator", "decoder"}


def test_a_checkpoint_of_detectron2_becomes_a_model(tmp_path):
    """Beside the weights are the optimizer and the counter; a buffer that detectron2 keeps for pictures is left out."""
    weights = values(release(**SMALL))
    content = dict(model=weights | {"pixel_mean": torch.ones(3, 1, 1)}, optimizer=dict(state={}), iteration=29999)
    torch.save(content, tmp_path / "model_0029999.pth")
    report = convert_weights(tmp_path / "model_0029999.pth", tmp_path / "gsnet.pth")
    assert len(report.loaded) == 648 and report.skipped == {"normalisation of images": ["pixel_mean"]}
    model = MODELS.build(report.model)
    load_pretrained(model, tmp_path / "gsnet.pth")
    own, block = model.state_dict(), "transformer.resblocks.7.attn.v_proj_weight"
    for ours, theirs in {
        f"clip.visual.{block}": f"{PREDICTOR}clip_model.visual.{block}",
        f"clip.{block}": f"{PREDICTOR}clip_model.{block}",
        "dino.blocks.3.attn.qkv.weight": "dino_model.blocks.3.attn.qkv.weight",
        "encoder.dino_decod_proj2.bias": "dino_decod_proj2.bias",
        "encoder.upsample1.weight": "upsample1.weight",
        "fusion.conv2.bias": f"{HEAD}conv2.bias",
        "aggregator.layers.1.attention.padding_tokens": f"{HEAD}layers.1.attention.padding_tokens",
        "aggregator.text_guidance_projection.0.bias": f"{HEAD}text_guidance_projection.0.bias",
        "decoder.CLIP_decoder_guidance_projection.1.0.weight": f"{HEAD}CLIP_decoder_guidance_projection.1.0.weight",
        "decoder.Fusiondecoder2.conv.double_conv.4.bias": f"{HEAD}Fusiondecoder2.conv.double_conv.4.bias",
        "decoder.head.weight": f"{HEAD}head.weight",
    }.items():
        assert torch.equal(own[ours], weights[theirs]), ours
    assert sorted(own) == sorted(report.loaded)


def test_catseg_is_gsnet_with_one_stream():
    with torch.device("meta"):
        state, report = convert_state({key: torch.empty(shape) for key, shape in catseg().items()})
    assert len(state) == len(report.loaded) == 484 and report.ok and report.layout == "CAT-Seg, official names"
    assert sum(value.numel() for key, value in state.items() if "attn_mask" not in key) == 154_289_378
    assert {key.split(".")[0] for key in state} == {"clip", "encoder", "fusion", "aggregator", "decoder"}
    assert not (report.skipped or report.fresh or report.resized)
    assert report.model["clip"]["resolution"] == 384 and report.model["decoder"]["guidance"] == ("clip",)
    weights = values(catseg(**SMALL))
    state, _ = convert_state(weights)
    for ours, theirs in {
        "decoder.Fusiondecoder2.up.bias": f"{HEAD}decoder2.up.bias",
        "decoder.CLIP_decoder_guidance_projection.0.0.bias": f"{HEAD}decoder_guidance_projection.0.0.bias",
        "fusion.conv1.weight": f"{HEAD}conv1.weight",
    }.items():
        assert torch.equal(state[ours], weights[theirs]), ours


def test_mistakes_are_named(tmp_path):
    weights = values(release(**SMALL))
    lost, odd = f"{HEAD}head.bias", f"{HEAD}odd.weight"
    torch.save(dict(model={k: v for k, v in weights.items() if k != lost} | {odd: torch.ones(1)}), tmp_path / "in.pth")
    with pytest.raises(ValueError, match=r"(?s)missing +1: decoder.head.bias.*unexpected +1: sem_seg_head.*odd.weight"):
        convert_weights(tmp_path / "in.pth", tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()
    for gone in (f"{HEAD}layers.1.", f"{PREDICTOR}clip_model.transformer.resblocks.11.", "dino_model.blocks.11."):
        rest = {key: value for key, value in weights.items() if not key.startswith(gone)}
        torch.save(dict(model=rest), tmp_path / "in.pth")
        with pytest.raises(ValueError, match=rf"missing +{len(weights) - len(rest)}: "):
            convert_weights(tmp_path / "in.pth", tmp_path / "out.pth")
    with pytest.raises(ValueError, match="looks like GSNet, official names, but a weight has too few axes"):
        convert_state(weights | {"dino_model.pos_embed": torch.ones(17)})
    with pytest.raises(ValueError, match="looks like GSNet, official names, but a weight has too few axes"):
        convert_state(weights | {f"{PREDICTOR}clip_model.visual.proj": torch.ones(17)})
    del weights["dino_down_sample.weight"]
    with pytest.raises(ValueError, match=r"looks like GSNet, official names, but has no 'encoder.dino_down_sample"):
        convert_state(weights)


def teacher(prefix):
    return values(dino(64, 4, f"{prefix}backbone.")) | {f"{prefix}head.last_layer.weight_v": torch.ones(5, 3)}


@pytest.mark.parametrize("prefix", ["", "module."])
def test_dino_s_file_gives_its_teacher(tmp_path, prefix):
    student = {key: value + 1 for key, value in teacher("module.").items()}
    content = dict(student=student, teacher=teacher(prefix), epoch=99, dino_loss=dict(center=torch.ones(1, 5)))
    torch.save(content, tmp_path / "checkpoint.pth")
    report = convert_weights(tmp_path / "checkpoint.pth", tmp_path / "dino.pth")
    assert report.layout == "DINO, official names" and len(report.loaded) == 150 and report.part == "backbone"
    assert report.skipped == {"classifier or head of pre-training": ["head.last_layer.weight_v"]}
    assert report.model == dict(type="DINOViT", width=64, layers=12, heads=1, patch=8, grid=4, taps=(3, 7, 11))
    state = load_file(tmp_path / "dino.pth")["state_dict"]
    expected = {key.removeprefix("backbone."): value for key, value in teacher("").items()}
    assert all(torch.equal(value, expected[key]) for key, value in state.items())
    model = MODELS.build(dict(report.model, weights=str(tmp_path / "dino.pth")))
    model.init_weights()
    assert torch.equal(model.norm.bias, state["norm.bias"])


def test_a_checkpoint_of_our_own_pre_training_gives_its_teacher():
    """And for what only has backbones with patches of 16, DINO's patches of 8 are no ViT."""
    student = {key.replace("teacher.", "student."): value + 1 for key, value in teacher("teacher.").items()}
    file = teacher("teacher.") | student | {"centre": torch.zeros(5), "data_preprocessor.mean": torch.ones(3)}
    state, report = convert_state(file)
    assert {reason: len(keys) for reason, keys in report.skipped.items()} == {
        "student of self-distillation": 151,
        "classifier or head of pre-training": 1,
        "centre of self-distillation": 1,
        "normalisation of images": 1,
    }
    assert len(state) == 150 and torch.equal(state["norm.bias"], file["teacher.backbone.norm.bias"])
    assert name_layout(file) == ("teacher.backbone.", "DINO, official names")
    with pytest.raises(ValueError, match="DINO, official names weights serve for dino, not for 'vit'"):
        convert_state(file, backbone="vit")
