"""TransNorm: the channels' weights by hand, outputs, gradients and running statistics by NumPy, plain files."""

import copy

import numpy as np
import pytest
import timm
import torch
from mmcv.cnn import build_norm_layer
from mmengine.config import ConfigDict
from mmengine.runner.checkpoint import load_state_dict
from mmseg.registry import MODELS
from timm.layers import BatchNormAct2d
from torch import nn

from rsseg.models.adaptation.transnorm import TransNorm, channel_weights, use_transnorm

LOSS = dict(type="CrossEntropyLoss", avg_non_ignore=True)
pytestmark = pytest.mark.usefixtures("mmseg_scope")


def batch(shape=(4, 3, 5, 6)):
    x = np.random.default_rng(0).normal(1, 2, shape)
    x[: len(x) // 2] *= np.arange(1, shape[1] + 1).reshape(-1, *[1] * (len(shape) - 2))
    return x


def test_the_worked_example():
    found = channel_weights(*map(torch.tensor, ((1.0, 0.0), (4.0, 1.0), (1.0, 2.0), (1.0, 1.0))), eps=0.0)
    np.testing.assert_allclose(found, [4 / 3, 2 / 3], rtol=1e-6)


@pytest.mark.parametrize("shape", [(4, 3, 5, 6), (8, 3)])
def test_training_is_that_of_numpy(shape):
    x, rng = batch(shape), np.random.default_rng(1)
    layer = TransNorm(3).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rng.normal(size=3)))
        layer.bias.copy_(torch.tensor(rng.normal(size=3)))
    axes = (0, *range(2, len(shape)))
    halves = np.split(x, 2)
    view = (-1, *[1] * (len(shape) - 2))
    mean = [half.mean(axes) for half in halves]
    var, unbiased = ([half.var(axes, ddof=d) for half in halves] for d in (0, 1))
    distance = abs(mean[0] / np.sqrt(unbiased[0] + 1e-5) - mean[1] / np.sqrt(unbiased[1] + 1e-5))
    alpha = 3 / (1 + distance) / (1 / (1 + distance)).sum()
    weight, bias = layer.weight.detach().numpy().reshape(view), layer.bias.detach().numpy().reshape(view)
    expected = [
        ((half - m.reshape(view)) / np.sqrt(v.reshape(view) + 1e-5) * weight + bias) * (1 + alpha.reshape(view))
        for half, m, v in zip(halves, mean, var, strict=True)
    ]
    np.testing.assert_allclose(layer(torch.tensor(x)).detach(), np.concatenate(expected), rtol=1e-5, atol=1e-6)
    for i, domain in enumerate(("source", "target")):
        np.testing.assert_allclose(getattr(layer, f"running_mean_{domain}"), 0.1 * mean[i], rtol=1e-6)
        np.testing.assert_allclose(getattr(layer, f"running_var_{domain}"), 0.9 + 0.1 * unbiased[i], rtol=1e-6)
    assert layer.num_batches_tracked.item() == 0


def test_no_gradient_goes_through_the_channels_weights():
    x = torch.tensor(batch(), requires_grad=True)
    layer, rng = TransNorm(3).double(), np.random.default_rng(2)
    outer = torch.tensor(rng.normal(size=x.shape))
    (layer(x) * outer).sum().backward()
    means = [half.mean((0, 2, 3)) for half in x.detach().chunk(2)]
    variances = [half.var((0, 2, 3)) for half in x.detach().chunk(2)]
    alpha = channel_weights(means[0], variances[0], means[1], variances[1])
    plain, other = nn.BatchNorm2d(3).double(), x.detach().clone().requires_grad_()
    halves = [plain(half) * (1 + alpha.view(3, 1, 1)) for half in other.chunk(2)]  # alpha is a constant here
    (torch.cat(halves) * outer).sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-5, atol=1e-8)


def test_tests_normalise_by_the_target():
    layer = TransNorm(2).eval()
    layer.running_mean_source.copy_(torch.tensor([1.0, 0.0]))
    layer.running_var_source.copy_(torch.tensor([4.0, 1.0]))
    layer.running_mean_target.copy_(torch.tensor([1.0, 2.0]))
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    out = layer(torch.tensor([[3.0, 3.0]]))  # an odd batch is no error here
    np.testing.assert_allclose(out.detach(), [[2 * 7 / 3, 1 * 5 / 3]], rtol=1e-4)
    assert all(torch.equal(value, before[key]) for key, value in layer.state_dict().items())


