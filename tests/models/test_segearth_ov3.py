"""SegEarth-OV3 on a small random SAM 3: the library's own answers, the rule that fuses them, windows, and the doors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image
from torch.nn import functional

import rsseg
from rsseg.models.sam3 import SAM3, Answer
from rsseg.models.segearth_ov3 import fuse
from tests import tiny_transformers as tiny

transformers = pytest.importorskip("transformers")
WORDS = ["plain", "stone,tile", "plane"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A SAM 3 as the library saves it."""
    root = tmp_path_factory.mktemp("sam3")
    return tiny.save(tiny.sam3_text(root / "tokenizer"), root / "model")


@pytest.fixture(scope="module")
def config(folder, repo):
    """Config of the model with windows of 64 pixels."""
    from mmengine.registry import init_default_scope

    init_default_scope("mmseg")
    cfg = Config(dict(model=Config.fromfile(repo / "configs/_base_/models/segearth_ov3.py").model.to_dict()))
    cfg.model.sam3.update(weights=str(folder), resolution=64)
    cfg.model.test_cfg.stride = 48
    cfg.model.vocabulary = WORDS
    cfg.custom_imports = dict(imports=["rsseg.models"])
    cfg.dump(folder / "config.py")
    return folder / "config.py"


@pytest.fixture
def build(config):
    def make(**changes):
        model = MODELS.build({**Config.fromfile(config).model.to_dict(), **changes}).eval()
        model.init_weights()
        return model

    return make


@pytest.fixture(scope="module")
def library(folder):
    """Answers of the library's own call: ``library(image, text)``, with the image (H, W, 3) uint8."""
    model = transformers.Sam3Model.from_pretrained(folder).eval()
    processor = transformers.Sam3Processor.from_pretrained(folder)

    def ask(image, text):
        inputs = processor(images=image, text=text, return_tensors="pt")
        inputs.pop("original_sizes")
        with torch.no_grad():
            return model(**inputs)

    return ask


def _image(height, width):
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def _normalised(image):
    return (torch.from_numpy(image).permute(2, 0, 1).float() - 127.5) / 127.5


def _rule(out, size, confidence=0.1):
    """The paper's: masks times their scores and the semantic map, the larger; all times the presence."""
    presence = out.presence_logits.sigmoid()[0]
    masks = functional.interpolate(out.pred_masks, size, mode="bilinear", align_corners=False).sigmoid()[0]
    scores = out.pred_logits[0].sigmoid() * presence
    kept = scores > confidence
    semantic = functional.interpolate(out.semantic_seg, size, mode="bilinear", align_corners=False).sigmoid()[0]
    return torch.cat([masks[kept] * scores[kept, None, None], semantic]).amax(0) * presence


def test_answers_are_those_of_the_library_bit_by_bit(folder, library):
    sam3, image = SAM3(str(folder)), _image(50, 80)
    sam3.init_weights()
    encoded = sam3.encode(torch.from_numpy(image).permute(2, 0, 1))
    for text in ("plane", "stone"):
        answer, theirs = sam3.ask(encoded, text), library(image, text)
        presence = theirs.presence_logits[0].sigmoid()
        assert torch.equal(answer.masks, theirs.pred_masks[0]) and torch.equal(answer.boxes, theirs.pred_boxes[0])
        assert torch.equal(answer.scores, theirs.pred_logits[0].sigmoid() * presence)
        assert torch.equal(answer.semantic, theirs.semantic_seg[0, 0])


def test_masks_and_the_semantic_map_are_fused_by_hand():
    """One query of two counts; 0.5 of presence; all sizes equal, so that nothing is enlarged."""
    large = torch.tensor([[[9.0, -9]], [[9, 9]]])
    answer = Answer(large, torch.zeros(2, 4), torch.tensor([0.8, 0.1]), torch.tensor(0.5), torch.tensor([[-9.0, 0]]))
    torch.testing.assert_close(fuse(answer, (1, 2), 0.1), torch.tensor([[0.4, 0.25]]), atol=1e-4, rtol=0)


def test_scores_of_classes_by_the_rule(build, library):
    model, image = build(test_cfg=dict(mode="whole"), background="plain", background_threshold=0.2), _image(48, 60)
    out = model.inference(_normalised(image)[None])[0]
    names = [_rule(library(image, name), (48, 60)) for name in ("plain", "stone", "tile", "plane")]
    expected = torch.stack([names[0].clamp(min=0.2), torch.maximum(names[1], names[2]), names[3]])
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)
    assert model.labels_of(torch.tensor([[[0.2]], [[0.1]], [[0.15]]])).tolist() == [[0]]


def test_windows_are_averaged(build, library):
    model, image = build(vocabulary=["plane"]), _image(64, 100)  # windows at x = 0 and 36
    out = model.inference(_normalised(image)[None])[0, 0]
    left, right = (_rule(library(image[:, x : x + 64], "plane"), (64, 64)) for x in (0, 36))
    torch.testing.assert_close(out[:, :36], left[:, :36], rtol=0, atol=1e-6)
    torch.testing.assert_close(out[:, 36:64], (left[:, 36:] + right[:, :28]) / 2, rtol=0, atol=1e-6)
    torch.testing.assert_close(out[:, 64:], right[:, 28:], rtol=0, atol=1e-6)


def test_it_segments_without_a_checkpoint(config, tmp_path):
    Image.fromarray(_image(40, 60)).save(tmp_path / "x.png")
    model = rsseg.load_model(config, vocabulary='plane, "stone, tile"', device="cpu")
    labels = model.predict(tmp_path / "x.png")
    assert labels.shape == (40, 60) and set(np.unique(labels)) <= {0, 1} and model.classes == ("plane", "stone, tile")
    again = rsseg.segment(tmp_path / "x.png", config, out=tmp_path / "out", device="cpu")
    assert again.shape == (40, 60) and (tmp_path / "out" / "x_overlay.png").is_file()


def test_it_takes_no_memory_until_it_is_asked_for_its_weights(config):
    model = MODELS.build(Config.fromfile(config).model).to("cpu")
    assert all(value.is_meta for value in model.clip.model.parameters()) and not model.clip.loaded
    model.init_weights()
    assert not any(value.is_meta or value.requires_grad for value in model.parameters())
    assert [file.rsplit("/", 1)[1] for file in model.weight_files] == ["model.safetensors"]


def test_the_doors(build, config, folder, tmp_path):
    with pytest.raises(ValueError, match="SegEarthOV3 is not trained"):
        build().loss(torch.zeros(1, 3, 32, 32), [])
    with pytest.raises(ValueError, match=r"test_cfg.mode='five_view': expected one of: 'slide', 'whole'"):
        build(test_cfg=dict(mode="five_view"))
    model = MODELS.build({**Config.fromfile(config).model.to_dict(), "sam3": dict(type="SAM3")})
    with pytest.raises(ValueError, match=r"model\.sam3\.weights names no folder"):
        _ = model.weight_files
    with pytest.raises(ValueError, match="SAM3 needs weights: the folder of a saved model, or hf://facebook/sam3"):
        model.init_weights()
    long = SAM3(str(folder))
    long.init_weights()
    with pytest.raises(ValueError, match="has 42 tokens, but SAM 3 reads at most 32; shorten the name"):
        long.ask(None, "stone" * 8)
    long.loaded, long.weights = False, str(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        long.init_weights()
