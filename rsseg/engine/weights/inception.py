"""Inception-v2: pretrained-models' names (``bninception``), which are ours, and TF-slim's (``inception_v2``).

TensorFlow's checkpoints are read as ``.npz``, made where TensorFlow is installed::

    reader = tensorflow.train.load_checkpoint("inception_v2.ckpt")
    numpy.savez("inception_v2.npz", **{key: reader.get_tensor(key) for key in reader.get_variable_to_shape_map()})
"""

from __future__ import annotations

import re

import torch

from rsseg.engine.weights.layouts import Layout, State, Target

__all__ = ["LAYOUTS", "TARGETS"]

_EPS = 1e-3
_FIRST = "InceptionV2/Conv2d_1a_7x7/"
_SLIM = ("3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b", "5c")
_CAFFE = ("3a", "3b", "3c", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
_OURS = dict(zip(_SLIM, _CAFFE, strict=True))
_HALVING = ("4a", "5a")
_PARTS = {
    "0/Conv2d_0a_1x1": "1x1",
    "1/Conv2d_0a_1x1": "3x3_reduce",
    "1/Conv2d_0b_3x3": "3x3",
    "2/Conv2d_0a_1x1": "double_3x3_reduce",
    "2/Conv2d_0b_3x3": "double_3x3_1",
    "2/Conv2d_0c_3x3": "double_3x3_2",
    "3/Conv2d_0b_1x1": "pool_proj",
}
_HALVING_PARTS = {
    "0/Conv2d_0a_1x1": "3x3_reduce",
    "0/Conv2d_1a_3x3": "3x3",
    "1/Conv2d_0a_1x1": "double_3x3_reduce",
    "1/Conv2d_0b_3x3": "double_3x3_1",
    "1/Conv2d_1a_3x3": "double_3x3_2",
}


def _mixed(match: re.Match[str]) -> str:
    """Our name of a convolution in a block; one that no block has keeps its own, and is unexpected."""
    block, part = match[1], match[2]
    parts = _HALVING_PARTS if block in _HALVING else _PARTS
    return f"inception_{_OURS[block]}_{parts[part]}" if block in _OURS and part in parts else match[0]


def _with_norms(state: State) -> State:
    """Norms have no scale in slim, and the first convolution has a bias instead of one: the same numbers as norms."""
    out = dict(state)
    for key, shift in state.items():
        stem, _, kind = key.rpartition("/")
        if kind == "beta" and f"{stem}/gamma" not in state:
            out[f"{stem}/gamma"] = torch.ones_like(shift)
    bias = out.pop(f"{_FIRST}biases", None)
    if bias is not None:
        norm = dict(beta=bias, gamma=torch.ones_like(bias), moving_mean=torch.zeros_like(bias))
        norm["moving_variance"] = torch.full_like(bias, 1 - _EPS)
        out |= {f"{_FIRST}BatchNorm/{kind}": value for kind, value in norm.items()}
    return out


def _from_tensorflow(key: str, value: torch.Tensor) -> torch.Tensor:
    if value.ndim != 4:
        return value
    if key == "conv1_7x7_s2_depthwise.weight":  # (7, 7, 3, 8): eight filters of each channel
        return value.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1).contiguous()
    return value.permute(3, 2, 0, 1).contiguous()


def _flat_norms(key: str, value: torch.Tensor) -> torch.Tensor:
    """The older of the two files of pretrained-models has norms of (1, C)."""
    return value.flatten() if "_bn." in key and value.ndim == 2 else value


LAYOUTS = [
    Layout(
        "Inception-v2, pretrained-models' names",
        r"inception_3a_double_3x3_reduce\.weight",
        ("inception_v2",),
        unused={r"(last_linear|fc|classifier)\.": "classifier"},
        rewrite=_flat_norms,
    ),
    Layout(
        "Inception-v2, TF-slim's names",
        r"InceptionV2/Mixed_3b/Branch_0/Conv2d_0a_1x1/weights",
        ("inception_v2",),
        (
            (rf"{_FIRST}depthwise_weights$", "conv1_7x7_s2_depthwise.weight"),
            (rf"{_FIRST}pointwise_weights$", "conv1_7x7_s2.weight"),
            (rf"{_FIRST}BatchNorm/", "conv1_7x7_s2/BatchNorm/"),
            (r"InceptionV2/Conv2d_2b_1x1/", "conv2_3x3_reduce/"),
            (r"InceptionV2/Conv2d_2c_3x3/", "conv2_3x3/"),
            (r"InceptionV2/Mixed_(\w+)/Branch_(\d/\w+)", _mixed),
            (r"(\w+)/weights$", r"\1.weight"),
            (r"(\w+)/BatchNorm/gamma$", r"\1_bn.weight"),
            (r"(\w+)/BatchNorm/beta$", r"\1_bn.bias"),
            (r"(\w+)/BatchNorm/moving_mean$", r"\1_bn.running_mean"),
            (r"(\w+)/BatchNorm/moving_variance$", r"\1_bn.running_var"),
        ),
        {
            r"InceptionV2/Logits/": "classifier",
            r"global_step$|.*/(RMSProp(_1)?|Momentum|ExponentialMovingAverage)$": "state of training",
        },
        rewrite=_from_tensorflow,
        prepare=_with_norms,
    ),
]
TARGETS = {
    "inception_v2": Target(
        "InceptionV2",
        lambda state: dict(release="slim" if "conv1_7x7_s2_depthwise.weight" in state else "caffe"),
        fresh={r".*\.num_batches_tracked$": "counters of batches"},
    )
}
