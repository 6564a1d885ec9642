"""Layer decay: factors by hand on our backbones, the release's no-op, weight decay by name, and the schedules."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmseg.registry import MODELS
from torch import nn

import rsseg.models  # noqa: F401
from rsseg.engine.layer_decay import depths_of, layer_of

pytestmark = pytest.mark.usefixtures("mmseg_scope")
PLAIN = dict(embed_dims=32, depth=2, num_heads=2, img_size=32)
BACKBONES = {
    "vit": dict(type="ViT", **PLAIN),
    "beit": dict(type="ViT", positions="relative", layer_scale=0.1, **{**PLAIN, "img_size": 48}),
    "rvsa": dict(type="RVSA", embed_dims=32, depth=4, num_heads=2, out_indices=(0, 1, 2, 3)),
    "internimage": dict(type="InternImage", channels=16, depths=(1, 1, 2, 1), groups=(1, 1, 1, 1)),
}


class Model(nn.Module):
    """A backbone and what may stand beside it, with the names of a segmentor's parameters."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = MODELS.build(ConfigDict(backbone))
        self.decode_head = nn.Conv2d(2, 2, 1)
        self.heads = nn.ModuleDict({"a": nn.Conv2d(2, 2, 1)})


def rates_and_decays(model, optimizer=None, **options):
    """(rate, weight decay) of each parameter by name, with lr 1 and weight decay 0.5."""
    wrapper = dict(
        type="OptimWrapper",
        optimizer=optimizer or dict(type="AdamW", lr=1.0, weight_decay=0.5),
        constructor="LayerDecayConstructor",
        paramwise_cfg=options,
    )
    groups = build_optim_wrapper(model, wrapper).param_groups
    known = {id(p): (group["lr"], group["weight_decay"]) for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(known)
    return {name: known[id(p)] for name, p in model.named_parameters() if id(p) in known}


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("backbone.pos_embed", 0),
        ("backbone.cls_token", 0),
        ("backbone.patch_embed.proj.weight", 0),
        ("backbone.blocks.0.attn.qkv.weight", 1),
        ("backbone.blocks.11.gamma_1", 12),
        ("backbone.norm.weight", 13),
        ("backbone.fpn1.1.ln.bias", 13),
        ("backbone.interactions.0.injector.gamma", 13),
        ("backbone.level_embed", 13),
        ("decode_head.lateral_convs.0.conv.weight", 13),
        ("heads.sota.weight", 13),
    ],
)
def test_layers_of_a_plain_transformer(name, layer):
    assert layer_of(name, [12]) == layer


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("patch_embed.conv1.weight", 0),
        ("levels.0.blocks.0.gamma1", 1),
        ("levels.0.blocks.3.mlp.fc1.weight", 4),
        ("levels.0.norm.0.weight", 5),
        ("levels.0.downsample.conv.weight", 5),
        ("levels.1.blocks.0.gamma1", 5),
        ("levels.1.downsample.norm.1.weight", 9),
        ("levels.2.blocks.17.norm1.0.weight", 26),
        ("levels.2.norm.0.bias", 27),
        ("levels.3.blocks.0.gamma1", 27),
        ("levels.3.blocks.3.gamma1", 30),
        ("levels.3.norm.0.bias", 27),
    ],
)
def test_layers_of_internimage(name, layer):
    assert layer_of(f"backbone.{name}", [4, 4, 18, 4]) == layer
    assert layer_of("decode_head.bottleneck.conv.weight", [4, 4, 18, 4]) == 31


def test_depths_are_counted_from_names():
    assert depths_of(f"backbone.blocks.{i}.norm1.weight" for i in range(12)) == [12]
    names = [f"backbone.levels.{s}.blocks.{i}.x" for s, depth in enumerate((1, 3)) for i in range(depth)]
    assert depths_of([*names, *names, "decode_head.blocks.0.conv1.0.weight"]) == [1, 3]
    assert depths_of(["backbone.layer1.0.conv1.weight"]) == []


def test_vit_by_hand():
    got = rates_and_decays(Model(BACKBONES["vit"]), layer_decay_rate=0.5)
    expected = {  # two blocks: 0.5 ** (3 - layer)
        "backbone.pos_embed": (0.125, 0.0),
        "backbone.patch_embed.proj.weight": (0.125, 0.5),
        "backbone.patch_embed.proj.bias": (0.125, 0.0),
        "backbone.blocks.0.attn.qkv.weight": (0.25, 0.5),
        "backbone.blocks.0.norm1.weight": (0.25, 0.0),
        "backbone.blocks.1.mlp.fc2.bias": (0.5, 0.0),
        "backbone.norm.weight": (1.0, 0.0),
        "backbone.fpn1.0.weight": (1.0, 0.5),
        "backbone.fpn1.1.ln.weight": (1.0, 0.0),
        "decode_head.weight": (1.0, 0.5),
        "heads.a.bias": (1.0, 0.0),
    }
    assert {name: got[name] for name in expected} == expected


def test_embeddings_of_places_do_not_decay():
    beit = rates_and_decays(Model(BACKBONES["beit"]), layer_decay_rate=0.5)
    assert beit["backbone.cls_token"] == (0.125, 0.0)
    assert beit["backbone.blocks.1.attn.relative_position_bias_table"] == (0.5, 0.0)
    rvsa = rates_and_decays(Model(BACKBONES["rvsa"]), layer_decay_rate=0.5)
    assert rvsa["backbone.blocks.3.attn.qkv.weight"] == (0.5, 0.5)
    for name in ("rel_pos_h", "rel_pos_w", "relative_position_bias_table"):
        assert rvsa[f"backbone.blocks.0.attn.{name}"] == (0.0625, 0.0)
    assert "backbone.norm.weight" not in rvsa  # frozen: it has no effect


