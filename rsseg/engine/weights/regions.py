"""OV-Seg's and SCAN's releases: whole models with detectron2's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rsseg.engine.weights.gsnet import clip_settings, split_attention
from rsseg.engine.weights.layouts import Layout, State, Target, count
from rsseg.engine.weights.mask2former import MASK2FORMER, perceptron_names, proposal_settings
from rsseg.engine.weights.resnet import DETECTRON2
from rsseg.engine.weights.resnet import TARGETS as RESNETS
from rsseg.engine.weights.swin import OFFICIAL, swin_settings

__all__ = ["LAYOUTS", "TARGETS"]

_BACKBONE = "backbone."
_HEAD_WIDTH = 32

_UNUSED = {
    r"(clip_adapter\.)?pixel_(mean|std)$": "normalisation of images",
    r"criterion\.empty_weight$": "weights of the training's classes",
}
_CLIP = (
    (r"clip_adapter\.clip_model\.visual\.mask_embedding", "mask_embedding"),
    (r"clip_adapter\.clip_model\.", "clip."),
    (r"clip_adapter\.non_object_embedding", "no_object"),
    (r"clip_adapter\.original_clip\.", "original."),
)
_PIXEL, _PREDICTOR = r"sem_seg_head\.pixel_decoder\.", r"sem_seg_head\.predictor\."


_MASKFORMER = (
    *((rf"{_PIXEL}{name}_{i + 1}\.{rest}", f"proposals.pixel_decoder.{own}.{i}.{part}.")
      for name, own in (("adapter", "lateral_convs"), ("layer", "output_convs")) for i in range(4)
      for rest, part in ((r"norm\.", "gn"), ("", "conv"))),
    (rf"{_PIXEL}mask_features\.", "proposals.pixel_decoder.mask_feature."),
    (rf"{_PREDICTOR}transformer\.decoder\.norm\.", "proposals.post_norm."),
    (rf"{_PREDICTOR}transformer\.decoder\.", "proposals."),
    *perceptron_names("mask_embed", "proposals.mask_embed"),
    *perceptron_names("class_embed", "proposals.class_embed", 2),
    (_PREDICTOR, "proposals."),
)  # fmt: skip
_PRIOR = (
    (r"LFM\.", "prior.filter."),
    *((rf"oriclip_mlp\.fc{i}\.", f"prior.linear{i}.") for i in (1, 2)),
    (r"learnable_weight", "calibration.image_weight"),
    (r"fusion_decoder\.multiattn\.", "calibration.attentions."),
    (r"fusion_decoder\.ln\.", "calibration.norms."),
    (r"lightweight_transformer\.layers\.", "calibration.refinement."),
)


def _backbone(state: State) -> State:
    return {key.removeprefix(_BACKBONE): value for key, value in state.items() if key.startswith(_BACKBONE)}


def _with_swin(state: State) -> State:
    """The same, and the backbone by the names and in the order of mmseg."""
    swin = OFFICIAL.translate(_backbone(state)).state
    rest = {key: value for key, value in split_attention(state).items() if not key.startswith(_BACKBONE)}
    return {f"{_BACKBONE}{key}": value for key, value in swin.items()} | rest


def _behind(rules: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str | Callable[..., str]], ...]:
    """Rules for a backbone by itself, for one in a model."""
    return tuple((rf"backbone\.{rule}", rf"backbone.{own}") for rule, own in rules)


LAYOUTS = [
    Layout(
        "OV-Seg, official names",
        r"clip_adapter\.clip_model\.visual\.mask_embedding",
        ("ovseg",),
        (*_behind(DETECTRON2), *_MASKFORMER, *_CLIP),
        _UNUSED,
        prepare=split_attention,
    ),
    Layout(
        "SCAN, official names",
        r"clip_adapter\.original_clip\.class_embedding",
        ("scan",),
        (*MASK2FORMER, *perceptron_names("class_embed", "class_embed", 2), *_PRIOR, *_CLIP),
        _UNUSED,
        prepare=_with_swin,
    ),
]


def _clip(state: State) -> dict[str, Any]:
    """CLIP's settings; its images are of the size of its table of positions, and it has no taps."""
    table = clip_settings(state, 0)["visual"]
    return dict(clip_settings(state, table["grid"] * table["patch"]), taps=())


def _ovseg(state: State) -> dict[str, Any]:
    """Sizes by the shapes, heads of 32 channels; the backbone's dilations are the release's."""
    backbone, queries = _backbone(state), state["proposals.query_embed.weight"]
    inputs = [state[f"proposals.pixel_decoder.lateral_convs.{i}.conv.weight"].shape[1] for i in range(3)]
    return dict(
        clip=_clip(state),
        backbone=dict(
            type="ResNetV1c",
            **RESNETS["resnet_v1c"].settings(backbone),
            multi_grid=(1, 2, 4),
            frozen_stages=1,
            norm_cfg=dict(type="FrozenBatchNorm2d"),
            zero_init_residual=False,
        ),
        proposals=dict(
            in_channels=[*inputs, state["proposals.input_proj.weight"].shape[1]],
            channels=queries.shape[1],
            queries=len(queries),
            layers=count(state, r"proposals\.layers\.(\d+)\."),
            heads=max(queries.shape[1] // _HEAD_WIDTH, 1),
            hidden=len(state["proposals.layers.0.linear1.weight"]),
            embed_hidden=len(state["proposals.class_embed.0.weight"]),
        ),
        mask_prompt=len(state["mask_embedding"]),
        vocabulary="landdiscover",
    )


def _scan(state: State) -> dict[str, Any]:
    """Sizes by the shapes; heads of the calibration, the prior's blocks and the shift are the release's for ViT-B."""
    pixel, swin = "proposals.pixel_decoder.", swin_settings(_backbone(state))
    inputs = [state[f"{pixel}input_convs.{i}.conv.weight"].shape[1] for i in (2, 1, 0)]
    return dict(
        clip=dict(_clip(state), activation="gelu"),
        backbone=dict(type="SwinTransformer", **swin),
        proposals=dict(
            in_channels=[state[f"{pixel}lateral_convs.0.conv.weight"].shape[1], *inputs],
            **proposal_settings(state),
        ),
        calibration=dict(
            reads=count(state, r"calibration\.attentions\.(\d+)\."),
            layers=count(state, r"calibration\.refinement\.(\d+)\."),
            hidden=len(state["calibration.refinement.0.linear1.weight"]),
        ),
        embed_hidden=len(state["class_embed.0.weight"]),
        vocabulary="landdiscover",
    )


TARGETS = {"ovseg": Target("OVSeg", _ovseg, whole=True), "scan": Target("SCAN", _scan, whole=True)}
