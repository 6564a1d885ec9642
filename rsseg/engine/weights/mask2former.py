"""The names of Mask2Former's own code, which its descendants keep, to those of ``MaskProposals``."""

from __future__ import annotations

from rsseg.engine.weights.layouts import State, count

__all__ = ["MASK2FORMER", "perceptron_names", "proposal_settings"]

_PIXEL, _PREDICTOR = r"sem_seg_head\.pixel_decoder\.", r"sem_seg_head\.predictor\."
_OURS = "proposals."
_HEAD_WIDTH = 32


def perceptron_names(part: str, own: str, layers: int = 3) -> tuple[tuple[str, str], ...]:
    """Linear layers of the predictor that are numbered one by one there, and among activations here."""
    return tuple((rf"{_PREDICTOR}{part}\.layers\.{i}\.", f"{own}.{2 * i}.") for i in range(layers))


_ENCODER = {"norm1": "norms.0", "norm2": "norms.1", "linear1": "ffn.layers.0.0", "linear2": "ffn.layers.1"}
_DECODER = {
    r"cross_attention_layers\.(\d+)\.multihead_attn": "cross_attn.attn",
    r"cross_attention_layers\.(\d+)\.norm": "norms.0",
    r"self_attention_layers\.(\d+)\.self_attn": "self_attn.attn",
    r"self_attention_layers\.(\d+)\.norm": "norms.1",
    r"ffn_layers\.(\d+)\.linear1": "ffn.layers.0.0",
    r"ffn_layers\.(\d+)\.linear2": "ffn.layers.1",
    r"ffn_layers\.(\d+)\.norm": "norms.2",
}

MASK2FORMER: tuple[tuple[str, str], ...] = (
    (rf"{_PIXEL}input_proj\.(\d+)\.0\.", rf"{_OURS}pixel_decoder.input_convs.\1.conv."),
    (rf"{_PIXEL}input_proj\.(\d+)\.1\.", rf"{_OURS}pixel_decoder.input_convs.\1.gn."),
    (rf"{_PIXEL}transformer\.level_embed$", f"{_OURS}pixel_decoder.level_encoding.weight"),
    *(
        (rf"{_PIXEL}transformer\.encoder\.layers\.(\d+)\.{name}\.", rf"{_OURS}pixel_decoder.encoder.layers.\1.{own}.")
        for name, own in _ENCODER.items()
    ),
    (rf"{_PIXEL}transformer\.encoder\.", f"{_OURS}pixel_decoder.encoder."),
    (rf"{_PIXEL}adapter_1\.norm\.", f"{_OURS}pixel_decoder.lateral_convs.0.gn."),
    (rf"{_PIXEL}adapter_1\.", f"{_OURS}pixel_decoder.lateral_convs.0.conv."),
    (rf"{_PIXEL}layer_1\.norm\.", f"{_OURS}pixel_decoder.output_convs.0.gn."),
    (rf"{_PIXEL}layer_1\.", f"{_OURS}pixel_decoder.output_convs.0.conv."),
    (rf"{_PIXEL}mask_features\.", f"{_OURS}pixel_decoder.mask_feature."),
    *(
        (rf"{_PREDICTOR}transformer_{name}\.", rf"{_OURS}transformer_decoder.layers.\1.{own}.")
        for name, own in _DECODER.items()
    ),
    (rf"{_PREDICTOR}decoder_norm\.", f"{_OURS}transformer_decoder.post_norm."),
    (rf"{_PREDICTOR}(query_feat|query_embed|level_embed)\.", rf"{_OURS}\1."),
    *perceptron_names("mask_embed", f"{_OURS}mask_embed"),
)


def proposal_settings(state: State) -> dict[str, int]:
    """Settings of ``MaskProposals`` by the shapes of the weights below ``proposals.``; heads have 32 channels."""
    queries, channels = state[f"{_OURS}query_feat.weight"].shape
    return dict(
        channels=channels,
        queries=queries,
        encoder_layers=count(state, r"proposals\.pixel_decoder\.encoder\.layers\.(\d+)\."),
        decoder_layers=count(state, r"proposals\.transformer_decoder\.layers\.(\d+)\."),
        heads=max(channels // _HEAD_WIDTH, 1),
        encoder_hidden=len(state[f"{_OURS}pixel_decoder.encoder.layers.0.ffn.layers.0.0.bias"]),
        decoder_hidden=len(state[f"{_OURS}transformer_decoder.layers.0.ffn.layers.0.0.bias"]),
    )
