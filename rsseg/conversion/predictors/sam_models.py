"""Segment Anything models: how each is built, how its weights are loaded, and which model weights look like."""

from __future__ import annotations

import logging
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rsseg.conversion.predictors.mobile_sam import TinyViTEncoder, from_public_keys
from rsseg.errors import DataError, MissingPackageError
from rsseg.io.checkpoints import read_state
from rsseg.io.shards import local_rank
from rsseg.structures.keys import compare_keys

__all__ = ["ENCODERS", "SAM2_TRUNKS", "build_sam", "load_sam", "looks_like", "own_device", "read_sam_state"]

_log = logging.getLogger("rsseg")

ENCODERS: dict[str, dict[str, Any]] = {
    "vit_h": {"embed_dim": 1280, "depth": 32, "num_heads": 16, "global_attn_indexes": (7, 15, 23, 31)},
    "vit_l": {"embed_dim": 1024, "depth": 24, "num_heads": 16, "global_attn_indexes": (5, 11, 17, 23)},
    "vit_b": {"embed_dim": 768, "depth": 12, "num_heads": 12, "global_attn_indexes": (2, 5, 8, 11)},
    "vit_t": {"embed_dims": (64, 128, 160, 320)},
}
"""Image encoders by model name; ``embed_dims``, one per stage, makes it MobileSAM's TinyViT."""

SAM2_TRUNKS: dict[tuple[int, int], str] = {
    (96, 12): "hiera_t",
    (96, 16): "hiera_s",
    (112, 24): "hiera_b+",
    (144, 48): "hiera_l",
}
"""(Channels after the patches, blocks) -> trunk of SAM 2.  Source: the configs of the package sam2."""


def build_sam(settings: dict[str, Any]) -> Any:
    """A Segment Anything model with fresh weights, in evaluation mode.

    Args:
        settings: Of the image encoder.  ViT: ``embed_dim``, ``depth``, ``num_heads``, ``global_attn_indexes``;
            MobileSAM's TinyViT: ``embed_dims`` and further arguments of :class:`TinyViTEncoder`.  Either may have
            ``img_size`` (input side in pixels, a multiple of 16; default 1024, as published).

    Raises:
        ImportError: segment-anything is not installed.

    Source: segment_anything 1.0, build_sam.py.
    """
    try:
        from segment_anything.modeling import MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
    except ImportError as error:
        raise MissingPackageError('SAMPredictor needs segment-anything: pip install "rsseg[optional]"') from error
    settings = {"img_size": 1024, **settings}
    grid = settings["img_size"] // 16
    encoder = TinyViTEncoder(**settings) if "embed_dims" in settings else _vit(settings)
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


def _vit(settings: dict[str, Any]) -> torch.nn.Module:
    from segment_anything.modeling import ImageEncoderViT

    encoder: torch.nn.Module = ImageEncoderViT(
        mlp_ratio=4,
        norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
        out_chans=256,
        patch_size=16,
        qkv_bias=True,
        use_rel_pos=True,
        window_size=14,
        **settings,
    )
    return encoder


def read_sam_state(path: Path, option: str) -> dict[str, torch.Tensor]:
    """Weights by name of a published mask model, on the CPU; nothing in the file is ever run.

    Args:
        path: A file of ``torch.save``.
        option: Config path of the file's name, for the messages.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file is truncated, damaged, no checkpoint, or would run code to load.
    """
    advice = f"give another with --cfg-options {option}=FILE, or download the published file again and compare its size"
    return read_state(path, trust=None, advice=advice)


def load_sam(settings: dict[str, Any], path: Path, model: str | dict[str, Any]) -> Any:
    """The model of :func:`build_sam` with the weights of a checkpoint, every key of which is accounted for.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: The file cannot be read, or its weights belong to another model; the message says which they
            look like.
    """
    tiny = "embed_dims" in settings
    state = read_sam_state(path, f"predictors.{'mobile_sam' if tiny else 'sam'}.checkpoint")
    state, left_out = from_public_keys(state) if tiny else (state, [])
    sam = build_sam(settings)
    problem = compare_keys(state, sam.state_dict())
    if problem:
        raise DataError(f"{path}: these weights do not fit SAM {model!r}; {looks_like(state)} ({problem})")
    sam.load_state_dict(state)
    _log.info("%s: %d tensors loaded, %d not used (%s)", path, len(state), len(left_out), ", ".join(left_out) or "none")
    return sam


def looks_like(state: dict[str, torch.Tensor]) -> str:
    """A clause that says which model's weights these are, or that they are none known and how their keys begin."""
    position = state.get("image_encoder.pos_embed")
    for name, row in ENCODERS.items():
        if position is not None and row.get("embed_dim") == position.shape[-1]:
            return f"they look like {name}"
    if any(key.startswith("image_encoder.patch_embed.seq.") for key in state):
        return "they look like vit_t (MobileSAM)"
    patches = state.get("image_encoder.trunk.patch_embed.proj.weight")
    if patches is not None:
        blocks = {key.split(".")[3] for key in state if key.startswith("image_encoder.trunk.blocks.")}
        version = "sam2.1" if "no_obj_embed_spatial" in state else "sam2"
        trunk = SAM2_TRUNKS.get((len(patches), len(blocks)), "hiera of an unpublished size")
        return f"they look like {version}_{trunk}, for SAM2Predictor"
    first = ", ".join(list(state)[:3]) or "nothing"
    return f"they are none of {', '.join(ENCODERS)} and SAM 2, but begin with {first}"


def own_device() -> str:
    """The GPU of this process when several were started by torchrun or Slurm, else the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{local_rank() % torch.cuda.device_count()}"
