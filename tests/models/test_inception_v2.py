"""Inception-v2: both releases against a plain transcription in the files' own names, and their weights converted."""

import mmseg.registry
import numpy as np
import pytest
import torch
from torch.nn import functional

import rsseg.models  # noqa: F401  (registers it)
from rsseg.engine.weights import convert_weights
from rsseg.models.inception_v2 import InceptionV2

pytestmark = pytest.mark.usefixtures("mmseg_scope")
# TF-slim's blocks: widths of the branches as in its source
NORMAL = {
    "3b": (64, (64, 64), (64, 96), 32),
    "3c": (64, (64, 96), (64, 96), 64),
    "4b": (224, (64, 96), (96, 128), 128),
    "4c": (192, (96, 128), (96, 128), 128),
    "4d": (160, (128, 160), (128, 160), 96),
    "4e": (96, (128, 192), (160, 192), 96),
    "5b": (352, (192, 320), (160, 224), 128),
    "5c": (352, (192, 320), (192, 224), 128),
}
HALVING = {"4a": ((128, 160), (64, 96)), "5a": ((128, 192), (192, 256))}
MEAN, STD = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1), torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def slim_file(seed=0):
    """Arrays by TF-slim's names: norms without scales, a bias in the first convolution."""
    rng = np.random.default_rng(seed)
    out = {}

    def conv(name, before, after, side):
        out[f"{name}/weights"] = rng.normal(0, (2 / (before * side**2)) ** 0.5, (side, side, before, after))
        out[f"{name}/BatchNorm/beta"] = rng.normal(0, 0.1, after)
        out[f"{name}/BatchNorm/moving_mean"] = rng.normal(0, 0.1, after)
        out[f"{name}/BatchNorm/moving_variance"] = rng.uniform(0.5, 1.5, after)

    out["Conv2d_1a_7x7/depthwise_weights"] = rng.normal(0, 0.15, (7, 7, 3, 8))
    out["Conv2d_1a_7x7/pointwise_weights"] = rng.normal(0, 0.3, (1, 1, 24, 64))
    out["Conv2d_1a_7x7/biases"] = rng.normal(0, 0.1, 64)
    conv("Conv2d_2b_1x1", 64, 64, 1)
    conv("Conv2d_2c_3x3", 64, 192, 3)
    width = 192
    for block in sorted({*NORMAL, *HALVING}):
        stem = f"Mixed_{block}/Branch_"
        if block in NORMAL:
            single, threes, doubles, pool = NORMAL[block]
            conv(f"{stem}0/Conv2d_0a_1x1", width, single, 1)
            conv(f"{stem}1/Conv2d_0a_1x1", width, threes[0], 1)
            conv(f"{stem}1/Conv2d_0b_3x3", *threes, 3)
            conv(f"{stem}2/Conv2d_0a_1x1", width, doubles[0], 1)
            conv(f"{stem}2/Conv2d_0b_3x3", *doubles, 3)
            conv(f"{stem}2/Conv2d_0c_3x3", doubles[1], doubles[1], 3)
            conv(f"{stem}3/Conv2d_0b_1x1", width, pool, 1)
            width = single + threes[1] + doubles[1] + pool
        else:
            threes, doubles = HALVING[block]
            conv(f"{stem}0/Conv2d_0a_1x1", width, threes[0], 1)
            conv(f"{stem}0/Conv2d_1a_3x3", *threes, 3)
            conv(f"{stem}1/Conv2d_0a_1x1", width, doubles[0], 1)
            conv(f"{stem}1/Conv2d_0b_3x3", *doubles, 3)
            conv(f"{stem}1/Conv2d_1a_3x3", doubles[1], doubles[1], 3)
            width += threes[1] + doubles[1]
    out = {f"InceptionV2/{key}": value.astype(np.float32) for key, value in out.items()}
    rest = {
        "InceptionV2/Logits/Conv2d_1c_1x1/weights": np.zeros((1, 1, width, 5), np.float32),
        "global_step": np.int64(7),
    }
    return {**out, **rest}


