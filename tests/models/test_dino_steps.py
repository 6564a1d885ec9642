"""Steps of DINO as configured against the same in plain tensors: views, centre, schedules, clipping, AdamW."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import DATASETS, HOOKS
from mmengine.runner import Runner
from torch import Tensor

GRID, HEADS, BATCH, STEPS, WARM = 4, 2, 3, 4, 2
RATE, DECAY, MOMENTUM = 0.5, 1.0, 0.5
"""For 256 images, at the start, at the start."""
SIZES = (32, 32, 16, 16)
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
State = dict[str, Tensor]


def normalise(crop: Tensor) -> Tensor:
    """Red first, of (B, 3, H, W) uint8 that comes blue first."""
    return (crop.flip(1).double() - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def class_token(state: State, images: Tensor) -> Tensor:
    """Of the vision transformer whose weights are ``backbone.*``."""
    get = lambda name: state[f"backbone.{name}"]  # noqa: E731
    patches = F.conv2d(images, get("patch_embed.proj.weight"), get("patch_embed.proj.bias"), stride=8)
    side = patches.shape[-1]
    places = get("pos_embed")
    if side != GRID:
        table = places[:, 1:].reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2)
        small = F.interpolate(table, scale_factor=(side + 0.1) / GRID, mode="bicubic")
        places = torch.cat([places[:, :1], small.reshape(1, -1, side * side).mT], 1)
    x = torch.cat([get("cls_token").expand(len(images), 1, -1), patches.flatten(2).mT], 1) + places
    width = x.shape[-1]

    def norm(name: str, x: Tensor) -> Tensor:
        return F.layer_norm(x, (width,), get(f"{name}.weight"), get(f"{name}.bias"), 1e-6)

    def linear(name: str, x: Tensor) -> Tensor:
        return x @ get(f"{name}.weight").T + get(f"{name}.bias")

    for i in range(2):
        parts = linear(f"blocks.{i}.attn.qkv", norm(f"blocks.{i}.norm1", x)).split(width, -1)
        q, k, v = (part.unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in parts)
        mixed = (q @ k.mT / math.sqrt(width // HEADS)).softmax(-1) @ v
        x = x + linear(f"blocks.{i}.attn.proj", mixed.transpose(1, 2).flatten(2))
        hidden = linear(f"blocks.{i}.mlp.fc1", norm(f"blocks.{i}.norm2", x))
        x = x + linear(f"blocks.{i}.mlp.fc2", hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2)
    return norm("norm", x)[:, 0]


def answer(state: State, images: Tensor) -> Tensor:
    """Logits (B, K) of backbone and head."""
    x = class_token(state, images)
    for layer in (0, 2, 4):
        x = x @ state[f"head.mlp.{layer}.weight"].T + state[f"head.mlp.{layer}.bias"]
        x = x if layer == 4 else x * (1 + torch.erf(x / math.sqrt(2))) / 2
    vectors = state["head.last_layer.weight_v"]
    unit = vectors / vectors.pow(2).sum(1, keepdim=True).sqrt()
    return (x / x.pow(2).sum(1, keepdim=True).sqrt()) @ (state["head.last_layer.weight_g"] * unit).T


class Plain:
    """Student, teacher, centre and the optimizer's averages, in float64."""

    def __init__(self, student: State, rate: float) -> None:
        self.student = {key: value.double().requires_grad_() for key, value in student.items()}
        self.teacher = {key: value.double().clone() for key, value in student.items()}
        self.averages = {key: (torch.zeros_like(value), torch.zeros_like(value)) for key, value in self.teacher.items()}
        self.steps = dict.fromkeys(student, 0)
        self.centre, self.rate = torch.zeros(len(student["head.last_layer.weight_g"])).double(), rate

    def step(self, number: int, crops: list[Tensor]) -> None:
        views = [normalise(crop) for crop in crops]
        with torch.no_grad():
            taught = [answer(self.teacher, view) for view in views[:2]]
            temperature = (0.04, 0.055, 0.07, 0.07)[number]
            targets = [((logits - self.centre) / temperature).softmax(1) for logits in taught]
            self.centre = 0.9 * self.centre + 0.1 * torch.cat(taught).mean(0)
        said = [(answer(self.student, view) / 0.1).log_softmax(1) for view in views]
        terms = [-(q * p).sum(1).mean() for i, q in enumerate(targets) for j, p in enumerate(said) if i != j]
        loss = sum(terms) / len(terms)
        names = [key for key in self.student if key != "head.last_layer.weight_g"]
        gradients = torch.autograd.grad(loss, [self.student[key] for key in names])  # type: ignore[arg-type]
        if number < WARM:
            rate = self.rate * number / (WARM - 1)
        else:
            rate = 1e-6 + (self.rate - 1e-6) * (1 + math.cos(math.pi * (number - WARM) / (STEPS - WARM))) / 2
        decay = 10 * DECAY - 9 * DECAY * (1 + math.cos(math.pi * number / STEPS)) / 2
        momentum = 1 + (MOMENTUM - 1) * (1 + math.cos(math.pi * number / STEPS)) / 2
        with torch.no_grad():
            for key, gradient in zip(names, gradients, strict=True):
                if number >= 1 or "last_layer" not in key:
                    self._adamw(key, gradient * min(1.0, 0.05 / (gradient.norm().item() + 1e-6)), rate, decay)
            for key, value in self.teacher.items():
                value.mul_(momentum).add_((1 - momentum) * self.student[key])

    def _adamw(self, key: str, gradient: Tensor, rate: float, decay: float) -> None:
        value, (first, second) = self.student[key], self.averages[key]
        self.steps[key] += 1
        value.mul_(1 - rate * (0.0 if key.endswith(".bias") or value.ndim == 1 else decay))
        first.mul_(0.9).add_(0.1 * gradient)
        second.mul_(0.999).add_(0.001 * gradient**2)
        count = self.steps[key]
        value.sub_(rate * (first / (1 - 0.9**count)) / ((second / (1 - 0.999**count)).sqrt() + 1e-8))


