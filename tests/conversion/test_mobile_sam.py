"""MobileSAM: the public file's keys, TinyViT's geometry, and masks from a made-up checkpoint."""

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from rsseg.conversion import Prompts, SAMPredictor
from rsseg.conversion.predictors.mobile_sam import TinyViTEncoder, from_public_keys
from rsseg.conversion.predictors.sam_models import ENCODERS, build_sam

pytest.importorskip("segment_anything")
Shapes = dict[str, tuple[int, ...]]
SMALL = {**ENCODERS["vit_t"], "img_size": 128}  # the weights of TinyViT do not depend on the size of the image
SIDES = (7, 7, 14, 7)


def _unit(name: str, out: int, each: int, kernel: int) -> Shapes:
    """A convolution and its batch norm, as the public file names them."""
    norm = {f"{name}.bn.{part}": (out,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {f"{name}.c.weight": (out, each, kernel, kernel), **norm, f"{name}.bn.num_batches_tracked": ()}


def _pair(name: str, out: int, into: int) -> Shapes:
    return {f"{name}.weight": (out, into), f"{name}.bias": (out,)}


def _norm(name: str, channels: int) -> Shapes:
    return {f"{name}.weight": (channels,), f"{name}.bias": (channels,)}


def _attention_block(name: str, width: int, heads: int, side: int) -> Shapes:
    return {
        f"{name}.attn.attention_biases": (heads, side * side),
        **_norm(f"{name}.attn.norm", width),
        **_pair(f"{name}.attn.qkv", 3 * width, width),
        **_pair(f"{name}.attn.proj", width, width),
        **_norm(f"{name}.mlp.norm", width),
        **_pair(f"{name}.mlp.fc1", 4 * width, width),
        **_pair(f"{name}.mlp.fc2", width, 4 * width),
        **_unit(f"{name}.local_conv", width, 1, 3),
    }


def _public_encoder() -> Shapes:
    """Keys and shapes of image_encoder in mobile_sam.pt, written down from its public definition."""
    shapes = {**_unit("patch_embed.seq.0", 32, 3, 3), **_unit("patch_embed.seq.2", 64, 32, 3)}
    for i in range(2):
        block = f"layers.0.blocks.{i}"
        shapes |= {**_unit(f"{block}.conv1", 256, 64, 1), **_unit(f"{block}.conv2", 256, 1, 3)}
        shapes |= _unit(f"{block}.conv3", 64, 256, 1)
    for stage, (width, depth, heads) in enumerate([(128, 2, 4), (160, 6, 5), (320, 2, 10)], start=1):
        for i in range(depth):
            shapes |= _attention_block(f"layers.{stage}.blocks.{i}", width, heads, SIDES[stage])
    for stage, (width, after) in enumerate([(64, 128), (128, 160), (160, 320)]):
        merging = f"layers.{stage}.downsample"
        shapes |= {**_unit(f"{merging}.conv1", after, width, 1), **_unit(f"{merging}.conv2", after, 1, 3)}
        shapes |= _unit(f"{merging}.conv3", after, after, 1)
    shapes |= {**_norm("norm_head", 320), **_pair("head", 1000, 320)}
    shapes |= {"neck.0.weight": (256, 320, 1, 1), "neck.2.weight": (256, 256, 3, 3)}
    shapes |= {**_norm("neck.1", 256), **_norm("neck.3", 256)}
    return {f"image_encoder.{name}": shape for name, shape in shapes.items()}


def _public_file() -> dict[str, torch.Tensor]:
    """A made-up mobile_sam.pt: random values under the public keys."""
    torch.manual_seed(0)
    state = {key: value for key, value in build_sam(SMALL).state_dict().items() if "image_encoder" not in key}
    for key, shape in _public_encoder().items():
        if key.endswith("num_batches_tracked"):
            state[key] = torch.tensor(0)
        elif key.endswith("running_var"):
            state[key] = torch.rand(shape) + 0.5
        else:
            state[key] = torch.randn(shape) * (0.1 if len(shape) > 1 else 0.5)
    return state


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mobile_sam") / "mobile_sam.pt"
    torch.save(_public_file(), path)
    return path


def test_every_public_key_has_its_place() -> None:
    public = {key: torch.empty(shape) for key, shape in _public_encoder().items()}
    assert len(public) == 302
    renamed, left_out = from_public_keys(public)
    head = ["image_encoder.norm_head.weight", "image_encoder.norm_head.bias"]
    assert left_out == [*head, "image_encoder.head.weight", "image_encoder.head.bias"]
    own = {f"image_encoder.{key}": value.shape for key, value in TinyViTEncoder().state_dict().items()}
    assert own == {key: value.shape for key, value in renamed.items()}


def test_other_keys_keep_their_names() -> None:
    state = {"mask_decoder.c.bn.weight": torch.zeros(1), "image_encoder.layers.0.conv1.bn.bias": torch.zeros(1)}
    renamed, left_out = from_public_keys(state)
    assert list(renamed) == ["mask_decoder.c.bn.weight", "image_encoder.layers.0.conv1.bn2d.bias"]
    assert left_out == []


@pytest.mark.parametrize("size", [64, 128])
def test_the_embedding_lies_at_stride_16(size: int) -> None:
    encoder = TinyViTEncoder(size, embed_dims=(8, 8, 10, 20)).eval()
    assert encoder(torch.zeros(2, 3, size, size)).shape == (2, 256, size // 16, size // 16)
    with pytest.raises(ValueError, match="multiple of 16, not 100"):
        TinyViTEncoder(100)


def test_attention_uses_the_biases_that_were_loaded_last() -> None:
    torch.manual_seed(0)
    sizes = {"img_size": 64, "embed_dims": (8, 8, 10, 20), "num_heads": (1, 2, 2, 2)}
    encoder, image = TinyViTEncoder(**sizes).eval(), torch.randn(1, 3, 64, 64)
    before = encoder(image)
    state = {k: torch.randn(v.shape) if "biases" in k else v for k, v in encoder.state_dict().items()}
    encoder.load_state_dict(state)  # in evaluation mode, whose copy of the biases is now out of date
    after = encoder(image)
    assert not torch.equal(after, before)
    assert torch.equal(encoder.train().eval()(image), after)
    assert torch.equal(encoder.double()(image.double()).float().argmax(1), after.argmax(1))  # moved with the weights


def test_a_public_checkpoint_predicts(checkpoint: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "rsseg"):
        ours = SAMPredictor(SMALL, checkpoint=str(checkpoint), device="cpu")
    assert "435 tensors loaded, 4 not used (image_encoder.norm_head.weight" in caplog.text
    image = np.random.default_rng(0).integers(0, 256, (90, 128, 3), dtype=np.uint8)
    boxes = np.array([[5.0, 5, 60, 80], [40, 20, 120, 70]])
    found = ours.predict(image, Prompts(2, boxes=boxes))
    from segment_anything import SamPredictor

    reference = SamPredictor(ours.sam)
    reference.set_image(image)
    for box, mask, score in zip(boxes, found.masks, found.predicted_iou, strict=True):
        expected, iou, _ = reference.predict(box=box, multimask_output=False)
        assert (mask.full((90, 128)) == expected[0]).all()
        assert score == iou[0]


def test_vit_t_is_a_model_name(checkpoint: Path) -> None:
    ours = SAMPredictor("vit_t", checkpoint=str(checkpoint), device="cpu")
    assert ours.describe()["model"] == "vit_t"
    assert ours.sam.image_encoder.img_size == 1024
    weights = torch.load(checkpoint, weights_only=True)
    merging = ours.sam.image_encoder.state_dict()["layers.2.downsample.conv2.conv2d.weight"]
    assert torch.equal(merging, weights["image_encoder.layers.2.downsample.conv2.c.weight"])


def test_keys_that_do_not_fit_are_named(checkpoint: Path, tmp_path: Path) -> None:
    state = torch.load(checkpoint, weights_only=True)
    del state["image_encoder.neck.0.weight"]
    torch.save({**state, "image_encoder.layers.9.c.weight": torch.zeros(1)}, tmp_path / "odd.pt")
    with pytest.raises(ValueError, match=r"1 missing: image_encoder\.neck\.0\.weight; 1 unexpected: image_encoder\.la"):
        SAMPredictor(SMALL, checkpoint=str(tmp_path / "odd.pt"))
    with pytest.raises(ValueError, match=r"do not fit SAM 'vit_b'; they look like vit_t \(MobileSAM\)"):
        SAMPredictor("vit_b", checkpoint=str(checkpoint))
    with pytest.raises(FileNotFoundError, match=r"predictors\.mobile_sam\.checkpoint"):
        SAMPredictor("vit_t", checkpoint=str(tmp_path / "none.pt"))