def same(x, side, stride, value=0.0):
    """TensorFlow's rule, one axis after the other."""
    for axis in (3, 2):
        size = x.shape[axis]
        total = max((-(-size // stride) - 1) * stride + side - size, 0)
        ends = (total // 2, total - total // 2)
        x = functional.pad(x, ends if axis == 3 else (0, 0, *ends), value=value)
    return x


def slim_map(file, image):
    """The network as TF-slim's source has it, for an image (1, 3, H, W) in -1 .. 1."""
    t = {key.removeprefix("InceptionV2/"): torch.from_numpy(value) for key, value in file.items() if value.ndim}

    def conv(name, x, stride=1):
        kernel = t[f"{name}/weights"].permute(3, 2, 0, 1)
        x = functional.conv2d(same(x, kernel.shape[2], stride), kernel, stride=stride)
        mean, variance, beta = (t[f"{name}/BatchNorm/{k}"] for k in ("moving_mean", "moving_variance", "beta"))
        return ((x - mean.view(-1, 1, 1)) / (variance.view(-1, 1, 1) + 0.001).sqrt() + beta.view(-1, 1, 1)).clamp(min=0)

    def pool(x, stride):
        return functional.max_pool2d(same(x, 3, stride, -torch.inf), 3, stride)

    x, first = same(image, 7, 2), []
    for channel in range(3):
        for k in range(8):
            kernel = t["Conv2d_1a_7x7/depthwise_weights"][:, :, channel, k]
            first.append(functional.conv2d(x[:, channel : channel + 1], kernel[None, None], stride=2))
    pointwise = t["Conv2d_1a_7x7/pointwise_weights"][0, 0].T[:, :, None, None]
    x = functional.conv2d(torch.cat(first, 1), pointwise, t["Conv2d_1a_7x7/biases"]).clamp(min=0)
    x = pool(conv("Conv2d_2c_3x3", conv("Conv2d_2b_1x1", pool(x, 2))), 2)
    for block in sorted({*NORMAL, *HALVING}):
        b = f"Mixed_{block}/Branch_"
        if block in NORMAL:
            counted = functional.avg_pool2d(torch.ones_like(x), 3, 1, 1)
            pooled = pool(x, 1) if block == "5c" else functional.avg_pool2d(x, 3, 1, 1) / counted
            x = torch.cat(
                [
                    conv(f"{b}0/Conv2d_0a_1x1", x),
                    conv(f"{b}1/Conv2d_0b_3x3", conv(f"{b}1/Conv2d_0a_1x1", x)),
                    conv(f"{b}2/Conv2d_0c_3x3", conv(f"{b}2/Conv2d_0b_3x3", conv(f"{b}2/Conv2d_0a_1x1", x))),
                    conv(f"{b}3/Conv2d_0b_1x1", pooled),
                ],
                1,
            )
        else:
            double = conv(f"{b}1/Conv2d_0b_3x3", conv(f"{b}1/Conv2d_0a_1x1", x))
            threes = conv(f"{b}0/Conv2d_1a_3x3", conv(f"{b}0/Conv2d_0a_1x1", x), 2)
            x = torch.cat([threes, conv(f"{b}1/Conv2d_1a_3x3", double, 2), pool(x, 2)], 1)
    return x


def caffe_map(state, image):
    """The network of pretrained-models, for an image (1, 3, H, W) of blue, green, red less their means."""

    def conv(name, x, stride=1):
        kernel, bn = state[f"{name}.weight"], f"{name}_bn"
        x = functional.conv2d(x, kernel, state[f"{name}.bias"], stride, kernel.shape[2] // 2)
        norm = [state[f"{bn}.{k}"].flatten() for k in ("running_mean", "running_var", "weight", "bias")]
        return functional.batch_norm(x, *norm, eps=1e-5).clamp(min=0)

    def pool(x):
        return functional.max_pool2d(x, 3, 2, ceil_mode=True)

    x = pool(conv("conv1_7x7_s2", image, 2))
    x = pool(conv("conv2_3x3", conv("conv2_3x3_reduce", x)))
    for block in ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        s, stride = f"inception_{block}_", 2 if block in ("3c", "4e") else 1
        parts = [
            conv(f"{s}3x3", conv(f"{s}3x3_reduce", x), stride),
            conv(f"{s}double_3x3_2", conv(f"{s}double_3x3_1", conv(f"{s}double_3x3_reduce", x)), stride),
        ]
        if stride == 2:
            x = torch.cat([*parts, pool(x)], 1)
            continue
        mean = functional.avg_pool2d(x, 3, 1, 1, ceil_mode=True, count_include_pad=True)
        pooled = functional.max_pool2d(x, 3, 1, 1) if block == "5b" else mean
        x = torch.cat([conv(f"{s}1x1", x), *parts, conv(f"{s}pool_proj", pooled)], 1)
    return x


def load(path):
    model = mmseg.registry.MODELS.build(
        dict(type="InceptionV2", release=path.stem, init_cfg=dict(type="Pretrained", checkpoint=str(path)))
    )
    model.init_weights()
    return model.train()


@pytest.mark.parametrize("size", [(120, 120), (97, 64)])
def test_slim_gives_the_releases_map(tmp_path, size):
    file = slim_file()
    np.savez(tmp_path / "inception_v2.npz", **file)
    report = convert_weights(tmp_path / "inception_v2.npz", tmp_path / "slim.pth")
    assert report.layout == "Inception-v2, TF-slim's names" and report.model["release"] == "slim"
    assert report.skipped == {
        "classifier": ["InceptionV2/Logits/Conv2d_1c_1x1/weights"],
        "state of training": ["global_step"],
    }
    assert list(report.fresh) == ["counters of batches"]
    pixels = torch.rand(3, *size, generator=torch.Generator().manual_seed(1))
    expected = slim_map(file, 2 * pixels[None] - 1)
    found = load(tmp_path / "slim.pth")(((pixels - MEAN) / STD)[None])[0]
    assert found.shape[1] == 1024 and expected.abs().max() > 0.1
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_the_other_releases_file_is_refused(tmp_path):
    torch.save(dict(state_dict=InceptionV2("slim").state_dict()), tmp_path / "caffe.pth")
    with pytest.raises(ValueError, match=r"caffe.pth: \d+ of 414 weights .* the file looks like 'slim'"):
        load(tmp_path / "caffe.pth")
    state = {f"backbone.{key}": value for key, value in InceptionV2("slim").state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / "slim.pth")
    with pytest.raises(ValueError, match=r"slim.pth: 346 of 346"):
        load(tmp_path / "slim.pth")
    start = dict(type="Pretrained", checkpoint=str(tmp_path / "slim.pth"), prefix="backbone.")
    model = InceptionV2("slim", init_cfg=start)
    model.init_weights()
    assert all(torch.equal(value, state[f"backbone.{key}"]) for key, value in model.state_dict().items())


def caffe_file():
    torch.manual_seed(0)
    model = InceptionV2("caffe")
    for name, value in model.state_dict().items():
        if "_bn." in name and value.is_floating_point():
            value.add_(torch.rand(value.shape) * 0.2)
    return {key: value for key, value in model.state_dict().items() if "num_batches" not in key}


def test_caffe_gives_the_releases_map(tmp_path):
    state = caffe_file()
    old = {key: value[None] if "_bn." in key else value for key, value in state.items()}  # norms of (1, C)
    torch.save(
        {**old, "last_linear.weight": torch.ones(5, 1024), "last_linear.bias": torch.ones(5)}, tmp_path / "bn.pth"
    )
    report = convert_weights(tmp_path / "bn.pth", tmp_path / "caffe.pth")
    assert report.skipped == {"classifier": ["last_linear.weight", "last_linear.bias"]}
    assert len(report.loaded) == len(state) == 414 and not report.resized
    torch.save(InceptionV2("caffe").state_dict(), tmp_path / "new.pth")  # with counters of batches
    again = convert_weights(tmp_path / "new.pth", tmp_path / "out.pth")
    assert len(again.loaded) == 483 and not again.resized
    pixels = torch.rand(3, 128, 96, generator=torch.Generator().manual_seed(1))
    image = 255 * pixels.flip(0) - torch.tensor([104.0, 117.0, 128.0]).view(3, 1, 1)
    found = load(tmp_path / "caffe.pth")(((pixels - MEAN) / STD)[None])[0]
    assert found.shape == (1, 1024, 4, 3)
    torch.testing.assert_close(found, caffe_map(state, image[None]), atol=1e-4, rtol=1e-4)


def test_a_key_more_or_less_is_an_error(tmp_path):
    file = slim_file()
    del file["InceptionV2/Mixed_4d/Branch_2/Conv2d_0c_3x3/weights"]
    file["InceptionV2/Mixed_6a/Branch_0/Conv2d_0a_1x1/weights"] = np.zeros((1, 1, 2, 2), np.float32)
    np.savez(tmp_path / "cut.npz", **file)
    with pytest.raises(
        ValueError, match=r"(?s)missing +1: inception_4c_double_3x3_2.weight.*unexpected +1: .*Mixed_6a"
    ):
        convert_weights(tmp_path / "cut.npz", tmp_path / "out.pth")
    (tmp_path / "broken.npz").write_bytes(b"PK no archive")
    with pytest.raises(ValueError, match=r"broken.npz: not loaded"):
        convert_weights(tmp_path / "broken.npz", tmp_path / "out.pth")
    assert not (tmp_path / "out.pth").exists()


@pytest.mark.parametrize("release", ["caffe", "slim"])
def test_frozen_means_no_gradients_and_no_new_statistics(release):
    model = InceptionV2(release)
    assert not any(module.training for module in (model, *model.train().modules()))
    before = {key: value.clone() for key, value in model.state_dict().items()}
    found = model(torch.randn(2, 3, 64, 64))[0]
    assert found.shape == (2, 1024, 2, 2) and not found.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in model.parameters())


def test_a_network_that_is_not_frozen_learns():
    model = InceptionV2("caffe", frozen=False).train()
    model(torch.randn(2, 3, 64, 64))[0].sum().backward()
    assert model.conv1_7x7_s2.weight.grad.abs().sum() > 0
    with pytest.raises(ValueError, match="release='v2': expected one of: caffe, slim"):
        InceptionV2("v2")
