"""Features in memory: each image of a scene is encoded once, within a limit."""

from __future__ import annotations

import pytest
import torch

from rsseg.models.remembered import RememberedFeatures


@pytest.fixture
def seen() -> list[int]:
    """How many images were encoded at each call."""
    return []


@pytest.fixture
def encoder(seen: list[int]) -> RememberedFeatures:
    def encode(images: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
        seen.append(len(images))
        return images + 1, [images * 2, None]

    return RememberedFeatures(encode, limit=100)


def test_images_of_a_scene_are_encoded_once(encoder: RememberedFeatures, seen: list[int]) -> None:
    one, two = torch.zeros(1, 1, 2, 2), torch.ones(1, 1, 2, 2)  # 32 bytes of features each
    with torch.inference_mode():
        encoder(one)
        encoder(one)
        assert len(seen) == 2  # there is no scene yet
        encoder.look_at("a")
        first = encoder(one)
        encoder(two)
        assert encoder(one.clone()) is first and len(seen) == 4
        encoder.look_at("a")
        assert encoder(one) is first
        encoder(two.double())  # other numbers; 64 bytes more than the limit
        encoder(two.double())
        assert len(seen) == 6
        with torch.autocast("cpu", torch.bfloat16):
            encoder(two)
        assert len(seen) == 7
        encoder.look_at("b")
        encoder(one)
        assert len(seen) == 8
        encoder.look_at(None)
        encoder(one)
        assert len(seen) == 9
    encoder.look_at("c")
    encoder(one)
    encoder(one)
    assert len(seen) == 11  # with gradients nothing is kept


def test_what_cannot_be_measured_is_not_kept(seen: list[int]) -> None:
    def encode(images: torch.Tensor) -> dict[str, torch.Tensor]:
        seen.append(len(images))
        return {"a": images}

    encoder = RememberedFeatures(encode, 1000)
    encoder.look_at("a")
    with torch.inference_mode():
        encoder(torch.zeros(1))
        encoder(torch.zeros(1))
    assert len(seen) == 2
