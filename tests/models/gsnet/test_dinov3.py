"""DINOv3 as GSNet's specialist: its grid, its own normalisation, training without it, and its config."""

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from rsseg.errors import ConfigError

pytest.importorskip("timm")
NAME = "vit_large_patch16_dinov3.sat493m"
TOY = dict(
    type="DINOv3Specialist",
    name=NAME,
    settings=dict(embed_dim=32, depth=3, num_heads=2),
    resolution=256,
    taps=(0, 1, 2),
)


def test_images_are_normalised_by_the_weights_own_statistics(mmseg_scope):
    import rsseg.models  # noqa: F401

    specialist = MODELS.build(TOY).eval()
    assert (specialist.grid, specialist.channels) == (16, 32)
    grey = 255 * torch.rand(1, 3, 256, 256)
    clip = torch.tensor([[122.7709383, 116.7460125, 104.09373615], [68.5005327, 66.6321579, 70.3231630]]).view(
        2, 1, 3, 1, 1
    )
    own = 255 * torch.tensor([[0.430, 0.411, 0.296], [0.213, 0.156, 0.143]]).view(2, 1, 3, 1, 1)
    plain = MODELS.build(
        {
            **{k: v for k, v in TOY.items() if k not in ("resolution", "taps")},
            "type": "DINOv3",
            "out_indices": (0, 1, 2),
        }
    ).eval()
    plain.load_state_dict(specialist.state_dict())
    with torch.no_grad():
        maps = specialist((grey - clip[0]) / clip[1])
        for one, other in zip(maps, plain((grey - own[0]) / own[1]), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert len(maps) == 3 and maps[0].shape == (1, 32, 16, 16)


def test_gsnet_learns_beside_it(build, mmseg_scope):
    model = build(dino=TOY).train()
    assert not model.dino.encoder.training and not any(value.requires_grad for value in model.dino.parameters())
    streams = model.extract_feat(torch.randn(1, 3, 64, 64))
    assert streams.dino.shape == streams.clip.shape
    model.decode(streams, model.embed_text()).sum().backward()
    assert model.encoder.dino_down_sample.weight.grad is not None


def test_settings_are_checked(mmseg_scope):
    with pytest.raises(ConfigError, match=r"resolution=100, taps=\(0, 1, 2\): the specialist is a transformer"):
        MODELS.build({**TOY, "resolution": 100})
    with pytest.raises(ConfigError, match="in_channels=4: the specialist sees GSNet's images, of 3 bands"):
        MODELS.build({**TOY, "in_channels": 4})
    with pytest.raises(ConfigError, match=r"vit_large_patch16_dinov3: say by a tag which weights .*\.sat493m"):
        MODELS.build({**TOY, "name": NAME.removesuffix(".sat493m")})


def test_the_grid_of_the_config_is_that_of_the_release(repo):
    model = Config.fromfile(repo / "configs/landdiscover/gsnet_dinov3_vitb16.py").model
    assert model.dino.weights == f"hf://timm/{model.dino.name}"
    with torch.device("meta"):
        built = MODELS.build(model.dino)
    assert (built.grid, built.channels, built.out_indices) == (48, 768, [3, 7, 11])