def test_internimage_by_hand():
    got = rates_and_decays(Model(BACKBONES["internimage"]), layer_decay_rate=0.5)
    assert got["backbone.patch_embed.conv1.weight"] == (0.5**6, 0.5)  # five blocks
    assert got["backbone.levels.2.blocks.1.dcn.offset.weight"] == (0.25, 0.5)
    assert got["backbone.levels.3.blocks.0.gamma1"] == (0.5, 0.0)
    assert got["decode_head.weight"] == (1.0, 0.5)


@pytest.mark.parametrize("name", BACKBONES)
def test_as_published_no_rate_is_lowered(name):
    got = rates_and_decays(Model(BACKBONES[name]), layer_decay_rate=0.5, samrs_compat=True)
    assert {rate for rate, _ in got.values()} == {1.0}
    assert len(got) == sum(p.requires_grad for p in Model(BACKBONES[name]).parameters())


def test_as_published_only_pos_embed_is_named():
    vit = rates_and_decays(Model(BACKBONES["vit"]), layer_decay_rate=0.5, samrs_compat=True)
    assert vit["backbone.pos_embed"] == (1.0, 0.0)
    rvsa = rates_and_decays(Model(BACKBONES["rvsa"]), layer_decay_rate=0.5, samrs_compat=True)
    assert rvsa["backbone.blocks.0.attn.rel_pos_h"] == (1.0, 0.5)
    adapter = rates_and_decays(Model(BACKBONES["vit"]), layer_decay_rate=0.5, samrs_compat=True, no_decay=[])
    assert adapter["backbone.pos_embed"] == (1.0, 0.5)


def test_a_step_moves_early_layers_less():
    model = Model(BACKBONES["vit"])
    wrapper = dict(optimizer=dict(type="SGD", lr=1.0, weight_decay=0.0), constructor="LayerDecayConstructor")
    wrapper = build_optim_wrapper(model, dict(type="OptimWrapper", **wrapper, paramwise_cfg=dict(layer_decay_rate=0.5)))
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    sum(p.sum() for p in model.parameters()).backward()
    wrapper.step()
    moved = {name: (before[name] - p).detach().mean() for name, p in model.named_parameters()}
    for name, by in (("backbone.pos_embed", 0.125), ("backbone.blocks.0.norm2.bias", 0.25), ("heads.a.bias", 1.0)):
        torch.testing.assert_close(moved[name], torch.tensor(by), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(), "requires a layer_decay_rate above 0 and at most 1, got None"),
        (dict(layer_decay_rate=1.5), "got 1.5"),
        (dict(layer_decay_rate=0.9, num_layers=12), r"\['num_layers'\] unknown; expected: layer_decay_rate"),
        (dict(layer_decay_rate=0.9), "no layers to decay; expected parameters named backbone.blocks"),
    ],
)
def test_wrong_options_are_named(options, message):
    model = nn.ModuleDict({"backbone": nn.Linear(2, 2)})
    with pytest.raises(ValueError, match=message):
        rates_and_decays(model, **options)
    with pytest.raises(ValueError, match="lr and weight_decay"):
        rates_and_decays(model, optimizer=dict(type="AdamW", lr=1.0), layer_decay_rate=0.9)


@pytest.mark.parametrize(
    ("name", "rate", "decay", "least", "layers"),
    [
        ("sep_80k", 6e-5, 0.01, 0.0, None),
        ("sep_80k_resnet", 1e-3, 0.05, 5e-6, None),
        ("sep_80k_vit", 6e-5, 0.05, 0.0, 1.0),
        ("sep_80k_adapter", 6e-5, 0.01, 0.0, 1.0),
        ("sep_80k_internimage", 6e-5, 0.05, 0.0, 1.0),
    ],
)
def test_schedules_are_those_of_tables_7_and_8(repo, name, rate, decay, least, layers):
    config = Config.fromfile(repo / "configs" / "_base_" / "schedules" / f"{name}.py")
    wrapper = config.optim_wrapper
    assert wrapper.optimizer == dict(type="AdamW", lr=rate, betas=(0.9, 0.999), weight_decay=decay)
    assert wrapper.clip_grad == dict(max_norm=5, norm_type=2)
    assert config.train_cfg.max_iters == config.param_scheduler[0].T_max == 80000
    assert config.param_scheduler[0].eta_min == least
    assert wrapper.get("constructor") == (None if layers is None else "LayerDecayConstructor")
    if layers is not None:  # one rate for all layers, as the paper says and the release does
        assert wrapper.paramwise_cfg == dict(layer_decay_rate=layers)


def test_no_samrs_schedule_lowers_a_rate(repo):
    """Neither in pre-training nor in fine-tuning; the rate that acts is an option, named in the docstring."""
    schedules = repo / "configs" / "_base_" / "schedules"
    paths = [path for start in ("sep", "finetune") for path in sorted(schedules.glob(f"{start}_80k*.py"))]
    chosen = [path for path in paths if "LayerDecayConstructor" in Config.fromfile(path).optim_wrapper.values()]
    assert {path.stem.rpartition("_")[2] for path in chosen} == {"vit", "adapter", "internimage"} and len(chosen) == 6
    for path in chosen:
        config = Config.fromfile(path)
        assert config.optim_wrapper.paramwise_cfg.layer_decay_rate == 1.0
        assert "internimage" in path.stem or "optim_wrapper.paramwise_cfg.layer_decay_rate=0.9" in path.read_text()
    config.merge_from_dict({"optim_wrapper.paramwise_cfg.layer_decay_rate": 0.5})
    got = rates_and_decays(Model(BACKBONES["vit"]), **config.optim_wrapper.paramwise_cfg)
    assert len({rate for rate, _ in got.values()}) > 2
