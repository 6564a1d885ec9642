"""EBSeg's arithmetic by hand: exponents, fused probabilities, seen classes, pooling, the loss of structure."""

import math

import pytest
import torch

from rsseg.models.ebseg import Exponents, fuse_scores, seen_classes, structure_loss
from rsseg.models.ebseg.proposals import pool_masks
from rsseg.models.mask2former.losses import class_masks


def test_exponents_of_the_release() -> None:
    own = Exponents()
    assert own.of(new=False, release=True) == own.of(new=False, release=False) == (1 - 0.09 - 0.7, 0.09, 0.7)
    assert own.of(new=True, release=True) == (0.0, 0.3, 0.7)  # the decoder has no say
    a, b, c = own.of(new=True, release=False)
    assert (a, b, c) == pytest.approx((0.21, 0.79 * 0.3, 0.79 * 0.7))
    assert Exponents(0.12, 0.4, 0.6).of(new=True, release=True) == pytest.approx((0.0, 0.4, 0.6))


@pytest.mark.parametrize("release", [False, True])
def test_probabilities_by_hand(release: bool) -> None:
    own, pooled, recognised = [1.0, -0.5, 2.0], [0.3, 0.1, 9.0], [-1.0, 1.5, -7.0]
    seen = [True, False]

    def softmax(values: list[float]) -> list[float]:
        total = sum(math.exp(value) for value in values)
        return [math.exp(value) / total for value in values]

    void = softmax(own)[2]  # "none" counts for the decoder alone
    parts = [softmax(values[:2]) for values in (own, pooled, recognised)]
    powers = {True: (0.21, 0.09, 0.7), False: (0.0, 0.3, 0.7) if release else (0.21, 0.237, 0.553)}
    products = [
        1e-8 + math.prod(part[i] ** power for part, power in zip(parts, powers[seen[i]], strict=True)) for i in (0, 1)
    ]
    classes = [value / sum(products) * (1 - void) for value in products]
    total = sum(classes) + void + 3e-8
    expected = torch.tensor([(value + 1e-8) / total for value in classes])
    out = fuse_scores(
        *(torch.tensor([[each]]) for each in (own, pooled, recognised)), torch.tensor(seen), release=release
    )
    assert out.shape == (1, 1, 2)
    torch.testing.assert_close(out[0, 0], expected)


def test_a_class_is_seen_if_it_shares_a_name() -> None:
    out = seen_classes(["Road", "sea, ocean", "roads", "low vegetation"], ["road", "lake,  Ocean"])
    assert out.tolist() == [True, True, False, False] and out.dtype == torch.bool


def test_pooling_by_hand() -> None:
    maps = torch.arange(8.0).view(1, 2, 2, 2)  # 0 1 2 3 and 4 5 6 7
    masks = torch.tensor([[[[1.0, 2.0], [-1.0, 0.0]], [[-1.0, -1.0], [-1.0, -1.0]]]])
    assert pool_masks(maps, masks).tolist() == [[[0.5, 4.5], [0.0, 0.0]]]


def test_structure_by_hand() -> None:
    text = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])
    embeddings = torch.tensor([[[2.0, 0.0], [0.0, 1.0], [5.0, 5.0]]]).requires_grad_()
    targets = [class_masks(torch.tensor([[0, 2]]))]
    pairs = [(torch.tensor([0, 1]), torch.tensor([1, 0]))]  # query 0 has class 2, query 1 has class 0
    # likeness of queries [[4, 0], [0, 1]], of texts [[1, 0.6], [0.6, 1]]
    loss = structure_loss(embeddings, text, targets, pairs)
    torch.testing.assert_close(loss, torch.tensor((9 + 0.36 + 0.36 + 0) / 4))
    loss.backward()
    assert embeddings.grad is not None and embeddings.grad[0, 0].any() and not embeddings.grad[0, 2].any()


def test_an_image_without_a_class_has_no_structure() -> None:
    text, embeddings = torch.eye(2), torch.ones(2, 1, 2).requires_grad_()
    none = torch.zeros(0, dtype=torch.long)
    targets = [class_masks(torch.tensor([[0]])), class_masks(torch.tensor([[255]]))]
    pairs = [(torch.tensor([0]), torch.tensor([0])), (none, none)]
    loss = structure_loss(embeddings, text, targets, pairs)
    torch.testing.assert_close(loss, torch.tensor(0.5))  # (2 - 1) ** 2, over two images
    released = structure_loss(embeddings, text, targets, pairs, release=True)
    assert float(released.detach()) == 0.0
    released.backward()
    assert embeddings.grad is not None and not embeddings.grad.any()
