"""Decoders and heads of the SAMRS release: which model they make, and their names there."""

from __future__ import annotations

import re
from typing import Any

from rsseg.engine.weights.content import Parts
from rsseg.engine.weights.layouts import State, count
from rsseg.errors import DataError
from rsseg.metainfo import load_metainfo

__all__ = ["model_config", "translate_rest"]

_SETS = {"1": "sota", "2": "sior", "3": "fast"}
"""Label sets of the release's heads."""


def translate_rest(parts: Parts) -> dict[str, str]:
    """The model's names of decoder and heads, with the file's names.

    Args:
        parts: Of a SAMRS file: heads ``semseghead_k.i`` of the label sets, or ``semseghead.i`` after fine-tuning, where
            i is a number, or ``cls_embed`` for Mask2Former.
    """
    out = {f"decode_head.{key}": f"decoder.{key}" for key in parts.decoder}
    for key in parts.heads:
        match = re.fullmatch(r"semseghead(?:_(\d+))?\.([01]|cls_embed)\.(weight|bias)", key)
        if match and match[1] is None:
            layer = "cls_embed" if match[2] == "cls_embed" else "conv_seg"
            out[f"decode_head.{layer}.{match[3]}"] = key
        elif match and match[1] in _SETS:
            out[f"heads.{_SETS[match[1]]}.{match[3]}"] = key
        else:
            out[key] = key
    return out


def model_config(parts: Parts, backbone: dict[str, Any]) -> dict[str, Any]:
    """Segmentation model that the weights of a SAMRS file are for.

    Args:
        parts: The file's weights.
        backbone: The backbone's config.

    Raises:
        DataError: The file has no decoder or no head, a decoder that is not known, or a head with another number of
            classes than its label set.
    """
    if not parts.decoder or not parts.heads:
        raise DataError(
            "no decoder and heads by the SAMRS release's names (decoder., semseghead_1.); use --to backbone. "
            "Checkpoints that rsseg has trained need no conversion"
        )
    head = _decoder(parts.decoder)
    classes = {k.split(".")[0]: len(value) - (".cls_embed." in k) for k, value in parts.heads.items()}
    if "semseghead" in classes:
        return dict(type="Segmentor", backbone=backbone, decode_head=dict(head, num_classes=classes["semseghead"]))
    heads = {_SETS.get(key.removeprefix("semseghead_"), key): number for key, number in classes.items()}
    for name, number in heads.items():
        if name not in _SETS.values() or number != load_metainfo(name).num_classes:
            raise DataError(f"a head of {number} classes, {name}, is none of the SAMRS release: {_SETS}")
    kind = "MultiHeadMask2Former" if head["type"] == "Mask2FormerDecoder" else "MultiHeadSegmentor"
    return dict(type=kind, backbone=backbone, decode_head=head, heads=heads)


def _decoder(state: State) -> dict[str, Any]:
    for mark, read in _DECODERS.items():
        if mark in state:
            return read(state)
    raise DataError("the file's decoder is not UPerNet, UNet or Mask2Former; use --to backbone")


def _upernet(state: State) -> dict[str, Any]:
    width = len(state["fpn_bottleneck.conv.weight"])
    scales = count(state, r"psp_modules\.(\d+)\.")
    last = state["bottleneck.conv.weight"].shape[1] - scales * width
    laterals = [f"lateral_convs.{i}.conv.weight" for i in range(count(state, r"lateral_convs\.(\d+)\."))]
    inputs = [*(state[key].shape[1] for key in laterals), last]
    return dict(type="LowResUPerHead", in_channels=inputs, in_index=[0, 1, 2, 3], channels=width, **_USUAL)


def _unet(state: State) -> dict[str, Any]:
    shapes = [state[f"blocks.{i}.conv1.0.weight"].shape for i in range(4)]
    widths = [shape[0] for shape in shapes]
    third, second = shapes[1][1] - widths[0], shapes[2][1] - widths[1]
    # Only the sum of the two coarsest maps' channels can be seen: they are concatenated.
    coarse = shapes[0][1] - 2 * third if shapes[0][1] > 2 * third else shapes[0][1] - third
    inputs = [second, third, shapes[0][1] - coarse, coarse]
    return dict(type="UNetHead", in_channels=inputs, decoder_channels=widths, head="released", **_USUAL)


def _mask2former(state: State) -> dict[str, Any]:
    encoder, decoder = "pixel_decoder.encoder.layers", "transformer_decoder.layers"
    finest = state["pixel_decoder.lateral_convs.0.conv.weight"]
    coarse = [state[f"pixel_decoder.input_convs.{i}.conv.weight"] for i in (2, 1, 0)]
    levels, points, axes = 3, 4, 2
    return dict(
        type="Mask2FormerDecoder",
        in_channels=[weight.shape[1] for weight in (finest, *coarse)],
        channels=len(finest),
        queries=len(state["query_feat.weight"]),
        encoder_layers=count(state, rf"{encoder}\.(\d+)\."),
        decoder_layers=count(state, rf"{decoder}\.(\d+)\."),
        heads=len(state[f"{encoder}.0.self_attn.sampling_offsets.bias"]) // (levels * points * axes),
        encoder_hidden=len(state[f"{encoder}.0.ffn.layers.0.0.weight"]),
        decoder_hidden=len(state[f"{decoder}.0.ffn.layers.0.0.weight"]),
    )


_USUAL: dict[str, Any] = dict(
    norm_cfg=dict(type="BN"),
    align_corners=False,
    loss_decode=dict(type="CrossEntropyLoss", avg_non_ignore=True),
)
_DECODERS = {
    "fpn_bottleneck.conv.weight": _upernet,
    "blocks.3.conv2.0.weight": _unet,
    "query_feat.weight": _mask2former,
}
"""How to read a decoder's settings from its weights, by a key that only it has."""
