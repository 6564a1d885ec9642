"""SED's release: CLIP with a ConvNeXt, and the decoder of similarities."""

from __future__ import annotations

from typing import Any

from rsseg.engine.weights.gsnet import split_attention, text_settings
from rsseg.engine.weights.layouts import Layout, State, Target, count

__all__ = ["LAYOUTS", "TARGETS"]

_TRUNK = r"sem_seg_head\.predictor\.clip_model\.visual\.trunk\."
_RENAME = (
    (r"sem_seg_head\.predictor\.clip_model\.", "clip."),
    (r"sem_seg_head\.predictor\.transformer\.", "decoder."),
)
_UNUSED = {r"(clip_)?pixel_(mean|std)$": "normalisation of images"}

LAYOUTS = [
    Layout("SED, official names", rf"{_TRUNK}stem\.0\.weight", ("sed",), _RENAME, _UNUSED, prepare=split_attention)
]


def _sed(state: State) -> dict[str, Any]:
    """Settings by the shapes; CLIP's resolution and the set of templates, which they do not tell, are the release's."""
    trunk, decoder = "clip.visual.trunk.", "decoder."
    depths = tuple(count(state, rf"clip\.visual\.trunk\.stages\.{i}\.blocks\.(\d+)\.") for i in range(4))
    dims = tuple(len(state[f"{trunk}stages.{i}.blocks.0.gamma"]) for i in range(4))
    channels, prompts = state[f"{decoder}conv1.weight"].shape[:2]
    stages = [f"{decoder}decoder{i}." for i in (1, 2, 3)]
    return dict(
        clip=dict(
            type="ConvNeXtCLIP",
            visual=dict(depths=depths, dims=dims),
            text=text_settings(state),
            embed=len(state["clip.visual.head.proj.weight"]),
        ),
        decoder=dict(
            prompts=prompts,
            channels=channels,
            widths=tuple(len(state[f"{own}conv.double_conv.0.weight"]) for own in stages),
            guidance=tuple(len(state[f"{decoder}decoder_guidance_projection.{i}.0.weight"]) for i in range(3)),
            kernel=state[f"{stages[0]}cnext.dwconv.weight"].shape[-1],
        ),
        vocabulary="landdiscover",
    )


TARGETS = {"sed": Target("SED", _sed, whole=True)}
