"""The aggregator against its plain form: repeated guidance, padded classes, attention matrices in full."""

import pytest
import torch

from rsseg.models.gsnet.aggregator import Aggregator, linear_attention, shift_mask, window_order

GRID, EMBED, CHANNELS = 8, 24, 16


def _module() -> Aggregator:
    torch.manual_seed(0)
    module = Aggregator(GRID, EMBED, CHANNELS, heads=2, window=4)
    with torch.no_grad():
        for value in module.parameters():
            value.add_(torch.randn_like(value) * 0.2)
    return module


def _inputs(classes: int) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(classes)
    images = 2 if classes < 100 else 1
    x, clip = torch.rand(images, classes, CHANNELS, GRID, GRID), torch.randn(images, EMBED, GRID, GRID)
    return x, clip, torch.randn(classes, EMBED)


def test_windows_come_one_after_the_other() -> None:
    assert window_order(4, 2, 0).tolist() == [0, 1, 4, 5, 2, 3, 6, 7, 8, 9, 12, 13, 10, 11, 14, 15]
    assert window_order(4, 2, 1).tolist()[:4] == [5, 6, 9, 10]
    assert window_order(4, 2, 1).tolist()[-4:] == [15, 12, 3, 0]


def test_only_neighbours_see_each_other_after_a_shift() -> None:
    mask = shift_mask(4, 2, 1)
    assert mask.shape == (4, 4, 4)
    assert not mask[0].any()
    # the second window holds columns 3 and 0 of rows 1 and 2
    assert mask[1, 0].tolist() == [0, -100, 0, -100]
    assert (mask[3] == 0).sum() == 4  # the corners of the image, each for itself


def test_padding_in_closed_form_is_padding() -> None:
    torch.manual_seed(0)
    q, k, v = torch.rand(3, 2, 5, 4)
    key, value = torch.rand(2, 1, 1, 4)
    padded = [torch.cat([x, extra.expand(2, 7, 4)], 1) for x, extra in ((q, key), (k, key), (v, value))]
    closed = linear_attention(q, k, v, (key, value, 7))
    torch.testing.assert_close(closed, linear_attention(*padded)[:, :5])
    weights = padded[0] @ padded[1].transpose(1, 2)
    explicit = weights @ padded[2] / (weights.sum(-1, keepdim=True) + 1e-6)
    torch.testing.assert_close(closed, explicit[:, :5])


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("classes", [1, 4, 5, 40, 256, 300])
def test_aggregator_is_the_plain_one(plain, classes: int, training: bool) -> None:
    module, inputs = _module().train(training).double(), [x.double() for x in _inputs(classes)]
    with torch.no_grad():
        ours, reference = module(*inputs), plain.aggregator(module, *inputs)
    assert ours.shape == inputs[0].shape
    torch.testing.assert_close(ours, reference, rtol=0, atol=1e-10)
    with torch.no_grad():
        rounded = module.float()(*(x.float() for x in inputs))
    torch.testing.assert_close(rounded, reference.float(), rtol=0, atol=1e-5 * float(reference.abs().max()))


def test_gradients_are_the_plain_ones(plain) -> None:
    module, inputs = _module().double(), [x.double() for x in _inputs(5)]
    weight = torch.rand_like(inputs[0])
    grads = []
    for forward in (module, lambda *x: plain.aggregator(module, *x)):
        module.zero_grad()
        (forward(*inputs) * weight).sum().backward()
        grads.append({name: value.grad.clone() for name, value in module.named_parameters()})
    for name, grad in grads[0].items():
        torch.testing.assert_close(grad, grads[1][name], rtol=1e-8, atol=1e-8, msg=lambda m, n=name: f"{n}: {m}")


def test_parts_make_no_difference() -> None:
    module, inputs = _module().eval().double(), [x.double() for x in _inputs(40)]
    with torch.no_grad():
        parts = module(*inputs)
    torch.testing.assert_close(module(*inputs).detach(), parts, rtol=0, atol=1e-10)


def test_a_grid_of_one_window_is_not_shifted() -> None:
    module = Aggregator(4, EMBED, CHANNELS, heads=2, window=4)
    assert module.layers[0].swin_block.block_2.attn_mask is None
    assert not any("attn_mask" in key for key in module.state_dict())


def test_windows_must_fill_the_grid() -> None:
    with pytest.raises(ValueError, match="grid=8 must be divisible by window=5"):
        Aggregator(8, window=5)
