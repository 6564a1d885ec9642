"""Segment Anything models: how each is built, and how its weights are loaded."""

from __future__ import annotations

import hashlib
import os
from functools import partial
from pathlib import Path
from typing import Any

import torch

__all__ = ["ENCODERS", "build_sam", "load_sam", "own_device", "sha256_of"]

ENCODERS: dict[str, dict[str, Any]] = {
    "vit_h": {"embed_dim": 1280, "depth": 32, "num_heads": 16, "global_attn_indexes": (7, 15, 23, 31)},
    "vit_l": {"embed_dim": 1024, "depth": 24, "num_heads": 16, "global_attn_indexes": (5, 11, 17, 23)},
    "vit_b": {"embed_dim": 768, "depth": 12, "num_heads": 12, "global_attn_indexes": (2, 5, 8, 11)},
}


def build_sam(settings: dict[str, Any]) -> Any:
    """A Segment Anything model with fresh weights, in evaluation mode.

    Args:
        settings: ``embed_dim``, ``depth``, ``num_heads``, ``global_attn_indexes`` of the image encoder, and its
            ``img_size`` (input side in pixels, a multiple of 16; default 1024, as published).

    Raises:
        ImportError: segment-anything is not installed.

    Source: segment_anything 1.0, build_sam.py.
    """
    try:
        from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    except ImportError as error:
        raise ImportError('SAMPredictor needs segment-anything: pip install "rsseg[optional]"') from error
    settings = {"img_size": 1024, **settings}
    grid = settings["img_size"] // 16
    encoder = ImageEncoderViT(
        mlp_ratio=4,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        out_chans=256,
        patch_size=16,
        qkv_bias=True,
        use_rel_pos=True,
        window_size=14,
        **settings,
    )
    prompt = PromptEncoder(
        embed_dim=256,
        image_embedding_size=(grid, grid),
        input_image_size=(settings["img_size"], settings["img_size"]),
        mask_in_chans=16,
    )
    decoder = MaskDecoder(
        num_multimask_outputs=3,
        transformer=TwoWayTransformer(depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8),
        transformer_dim=256,
        iou_head_depth=3,
        iou_head_hidden_dim=256,
    )
    mean, std = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
    return Sam(encoder, prompt, decoder, pixel_mean=mean, pixel_std=std).eval()


def load_sam(settings: dict[str, Any], path: Path, model: str | dict[str, Any]) -> Any:
    """The model of :func:`build_sam` with the weights of a checkpoint.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The weights belong to another model; the message says which they look like.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such SAM checkpoint; give another with predictors.sam.checkpoint=FILE")
    sam = build_sam(settings)
    state = torch.load(path, map_location="cpu", weights_only=True)
    try:
        sam.load_state_dict(state)
    except RuntimeError as error:
        found = state.get("image_encoder.pos_embed")
        width = None if found is None else found.shape[-1]
        names = [name for name, row in ENCODERS.items() if row["embed_dim"] == width]
        hint = f"it looks like {names[0]}" if names else "it is none of " + ", ".join(ENCODERS)
        raise ValueError(f"{path}: these weights do not fit SAM {model!r}; {hint}") from error
    return sam


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def own_device() -> str:
    """The GPU of this process when several were started by torchrun or Slurm, else the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    local = int(os.environ.get("LOCAL_RANK", os.environ.get("SLURM_LOCALID", "0")))
    return f"cuda:{local % torch.cuda.device_count()}"
