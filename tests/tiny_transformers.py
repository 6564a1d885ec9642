"""Small random models of transformers in the layout of the published ones, saved as these are."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SIDE = {"sam": 256, "sam2": 128, "sam3": 112}
WORDS = ("a", "b", "e", "i", "l", "n", "o", "p", "r", "s", "t")


def _vary(model: Any) -> Any:
    """Weights that leave nothing zero or one; equal ones of parts that share them."""
    torch.manual_seed(1)
    for value in {id(value): value for value in model.parameters()}.values():
        value.data += 0.02 * torch.randn_like(value)
    return model.eval()


def sam() -> tuple[Any, Any]:
    """A SAM of two blocks at 256 px, and its processor."""
    import transformers as t

    vision = t.SamVisionConfig(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, global_attn_indexes=[1],
                               mlp_dim=256, image_size=SIDE["sam"])  # fmt: skip
    config = t.SamConfig(
        vision_config=vision.to_dict(), prompt_encoder_config={"image_size": 256, "image_embedding_size": 16}
    )
    pixels = t.SamImageProcessor(size={"longest_edge": 256}, pad_size={"height": 256, "width": 256})
    return _vary(t.SamModel(config)), t.SamProcessor(pixels)


def sam2() -> tuple[Any, Any]:
    """A SAM 2 of five blocks at 128 px, and its processor."""
    import transformers as t

    hiera = t.Sam2HieraDetConfig(
        hidden_size=16, embed_dim_per_stage=[16, 32, 64, 128], num_attention_heads_per_stage=[1, 2, 4, 8],
        blocks_per_stage=[1, 1, 2, 1], global_attention_blocks=[3], image_size=[128, 128],
    )  # fmt: skip
    vision = t.Sam2VisionConfig(
        backbone_config=hiera, backbone_channel_list=[128, 64, 32, 16],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
    )  # fmt: skip
    config = t.Sam2Config(vision_config=vision, prompt_encoder_config={"image_size": 128})
    pixels = t.Sam2ImageProcessor(size={"height": 128, "width": 128})
    return _vary(t.Sam2Model(config)), t.Sam2Processor(pixels)


def _sam3_vision() -> Any:
    import transformers as t

    vit = t.Sam3ViTConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
                          global_attn_indexes=[1], image_size=112, window_size=4)  # fmt: skip
    return t.Sam3VisionConfig(backbone_config=vit, backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]])


def sam3_tracker() -> tuple[Any, Any]:
    """SAM 3's tracker with a ViT of two blocks at 112 px, and its processor."""
    import transformers as t

    config = t.Sam3TrackerConfig(vision_config=_sam3_vision(), prompt_encoder_config={"image_size": 112})
    pixels = t.Sam3ImageProcessor(size={"height": 112, "width": 112})
    return _vary(t.Sam3TrackerModel(config)), t.Sam3TrackerProcessor(pixels)


def sam3_config() -> Any:
    """Settings of a small SAM 3 that reads texts: 12 queries, one layer of each kind."""
    import transformers as t

    text = dict(model_type="clip_text_model", vocab_size=3 * len(WORDS) + 2, hidden_size=32, intermediate_size=64,
                projection_dim=16, num_hidden_layers=1, num_attention_heads=2, max_position_embeddings=32,
                bos_token_id=0, eos_token_id=1, pad_token_id=1)  # fmt: skip
    small = dict(num_layers=1, intermediate_size=64)
    return t.Sam3Config(
        vision_config=_sam3_vision(), text_config=text, geometry_encoder_config=dict(**small),
        detr_encoder_config=dict(**small), detr_decoder_config=dict(**small, num_queries=12),
    )  # fmt: skip


def sam3_text(folder: Path) -> tuple[Any, Any]:
    """SAM 3's detector, and its processor with a tokenizer of single letters, whose files are written to a folder."""
    import transformers as t

    model = t.Sam3Model(sam3_config())
    pixels = t.Sam3ImageProcessor(size={"height": 112, "width": 112})
    return _vary(model), t.Sam3Processor(pixels, tokenizer(folder))


def tokenizer(folder: Path) -> Any:
    """CLIP's tokenizer, which knows letters and nothing longer."""
    import transformers as t

    folder.mkdir(parents=True, exist_ok=True)
    names = ["<|startoftext|>", "<|endoftext|>", *WORDS, *(f"{letter}</w>" for letter in WORDS)]
    (folder / "vocab.json").write_text(json.dumps({name: i for i, name in enumerate(names)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return t.CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))


def save(made: tuple[Any, Any], folder: Path) -> Path:
    """Save model and processor to a folder, as the published ones are."""
    for part in made:
        part.save_pretrained(folder)
    return folder


TRACKERS: dict[str, Callable[[], tuple[Any, Any]]] = {"sam": sam, "sam2": sam2, "sam3": sam3_tracker}


def save_sam3_video(folder: Path) -> Path:
    """SAM 3 as on the hub: one file with ``detector_model``, ``tracker_model`` and ``tracker_neck``, one config."""
    import transformers as t
    from safetensors.torch import save_file

    options: dict[str, Any] = {"prompt_encoder_config": {"image_size": 112}, "image_size": 112}
    tracker = t.Sam3TrackerVideoConfig(vision_config=_sam3_vision(), **options)
    config = t.Sam3VideoConfig(detector_config=sam3_config().to_dict(), tracker_config=tracker.to_dict())
    model = _vary(t.Sam3VideoModel(config))
    pixels = t.Sam3ImageProcessor(size={"height": 112, "width": 112})
    t.Sam3Processor(pixels, tokenizer(folder)).save_pretrained(folder)
    model.config.save_pretrained(folder)
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    return folder