@pytest.mark.parametrize("load", [lambda m, s: m.load_state_dict(s), lambda m, s: load_state_dict(m, s, strict=True)])
def test_a_plain_file_sets_both_domains(load):
    plain = nn.Sequential(nn.BatchNorm2d(3))
    plain(torch.tensor(batch()).float())
    state = plain.state_dict()
    keys = list(state)
    model = nn.Sequential(TransNorm(3))
    load(model, state)
    assert list(state) == keys
    for domain in ("source", "target"):
        torch.testing.assert_close(getattr(model[0], f"running_mean_{domain}"), plain[0].running_mean)
        torch.testing.assert_close(getattr(model[0], f"running_var_{domain}"), plain[0].running_var)
    again = nn.Sequential(TransNorm(3))
    model(torch.tensor(batch()).float())
    again.load_state_dict(model.state_dict())
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in model.state_dict().items())
    # both have the same statistics, so each channel counts 1, and results are doubled
    plain.eval(), load(model.eval(), state)
    x = torch.tensor(batch()).float()
    torch.testing.assert_close(model(x), 2 * plain(x))


def test_files_of_old_torch_have_no_counter():
    state = {key: torch.ones(3) for key in ("weight", "bias", "running_mean", "running_var")}
    TransNorm(3).load_state_dict(state)
    with pytest.raises(RuntimeError, match="running_var_source"):
        TransNorm(3).load_state_dict({key: value for key, value in state.items() if key != "running_var"})


def test_it_stands_in_for_any_batch_norm():
    name, layer = build_norm_layer(dict(type="TransNorm", requires_grad=True), 4, postfix=1)
    assert name == "bn1" and isinstance(layer, TransNorm) and layer.weight.tolist() == [1] * 4


def test_what_it_refuses():
    with pytest.raises(ValueError, match="got 3 images in all"):
        TransNorm(2)(torch.zeros(3, 2, 4, 4))
    with pytest.raises(ValueError, match=r"2 channels got an input of shape \(2, 3, 4, 4\)"):
        TransNorm(2)(torch.zeros(2, 3, 4, 4))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_keeps_the_type(dtype):
    x = torch.tensor(batch()).to(dtype)
    assert TransNorm(3)(x).dtype == dtype


def test_a_pretrained_resnet_goes_in(tmp_path):
    small = dict(type="ResNet", depth=18, stem_channels=4, base_channels=4)
    torch.manual_seed(0)
    plain = MODELS.build(dict(small, norm_cfg=dict(type="BN")))
    with torch.no_grad():
        plain(torch.randn(2, 3, 32, 32))
    torch.save(plain.state_dict(), tmp_path / "resnet.pth")
    start = dict(type="Pretrained", checkpoint=str(tmp_path / "resnet.pth"))
    head = dict(type="DeepLabV2Head", num_classes=3, in_channels=[16, 32], loss_decode=LOSS)
    backbone = dict(small, norm_cfg=dict(type="TransNorm"), init_cfg=start)
    model = MODELS.build(ConfigDict(type="Segmentor", backbone=backbone, decode_head=head))
    model.init_weights()  # it checks that the file went in
    layers = {name: layer for name, layer in model.backbone.named_modules() if isinstance(layer, TransNorm)}
    assert len(layers) == sum(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules()) == 20
    for name, layer in layers.items():
        own = plain.get_submodule(name)
        assert torch.equal(layer.running_var_source, own.running_var) and torch.equal(layer.weight, own.weight)
        assert torch.equal(layer.running_mean_target, own.running_mean)


def test_it_replaces_those_of_any_network():
    network = timm.create_model("test_efficientnet", num_classes=0)
    network.train()(torch.randn(2, 3, 32, 32))
    plain = copy.deepcopy(network)
    count = sum(isinstance(layer, nn.BatchNorm2d) for layer in plain.modules())
    assert use_transnorm(network) == count and use_transnorm(network) == 0
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, TransNorm)}
    assert len(layers) == count and all(layer.training for layer in layers.values())
    for name, layer in layers.items():
        other = plain.get_submodule(name)
        assert torch.equal(layer.weight, other.weight) and torch.equal(layer.running_var_target, other.running_var)
    network.load_state_dict(plain.state_dict())  # keys of the file are those of the network
    assert network(torch.randn(4, 3, 32, 32)).shape == plain(torch.randn(4, 3, 32, 32)).shape


def test_an_activation_stays_behind_the_normalisation():
    plain, x = BatchNormAct2d(3), torch.tensor(batch()).float()
    plain.train()(x)
    model = nn.Sequential(copy.deepcopy(plain))
    assert use_transnorm(model) == 1
    torch.testing.assert_close(model.eval()(x), 2 * plain.eval()(x))  # relu(2 * x) = 2 * relu(x)
    assert (model.train()(x) >= 0).all()