def batch(number: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(number)
    return [torch.randint(0, 256, (BATCH, 3, size, size), generator=generator, dtype=torch.uint8) for size in SIZES]


@DATASETS.register_module(force=True)
class GivenCrops(torch.utils.data.Dataset):
    """The images of :func:`batch`, one after another."""

    def __init__(self) -> None:
        self.metainfo: dict[str, Any] = {}

    def __len__(self) -> int:
        return BATCH * STEPS

    def __getitem__(self, index: int) -> dict[str, Any]:
        return dict(inputs=[crop[index % BATCH] for crop in batch(index // BATCH)], data_samples=index)


@HOOKS.register_module(force=True)
class CompareSteps(Hook):
    """After every step all weights must be those of the plain computation."""

    priority = "VERY_LOW"

    def before_train(self, runner: Runner) -> None:
        state = {key: value.clone() for key, value in runner.model.student.state_dict().items()}
        self.plain, self.compared = Plain(state, RATE * BATCH / 256), 0

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        before = {key: value.detach().clone() for key, value in self.plain.student.items()}
        self.plain.step(batch_idx, batch(batch_idx))
        found = runner.model.state_dict()
        expected = {"centre": self.plain.centre}
        for name, own in (("student", self.plain.student), ("teacher", self.plain.teacher)):
            expected |= {f"{name}.{key}": value.detach() for key, value in own.items()}
        assert {key for key in found if not key.startswith("data_preprocessor")} == set(expected)
        for key, value in expected.items():
            errors = (found[key] - value).abs()  # AdamW enlarges those of gradients near 0
            assert errors.max() < 5e-4 and (errors < 2e-5).double().mean() > 0.9, (key, batch_idx, errors.max())
        if batch_idx:  # the rate of the first step is 0
            moved = [key for key, value in self.plain.student.items() if (value - before[key]).abs().max() > 1e-3]
            assert len(moved) == len(before) - 1  # all but weight_g
        self.compared += 1


def test_four_steps_of_the_config_are_the_plain_ones(repo: Path, tmp_path: Path) -> None:
    """Rate, decay and clipping are such that all that happens is seen in the weights."""
    config = Config.fromfile(repo / "configs" / "dino" / "vit_b8_landdiscover.py")
    config.merge_from_dict(
        {
            "model.backbone": dict(width=16, layers=2, heads=HEADS, grid=GRID, resolution=32, taps=[0, 1], drop_path=0),
            "model.head": dict(in_channels=16, out_channels=12, hidden_channels=16, bottleneck_channels=8),
            "optim_wrapper.optimizer": dict(lr=RATE, weight_decay=DECAY),
            "param_scheduler.0.end": WARM,
            "param_scheduler.1": dict(begin=WARM, end=STEPS, T_max=STEPS - WARM),
            "param_scheduler.2.T_max": STEPS,
            "train_cfg.max_iters": STEPS,
            "default_hooks.self_distillation": dict(epoch=1, temperature_epochs=3, momentum=(MOMENTUM, 1.0), clip=0.05),
        }
    )
    config.train_dataloader = dict(
        batch_size=BATCH,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=False),
        collate_fn=dict(type="default_collate"),
        dataset=dict(type="GivenCrops"),
    )
    config.default_hooks.checkpoint = None
    hooks = [dict(type="CompareSteps")]
    config.update(work_dir=str(tmp_path), custom_hooks=hooks, log_level="ERROR", experiment_name="plain_steps")
    runner = Runner.from_cfg(config)
    runner.train()
    assert [hook.compared for hook in runner.hooks if isinstance(hook, CompareSteps)] == [STEPS]
