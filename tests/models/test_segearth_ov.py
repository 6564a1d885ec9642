"""SegEarth-OV on a small CLIP of open_clip's: texts, last block, windows and scores by plain formulas; the doors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image
from torch.nn import functional

import rsseg
from rsseg.models.segearth_ov import Synonyms

pytest.importorskip("open_clip")
TOWERS = dict(visual=dict(width=64, layers=2, heads=1, patch=8, grid=4), text=dict(width=64, layers=2, heads=1),
              embed=16, resolution=32)  # fmt: skip
WORDS = ["background", "tree,forest", "water"]


@pytest.fixture(scope="module")
def reference():
    """open_clip's model of these sizes, with weights that leave nothing zero or one."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(1)
    seen = CLIPVisionCfg(layers=2, width=64, head_width=64, patch_size=8, image_size=32)
    model = CLIP(16, seen, CLIPTextCfg(width=64, heads=1, layers=2), quick_gelu=True).eval()
    for value in model.parameters():
        value.data += 0.1 * torch.randn_like(value)
    return model


@pytest.fixture(scope="module")
def config(reference, tmp_path_factory, repo):
    """Config of the model, whose files are that model's and a small upsampler's."""
    from mmengine.registry import init_default_scope

    from rsseg.models import SimFeatUp

    init_default_scope("mmseg")
    folder = tmp_path_factory.mktemp("segearth")
    torch.save(reference.state_dict(), folder / "clip.pt")
    up = SimFeatUp(channels=16, radius=1)
    torch.save(
        {"state_dict": {f"upsampler.{key}": value for key, value in up.state_dict().items()}}, folder / "up.ckpt"
    )
    cfg = Config.fromfile(repo / "configs/_base_/models/segearth_ov.py")
    cfg = Config(dict(model={**cfg.model.to_dict(), "vocabulary": WORDS, "background": "background"}))
    cfg.model.clip = dict(type="CLIP", **TOWERS, weights=str(folder / "clip.pt"))
    cfg.model.upsampler = None
    cfg.model.template = "a {}"
    cfg.model.test_cfg = dict(mode="slide", size=64, stride=16)
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


def plain_features(reference, images):
    """The last block by its formula, over open_clip's own weights: softmax(qq) + softmax(kk) + softmax(vv), on v."""
    inputs, tower = [], reference.visual
    hook = tower.transformer.resblocks[1].register_forward_pre_hook(lambda module, args: inputs.append(args[0]))
    reference.encode_image(images)
    hook.remove()
    block = tower.transformer.resblocks[1]
    q, k, v = functional.linear(block.ln_1(inputs[0]), block.attn.in_proj_weight, block.attn.in_proj_bias).chunk(3, -1)
    weights = sum(torch.softmax(x @ x.transpose(1, 2) * 64**-0.5, -1) for x in (q, k, v))
    return tower.ln_post(block.attn.out_proj(weights @ v)) @ tower.proj


