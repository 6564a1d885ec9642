"""Files with CLIP's weights, brought to the names of :class:`rsseg.models.gsnet.clip.CLIP`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from rsseg.errors import DataError
from rsseg.io.checkpoints import load_file, state_of
from rsseg.io.hub import local_file
from rsseg.models.gsnet.torchscript import is_torchscript, read_torchscript
from rsseg.structures.keys import compare_keys

__all__ = ["read_clip", "read_clip_state", "translate"]

State = dict[str, torch.Tensor]

_OPENAI = "https://openaipublic.azureedge.net/clip/models"
_SOURCES = {
    16: ("ViT-B-16.pt", "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f"),
    32: ("ViT-B-32.pt", "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af"),
}
"""OpenAI's files and their SHA-256, by the side of the patches.  Source: OpenAI's and open_clip's lists."""

_UNUSED = re.compile(r"input_resolution|context_length|vocab_size|(.+\.)?attn_mask")
"""What files have besides weights."""

_TIMM = (
    (r"cls_token$", "class_embedding"),
    (r"pos_embed$", "positional_embedding"),
    (r"patch_embed\.proj\.weight$", "conv1.weight"),
    (r"norm_pre\.", "ln_pre."),
    (r"norm\.", "ln_post."),
    (r"head\.weight$", "proj"),
    (r"blocks\.(\d+)\.norm([12])\.", r"transformer.resblocks.\1.ln_\2."),
    (r"blocks\.(\d+)\.attn\.qkv\.", r"transformer.resblocks.\1.attn.in_proj_"),
    (r"blocks\.(\d+)\.attn\.proj\.", r"transformer.resblocks.\1.attn.out_proj."),
    (r"blocks\.(\d+)\.mlp\.fc1\.", r"transformer.resblocks.\1.mlp.c_fc."),
    (r"blocks\.(\d+)\.mlp\.fc2\.", r"transformer.resblocks.\1.mlp.c_proj."),
)
_TIMM_MARKS = {"cls_token", "pos_embed", "patch_embed.proj.weight"}


def read_clip(files: str | Sequence[str], expected: Mapping[str, torch.Size]) -> State:
    """Weights of a CLIP model, float32, by the names of the model here.

    Args:
        files: A file, or several of which each gives what those before it lack.  OpenAI's TorchScript archive (of which
            no program is run), a state dict of OpenAI's or open_clip's (RemoteCLIP's too), ``.safetensors``, or timm's
            tower for images, which needs another file for the texts.
        expected: Shapes of the model's weights by name.

    Raises:
        FileNotFoundError: There is no such file; the message says where to get it.
        DataError: A file cannot be read, weights are missing or unexpected, or have another shape than the model's.
    """
    conv = expected.get("visual.conv1.weight")
    patch = None if conv is None else conv[-1]
    paths = [local_file(file) for file in ([files] if isinstance(files, str) else files)]
    out: State = {}
    for path in paths:
        if not path.is_file():
            raise FileNotFoundError(f"{path}: no such file; expected the weights of CLIP. {_advice(patch, path)}")
        out = translate(read_clip_state(path), path) | out
    names = ", ".join(map(str, paths))
    if out and all(key.startswith("visual.") for key in out):
        raise DataError(
            f"{names}: has the image encoder only; name a file with the text encoder too: weights=[FILE, OTHER]. "
            f"{_advice(patch, paths[0])}"
        )
    problems = compare_keys(out, expected)
    if problems:
        raise DataError(f"{names}: does not match this CLIP model: {problems}. {_advice(patch, paths[0])}")
    return {key: out[key].float() for key in expected}


def _advice(patch: int | None, path: Path) -> str:
    """Where files with weights are to be had, and by what command; ``patch`` is None for a tower of convolutions."""
    if patch is None:
        return (
            "open_clip's convnext_base_w_320, pretrained='laion_aesthetic_s13b_b82k', is on the hub as "
            "laion/CLIP-convnext_base_w_320-laion_aesthetic-s13B-b82K, file open_clip_pytorch_model.bin"
        )
    if patch not in _SOURCES:
        return "Use a file of the model that the config describes"
    name, digest = _SOURCES[patch]
    target = path.with_name(name)
    lines = [
        f"OpenAI's {name} (SHA-256 {digest}): "
        f"mkdir -p {target.parent} && curl -L -o {target} {_OPENAI}/{digest}/{name}",
        f"or open_clip's {name[:-3]}, pretrained='openai', from the hub timm/vit_base_patch{patch}_clip_224.openai, "
        "file open_clip_model.safetensors",
    ]
    if patch == 32:
        lines.append("or RemoteCLIP-ViT-B-32.pt from the hub chendelong/RemoteCLIP (activation='gelu')")
    return "; ".join(lines)


def read_clip_state(path: Path) -> State:
    """Weights by name as a file has them, without ``module.`` of parallel training.

    Args:
        path: TorchScript archive, or what :func:`rsseg.io.checkpoints.load_file` reads, with the weights at its
            top or under ``state_dict``, ``model`` or ``teacher``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged, would run code to load, or holds no weights by name.
    """
    return state_of(read_torchscript(path) if is_torchscript(path) else load_file(path), path)


def translate(state: State, file: str | Path) -> State:
    """Weights by OpenAI's names, with three projections instead of one, of those by OpenAI's, open_clip's or timm's.

    Args:
        state: Weights by the names of a file.
        file: Its name, for the message.

    Raises:
        DataError: A head of timm's has a bias.
    """
    if state.keys() >= _TIMM_MARKS:
        state = _from_timm(state, file)
    out: State = {}
    for key, value in state.items():
        name = key.removeprefix("text.")
        if _UNUSED.fullmatch(name):
            continue
        if name.endswith("attn.in_proj_weight"):
            parts = zip("qkv", value.chunk(3), strict=True)
            out.update({f"{name.removesuffix('in_proj_weight')}{part}_proj_weight": own for part, own in parts})
        else:
            out[name] = value
    return out


def _from_timm(state: State, file: str | Path) -> State:
    out: State = {}
    for key, value in state.items():
        if key == "head.bias":
            if value.any():
                raise DataError(f"{file}: its head has a bias, which CLIP does not have")
            continue
        name = key
        for pattern, replacement in _TIMM:
            name = re.sub(f"^{pattern}", replacement, name)
        out[name] = value
    out["class_embedding"] = out["class_embedding"].flatten()
    out["positional_embedding"] = out["positional_embedding"][0]
    if "proj" in out:
        out["proj"] = out["proj"].T
    return {f"visual.{name}": value for name, value in out.items()}
