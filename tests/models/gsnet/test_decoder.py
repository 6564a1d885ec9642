"""The decoder and the projections before it, against plain forms."""

import pytest
import torch
from torch import nn

from rsseg.models.gsnet import ResidualDecoder, StreamProjections
from rsseg.models.gsnet.encoder import scaling


def _maps() -> list[torch.Tensor]:
    return [torch.randn(2, 12, 8, 8), torch.randn(2, 6, 16, 16)]


def _decoder(guidance: tuple[str, ...]) -> ResidualDecoder:
    torch.manual_seed(0)
    return ResidualDecoder(32, (32, 16), guidance, (12, 6), (16, 8))


def test_decoder_is_the_plain_one(plain) -> None:
    module, x, clip, dino = _decoder(("clip", "dino")), torch.randn(2, 5, 32, 4, 4), _maps(), _maps()
    out = module(x, clip, dino)
    assert out.shape == (2, 5, 16, 16)
    torch.testing.assert_close(out, plain.decoder(module, x, clip, dino), rtol=1e-5, atol=1e-5)


def test_classes_are_decoded_in_parts_without_gradients() -> None:
    module, x, clip, dino = _decoder(("clip", "dino")), torch.randn(2, 40, 32, 4, 4), _maps(), _maps()
    with torch.no_grad():
        parts = module(x, clip, dino)
    torch.testing.assert_close(parts, module(x, clip, dino).detach(), rtol=1e-5, atol=1e-5)


def test_stages_as_equation_5_prints_them() -> None:
    torch.manual_seed(0)
    module = ResidualDecoder(32, (32, 16), ("clip", "dino"), (12, 6), (16, 8), as_printed=True)
    x, clip, dino = torch.randn(2, 3, 32, 4, 4), _maps(), _maps()
    z = x
    for i, stage in enumerate((module.Fusiondecoder1, module.Fusiondecoder2)):
        general = module.CLIP_decoder_guidance_projection[i](clip[i]).repeat_interleave(3, 0)
        special = module.DINO_decoder_guidance_projection[i](dino[i]).repeat_interleave(3, 0)
        joined = torch.cat([stage.up(z.flatten(0, 1)), general, special], dim=1)
        assert stage.reduction.bias is not None and stage.reduction.kernel_size == (3, 3)
        z = stage.conv(stage.reduction(joined)).unflatten(0, (2, 3))  # AGR(AGR(conv(D(Z) + F^G + F^S)))
    expected = module.head(z.flatten(0, 1))[:, 0].unflatten(0, (2, 3))
    torch.testing.assert_close(module(x, clip, dino), expected, rtol=1e-5, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(module(x, clip, dino), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("guidance", [("clip",), ("dino",), ()])
def test_streams_may_be_left_out(guidance: tuple[str, ...]) -> None:
    module, x = _decoder(guidance), torch.randn(2, 3, 32, 4, 4)
    maps = {name: _maps() for name in guidance}
    out = module(x, **maps)
    assert out.shape == (2, 3, 16, 16)
    assert not any(name.upper() in key for key in module.state_dict() for name in {"clip", "dino"} - set(guidance))
    if guidance:
        with pytest.raises(ValueError, match="no such encoder"):
            module(x)


def test_unknown_streams_are_named() -> None:
    with pytest.raises(ValueError, match="'clip' and 'dino', each at most once"):
        ResidualDecoder(guidance=("sam",))


@pytest.mark.parametrize(
    ("grid", "target", "kind", "factor"),
    [(24, 48, nn.ConvTranspose2d, 2), (24, 96, nn.ConvTranspose2d, 4), (48, 48, nn.Conv2d, 1), (48, 24, nn.Conv2d, 2)],
)
def test_a_change_of_grid_is_one_layer(grid: int, target: int, kind: type[nn.Module], factor: int) -> None:
    layer = scaling(4, 6, grid, target)
    assert type(layer) is kind
    assert layer.kernel_size == layer.stride == (factor, factor)
    assert layer(torch.zeros(1, 4, grid, grid)).shape == (1, 6, target, target)


def test_a_grid_that_does_not_fit_is_named() -> None:
    with pytest.raises(ValueError, match="20 x 20 positions cannot be resized to 48 x 48"):
        scaling(4, 6, 20, 48)


def test_projections_are_the_releases() -> None:
    shapes = {key: tuple(value.shape) for key, value in StreamProjections(24, 768, 512, 48).state_dict().items()}
    assert {key: shape for key, shape in shapes.items() if key.endswith("weight")} == {
        "upsample1.weight": (768, 256, 2, 2),
        "upsample2.weight": (768, 128, 4, 4),
        "dino_decod_proj1.weight": (256, 768, 1, 1),
        "dino_decod_proj2.weight": (768, 128, 2, 2),
        "dino_down_sample.weight": (512, 768, 2, 2),
    }
    assert not StreamProjections(24, 768, 512, guidance=("dino",)).state_dict()
