"""Features in files: equal to those computed, found again, never taken for those of other pixels or weights."""

from __future__ import annotations

import copy
import errno
import os

import pytest
import torch
from mmseg.registry import MODELS

import rsseg.models  # noqa: F401  (registers them)
from rsseg.errors import ConfigError

pytest.importorskip("timm")
pytestmark = pytest.mark.usefixtures("mmseg_scope")
DINO = dict(
    type="DINOv3", name="vit_small_patch16_dinov3", settings=dict(embed_dim=32, depth=4, num_heads=2), tune="frozen"
)


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    return MODELS.build(dict(type="Cached", encoder=DINO, folder=str(tmp_path / "features")))


def counts(model):
    return model.feature_store.found, model.feature_store.computed


def test_features_are_those_of_the_encoder_and_computed_once(model, tmp_path):
    plain = MODELS.build(DINO).eval()
    plain.load_state_dict(model.state_dict())
    assert model.state_dict().keys() == plain.state_dict().keys() and type(model).__name__ == "DINOv3"
    images = torch.randn(3, 3, 32, 48)
    first = model.train()(images[:2])
    again = model(images)
    assert counts(model) == (2, 3)
    for one, other in zip(again, plain(images), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
    assert all(torch.equal(one, other[:2]) for one, other in zip(first, again, strict=True))
    other = MODELS.build(dict(type="Cached", encoder=DINO, folder=str(tmp_path / "features")))
    other.load_state_dict(plain.state_dict())
    assert all(torch.equal(one, two) for one, two in zip(other(images), again, strict=True))
    assert counts(other) == (3, 0), "another run finds them"


def test_other_pixels_weights_settings_and_precision_have_files_of_their_own(model, tmp_path):
    image = torch.randn(1, 3, 32, 32)
    before = model(image)
    changed = image.clone()
    changed[0, 0, 0, 0] += 1e-3
    model(changed)
    assert counts(model) == (0, 2)
    with torch.no_grad():
        model.encoder.blocks[0].attn.proj.weight.mul_(3)
    assert not torch.equal(model(image)[3], before[3]) and counts(model) == (0, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        model(image)
    assert counts(model) == (0, 4)
    other = MODELS.build(dict(type="Cached", encoder={**DINO, "norm": False}, folder=str(tmp_path / "features")))
    other.load_state_dict(model.state_dict())
    other(image)
    assert counts(other) == (0, 1)


def test_encoders_that_are_given_as_modules_are_told_apart(tmp_path):
    image, found = torch.randn(1, 3, 32, 32), []
    for options in (dict(out_indices=(1, 3)), dict(out_indices=(3,)), dict(norm=False), {}):
        torch.manual_seed(0)
        model = MODELS.build(dict(type="Cached", encoder=MODELS.build({**DINO, **options}), folder=str(tmp_path)))
        found.append((len(model(image)), *counts(model)))
    assert found == [(2, 0, 1), (1, 0, 1), (4, 0, 1), (4, 0, 1)]


def test_weights_that_are_written_aside_count_from_the_next_mode_on(model):
    """An average of weights that takes their place for a validation writes to ``data``, which counts no version."""
    image = torch.randn(1, 3, 32, 32)
    before = model.train()(image)[3]
    model.encoder.norm.weight.data.mul_(3)
    assert not torch.equal(model.eval()(image)[3], before) and counts(model) == (0, 2)
    model.encoder.norm.weight.data.div_(3)
    assert torch.equal(model.train()(image)[3], before) and counts(model) == (1, 2)


def test_damaged_files_are_written_anew(model, tmp_path):
    image = torch.randn(1, 3, 32, 32)
    before = model(image)
    (file,) = (tmp_path / "features").glob("*/*.pth")
    for data in (file.read_bytes()[:100], b"", b"features"):
        file.write_bytes(data)
        assert all(torch.equal(one, other) for one, other in zip(model(image), before, strict=True))
    model(image)
    assert counts(model) == (1, 4)


def test_a_full_disk_ends_no_training(model, tmp_path, monkeypatch):
    number = errno.ENOSPC

    def fail(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(torch, "save", fail)
    images = torch.randn(3, 3, 32, 32)
    assert model(images)[3].shape == (3, 32, 2, 2) and model.feature_store.limit == 0
    assert not [path for path in (tmp_path / "features").rglob("*") if path.is_file()]
    number = errno.EIO
    with pytest.raises(OSError, match="cannot write"):
        MODELS.build(dict(type="Cached", encoder=DINO, folder=str(tmp_path / "other")))(images)


def test_a_decoder_learns_from_them(model):
    head = torch.nn.Conv2d(32, 2, 1)
    images = torch.randn(2, 3, 32, 32)
    for _ in range(2):
        maps = model(images)
        assert not maps[3].requires_grad
        head(maps[3]).sum().backward()
    assert counts(model) == (2, 2) and head.weight.grad is not None


def test_the_limit_is_kept(tmp_path):
    model = MODELS.build(dict(type="Cached", encoder=DINO, folder=str(tmp_path), limit_gb=3e-6))  # one image: 2 kB
    for _ in range(2):
        torch.manual_seed(1)
        model(torch.randn(3, 3, 32, 32))
    assert len(list(tmp_path.glob("*/*.pth"))) == 1 and counts(model) == (1, 5)


def test_trained_encoders_are_refused(tmp_path):
    for encoder in ({**DINO, "tune": "full"}, dict(type="ResNet", depth=18)):
        with pytest.raises(ConfigError, match=r"frozen \(tune='frozen'\); of (DINOv3|ResNet) \S+ is trained"):
            MODELS.build(dict(type="Cached", encoder=copy.deepcopy(encoder), folder=str(tmp_path)))
    tuned = dict(type="Tuned", encoder=dict(type="ResNet", depth=18), tune="frozen")
    MODELS.build(dict(type="Cached", encoder=tuned, folder=str(tmp_path)))
