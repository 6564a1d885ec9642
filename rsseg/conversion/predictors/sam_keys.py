"""segment_anything's weights as transformers' SamModel: names of tensors, and the settings that their shapes tell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch

from rsseg.conversion.predictors.sam_models import looks_like, read_sam_state
from rsseg.errors import DataError
from rsseg.io.files import sha256_of
from rsseg.structures.keys import compare_keys

__all__ = ["sam_folder_of", "sam_settings", "transformers_keys"]

_PARTS = (
    (r"^image_encoder\.", "vision_encoder."),
    (r"^vision_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^(vision_encoder\.layers\.\d+)\.norm", r"\1.layer_norm"),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"neck\.0\.", "neck.conv1."),
    (r"neck\.1\.", "neck.layer_norm1."),
    (r"neck\.2\.", "neck.conv2."),
    (r"neck\.3\.", "neck.layer_norm2."),
    (r"mask_downscaling\.0\.", "mask_embed.conv1."),
    (r"mask_downscaling\.1\.", "mask_embed.layer_norm1."),
    (r"mask_downscaling\.3\.", "mask_embed.conv2."),
    (r"mask_downscaling\.4\.", "mask_embed.layer_norm2."),
    (r"mask_downscaling\.6\.", "mask_embed.conv3."),
    (r"point_embeddings\.", "point_embed."),
    (r"pe_layer\.positional_encoding_gaussian_matrix", "shared_embedding.positional_embedding"),
    (r"^(mask_decoder\.transformer\..*?)\.norm(\d|_final_attn)\.", r"\1.layer_norm\2."),
    (r"^mask_decoder\.transformer\.norm_final_attn\.", "mask_decoder.transformer.layer_norm_final_attn."),
    (r"output_upscaling\.0\.", "upscale_conv1."),
    (r"output_upscaling\.1\.", "upscale_layer_norm."),
    (r"output_upscaling\.3\.", "upscale_conv2."),
    (r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.0\.", r"\1.proj_in."),
    (r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.1\.", r"\1.layers.0."),
    (r"^(mask_decoder\.(?:iou_prediction_head|output_hypernetworks_mlps\.\d+))\.layers\.2\.", r"\1.proj_out."),
)
"""Pattern of segment_anything's names -> transformers', one after the other.  Source: transformers' converter."""
_PATCH = 16


def transformers_keys(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Weights of segment_anything under the names of ``SamModel``; the shared positions stand at both places."""
    out = {}
    for key, value in state.items():
        if key in ("pixel_mean", "pixel_std"):
            continue
        for pattern, name in _PARTS:
            key = re.sub(pattern, name, key)
        out[key] = value
    shared = "prompt_encoder.shared_embedding.positional_embedding"
    if shared in out:
        out["shared_image_embedding.positional_embedding"] = out[shared]
    return out


def sam_settings(state: dict[str, torch.Tensor]) -> dict[str, Any]:
    """Settings of ``SamVisionConfig`` that the shapes of segment_anything's weights tell.

    Raises:
        KeyError: They are not segment_anything's.
    """
    grid, width = (int(state["image_encoder.pos_embed"].shape[i]) for i in (1, 3))
    tables = {
        int(key.split(".")[2]): value for key, value in state.items() if key.endswith(".attn.rel_pos_h")
    }  # a table of a whole image has 2 * grid - 1 rows, that of a window 2 * 14 - 1
    windowed = [rows for rows in (len(value) for value in tables.values()) if rows != 2 * grid - 1]
    return {
        "hidden_size": width,
        "num_hidden_layers": len(tables),
        "num_attention_heads": width // int(tables[0].shape[1]),
        "global_attn_indexes": sorted(i for i, value in tables.items() if len(value) == 2 * grid - 1),
        "mlp_dim": len(state["image_encoder.blocks.0.mlp.lin1.weight"]),
        "image_size": grid * _PATCH,
        "window_size": (windowed[0] + 1) // 2 if windowed else 14,
    }


def sam_folder_of(path: Path, library: Any) -> tuple[Any, Any, dict[str, str]]:
    """transformers' model and processor with the weights of segment_anything's file, and the file's SHA-256 by name.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is no file of ViT-H, L or B.
    """
    state = read_sam_state(path, "predictors.NAME.checkpoint")
    try:
        settings = sam_settings(state)
    except KeyError as error:
        raise DataError(f"{path}: is no file of segment_anything; {looks_like(state)}") from error
    side, grid = settings["image_size"], settings["image_size"] // _PATCH
    config = library.SamConfig(
        vision_config=library.SamVisionConfig(**settings).to_dict(),
        prompt_encoder_config={"image_size": side, "image_embedding_size": grid},
    )
    model, renamed = library.SamModel(config).eval(), transformers_keys(state)
    problem = compare_keys(renamed, model.state_dict())
    if problem:
        raise DataError(f"{path}: these weights do not fit SAM; {looks_like(state)} ({problem})")
    model.load_state_dict(renamed)
    pixels = library.SamImageProcessor(size={"longest_edge": side}, pad_size={"height": side, "width": side})
    return model, library.SamProcessor(pixels), {path.name: sha256_of(path)}