def test_places_by_the_formula_and_texts_as_open_clip_s(build, reference):
    from open_clip import OPENAI_IMAGENET_TEMPLATES, build_zero_shot_classifier, tokenizer

    model, images = build(template="imagenet"), torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        whole, places = model.clip.encode_places(images)
        expected = plain_features(reference, images)
        torch.testing.assert_close(whole, expected[:, 0], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(places.flatten(2).transpose(1, 2), expected[:, 1:], rtol=1e-4, atol=1e-5)
        names = ["background", "tree", "forest", "water"]
        theirs = build_zero_shot_classifier(reference, tokenizer.tokenize, names, OPENAI_IMAGENET_TEMPLATES, 4)
        torch.testing.assert_close(model.embed_text(), theirs.T, rtol=1e-4, atol=1e-5)


def test_classes_take_the_best_of_their_names(build):
    vocabulary = Synonyms(["tree, forest", "water"], "a {}")
    assert vocabulary.prompts == ("a tree", "a forest", "a water") and len(vocabulary) == 2
    scores = torch.tensor([[0.1], [0.5], [0.4]])
    assert vocabulary.by_class(scores).tolist() == [[0.5], [pytest.approx(0.4)]]
    with pytest.raises(ValueError, match=r"none of them empty or repeated \(repeated: \['tree'\]\)"):
        Synonyms(["tree,forest", "tree"], "a {}")
    assert Synonyms.of("potsdam").names[:2] == ("impervious surface,road,parking lot", "building")


def test_probabilities_of_a_window(build, reference):
    """Cosines and -0.3 of the class token's; times 50; softmax over names; the best name; at least 0.4 background."""
    model, image = build(background_threshold=0.4), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        out = model.inference(image)[0]
        features = functional.normalize(plain_features(reference, image), dim=-1)[0]
        cosines = (features[1:] - 0.3 * features[:1]) @ model.embed_text().T
        maps = functional.interpolate(cosines.T.reshape(1, 4, 4, 4), (32, 32), mode="bilinear", align_corners=False)
        larger = model._cosines(image, model.embed_text())
    names = (50 * functional.interpolate(larger, (32, 32), mode="bilinear", align_corners=False)[0]).softmax(0)
    expected = torch.stack([names[0].clamp(min=0.4), names[1:3].amax(0), names[3]])
    torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(model.compare(image, model.embed_text()), maps, rtol=1e-4, atol=1e-5)
    assert (out.max(0)[0] >= 0.4).all()


def test_windows_slide_over_the_fitted_image_and_are_padded_in_the_middle(build):
    model, text = build(), None
    with torch.no_grad():
        text = model.embed_text()
        image = torch.randn(1, 3, 20, 128)  # fitted into 64: 10 x 64 pixels, windows of 10 x 32, padded to 16 x 32
        fitted = functional.interpolate(image, (10, 64), mode="bilinear", align_corners=False)
        total, count = torch.zeros(1, 4, 10, 64), torch.zeros(64)
        for x in (0, 16, 32):
            window = functional.pad(fitted[..., x : x + 32], (0, 0, 3, 3))
            total[..., x : x + 32] += model.compare(window, text)[:, :, 3:13]
            count[x : x + 32] += 1
        torch.testing.assert_close(model._cosines(image, text), total / count, rtol=1e-4, atol=1e-5)


def test_the_upsampler_takes_the_window(build, config):
    up = dict(type="SimFeatUp", channels=16, radius=1, weights=str(config.parent / "up.ckpt"))
    model = build(
        upsampler=up, clip=dict(type="CLIP", **{**TOWERS, "visual": {**TOWERS["visual"], "patch": 16, "grid": 2}})
    )
    with torch.no_grad():
        whole, places = model.extract_feat(torch.randn(1, 3, 32, 48))
    assert whole.shape == (1, 16) and places.shape == (1, 16, 32, 48)
    torch.testing.assert_close(places.norm(dim=1), torch.ones(1, 32, 48))
    with pytest.raises(ValueError, match=r"model.clip.weights names no file"):
        _ = model.weight_files


def test_it_maps_without_a_checkpoint(config, tmp_path):
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(tmp_path / "x.png")
    model = rsseg.load_model(config, vocabulary='runway, "tree, forest"', device="cpu")
    labels = model.predict(tmp_path / "x.png")
    assert labels.shape == (40, 60) and set(np.unique(labels)) <= {0, 1} and model.classes == ("runway", "tree, forest")
    again = rsseg.segment(tmp_path / "x.png", config, out=tmp_path / "out", device="cpu")
    assert again.shape == (40, 60) and (tmp_path / "out" / "x_overlay.png").is_file()


def test_it_is_not_trained(build):
    with pytest.raises(ValueError, match="SegEarthOV is not trained"):
        build().loss(torch.zeros(1, 3, 32, 32), [])
    assert not [name for name, value in build().named_parameters() if value.requires_grad]
