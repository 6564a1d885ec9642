"""GSNet as a whole: sizes and names, vocabularies, and every number against the plain forms."""

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

KEYS = 648


@pytest.mark.usefixtures("mmseg_scope")
def test_full_size_has_the_releases_parameters(repo) -> None:
    import rsseg.models  # noqa: F401

    config = Config.fromfile(repo / "configs/_base_/models/gsnet.py")
    with torch.device("meta"):
        model = MODELS.build({**config.model, "vocabulary": "openearthmap"})
    parts = dict(encoder=4_523_264, fusion=1_618_560, aggregator=2_009_856, decoder=407_953)
    for name, count in parts.items():
        assert sum(value.numel() for value in getattr(model, name).parameters()) == count, name
    assert sum(value.numel() for value in model.parameters()) == 243_988_242
    trained = {name: value.numel() for name, value in model.named_parameters() if value.requires_grad}
    assert sum(trained.values()) == 29_006_865
    towers = [name for name in trained if name.startswith(("clip.", "dino."))]
    assert len(towers) == 48
    assert all(name.endswith(("q_proj_weight", "v_proj_weight")) for name in towers)
    assert len(model.state_dict()) == KEYS


@pytest.mark.parametrize("classes", [4, 5, 40])
def test_logits_are_the_plain_ones(build, plain, classes: int) -> None:
    model = build(vocabulary=[f"class {i}" for i in range(classes)])
    images = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        out = model(images)
        assert out.shape == (2, classes, 32, 32)
        torch.testing.assert_close(out, plain.view(model, images, model.embed_text()), rtol=1e-5, atol=1e-5)
        larger = model.encode_decode(torch.randn(1, 3, 50, 90))
    assert larger.shape == (1, classes, 50, 90)


def test_a_vocabulary_can_be_changed(build) -> None:
    model, image = build(), torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        before = model.encode_decode(image)
        model.set_vocabulary(["runway", "solar panel"])
        assert model.num_classes == model.out_channels == 2
        assert model.inference(image).shape == (1, 2, 64, 64)
        model.set_vocabulary("potsdam")
        assert model.num_classes == 5
        model.set_vocabulary(["tree", "road", "water"])
        after = model.encode_decode(image)
    torch.testing.assert_close(before, after[:, [1, 2, 0]], rtol=1e-4, atol=1e-4)


def test_texts_follow_the_weights(build) -> None:
    model = build()
    other = build()
    with torch.no_grad():
        first = model.embed_text()
        assert model.embed_text() is first
        other.clip.token_embedding.weight.add_(0.5)
        model.load_state_dict(other.state_dict())
        assert not torch.equal(model.embed_text(), first)
        assert torch.equal(model.embed_text(), other.embed_text())
    assert model.train().embed_text().requires_grad


def test_pixels_below_the_threshold_belong_to_no_class(build) -> None:
    model = build(test_cfg=dict(mode="whole", threshold=0.6))
    scores = torch.tensor([[[0.2, 0.7]], [[0.5, 0.1]], [[0.6, 0.1]]])
    assert model.labels_of(scores).tolist() == [[2, 0]]
    assert model.labels_of(scores - 0.05).tolist() == [[255, 0]]
    model.test_cfg["threshold"] = None
    assert model.labels_of(scores - 0.05).tolist() == [[2, 0]]


def test_a_model_without_specialist(build) -> None:
    with pytest.raises(ValueError, match="no dino"):
        build(dino=None)


def test_unknown_modes_are_named(build) -> None:
    with pytest.raises(ValueError, match="'five_view', 'slide', 'whole'"):
        build(test_cfg=dict(mode="five"))


def test_configs_as_the_paper_has_it(repo) -> None:
    """24 x 24 tokens of both streams: the specialist's maps are enlarged as CLIP's, and nothing is brought down."""
    configs = {name: Config.fromfile(repo / f"configs/landdiscover/gsnet_{name}.py").model
               for name in ("dino_vitb16", "equation5")}  # fmt: skip
    with torch.device("meta"):
        for model in configs.values():
            model.clip.weights = model.dino.weights = None
        paper, printed = (MODELS.build(configs[name]) for name in ("dino_vitb16", "equation5"))
    assert paper.dino.grid == paper.clip.grid == 24
    assert paper.encoder.dino_down_sample.kernel_size == (1, 1)
    factors = [paper.encoder.dino_decod_proj1.stride[0], paper.encoder.dino_decod_proj2.stride[0]]
    assert factors == [2, 4] == [paper.encoder.upsample1.stride[0], paper.encoder.upsample2.stride[0]]
    first = printed.decoder.Fusiondecoder1
    assert tuple(first.reduction.weight.shape) == (64, 160, 3, 3) and first.conv.double_conv[0].in_channels == 64
