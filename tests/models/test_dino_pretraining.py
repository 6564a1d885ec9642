"""DINO pre-training: loss, centre, moving average and schedules by hand, and in a run."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import PARAM_SCHEDULERS, DefaultScope
from mmengine.runner import Runner
from mmseg.registry import MODELS
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rsseg.engine.self_distillation import SelfDistillation, clip_each, cosine, warm_up
from rsseg.models.dino_pretraining import DINOHead, DINOPretraining, distillation_loss, sharpen, update_average

BACKBONE = dict(type="DINOViT", width=16, layers=2, heads=2, grid=4, resolution=32, taps=(0, 1), frozen=False)
HEAD = dict(type="DINOHead", in_channels=16, out_channels=12, hidden_channels=16, bottleneck_channels=8)


HEAD_16 = dict(type="DINOHead", in_channels=32, out_channels=16, hidden_channels=64, bottleneck_channels=16)


def build(head: dict[str, Any] = HEAD, seed: int = 0, **backbone: Any) -> DINOPretraining:
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope("mmseg"):
        return MODELS.build(dict(type="DINOPretraining", backbone={**BACKBONE, **backbone}, head=head))


def crops(images: int, seed: int = 0) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(images, 3, size, size, generator=generator) for size in (32, 32, 16, 16, 16)]


def test_loss_by_hand() -> None:
    said = torch.tensor([[[1 / 2, 1 / 2]], [[1 / 4, 3 / 4]], [[1 / 8, 7 / 8]]])  # of three crops
    targets = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]])  # of the two global ones
    expected = (2 * math.log(2) + 3 * math.log(2) + math.log(2) - math.log(7 / 8)) / 4  # 0-1, 0-2, 1-0, 1-2
    loss = distillation_loss(0.1 * said.log() + 7.0, targets, temperature=0.1)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    assert distillation_loss(said.log(), targets, 1.0).item() == pytest.approx(expected, rel=1e-6)


def test_loss_is_the_mean_over_pairs_and_images() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(5, 3, 7, generator=generator)
    targets = torch.randn(2, 3, 7, generator=generator).softmax(-1)
    terms = [
        (-q * F.log_softmax(view / 0.1, dim=-1)).sum(-1).mean()
        for i, q in enumerate(targets)
        for j, view in enumerate(student)
        if i != j
    ]
    torch.testing.assert_close(distillation_loss(student, targets), torch.stack(terms).mean())


def test_targets_by_hand() -> None:
    centre = torch.tensor([5.0, 6.0])
    logits = centre + torch.tensor([[0.04 * math.log(3), 0.0], [0.0, 0.04 * math.log(9)]])
    torch.testing.assert_close(
        sharpen(logits, centre, 0.04), torch.tensor([[0.75, 0.25], [0.1, 0.9]]), atol=1e-4, rtol=0
    )


def test_centre_by_hand() -> None:
    model = build()
    model.centre = torch.zeros(2)
    logits = torch.tensor([[1.0, 3.0], [3.0, 5.0]])  # mean 2, 4
    model._move_centre(logits)
    torch.testing.assert_close(model.centre, torch.tensor([0.2, 0.4]))
    model._move_centre(logits)
    torch.testing.assert_close(model.centre, torch.tensor([0.38, 0.76]))


def test_average_by_hand() -> None:
    average, model = nn.Linear(1, 1), nn.Linear(1, 1)
    for module, weight, bias in ((average, 4.0, 0.0), (model, 8.0, 1.0)):
        nn.init.constant_(module.weight, weight)
        nn.init.constant_(module.bias, bias)
    update_average(average, model, 0.75)
    assert (average.weight.item(), average.bias.item()) == (5.0, 0.25)
    assert (model.weight.item(), model.bias.item()) == (8.0, 1.0)


def test_schedules_by_hand() -> None:
    assert cosine(0, 100, 0.996, 1.0) == pytest.approx(0.996)
    assert cosine(25, 100, 0.996, 1.0) == pytest.approx(1 - 0.004 * (1 + math.sqrt(0.5)) / 2)
    assert cosine(50, 100, 0.996, 1.0) == pytest.approx(0.998)
    assert cosine(100, 100, 0.996, 1.0) == cosine(120, 100, 0.996, 1.0) == 1.0
    assert [warm_up(epoch, 4, 0.04, 0.07) for epoch in (0, 1, 2, 3, 4, 99)] == pytest.approx(
        [0.04, 0.05, 0.06, 0.07, 0.07, 0.07]
    )
    assert warm_up(0, 0, 0.04, 0.07) == 0.07


def test_each_gradient_is_clipped_by_itself() -> None:
    gradients = [torch.tensor([3.0, 4.0]), torch.tensor([[0.3], [-0.4]])]
    clip_each(gradients, 1.0)
    torch.testing.assert_close(gradients[0], torch.tensor([0.6, 0.8]))
    assert torch.equal(gradients[1], torch.tensor([[0.3], [-0.4]]))
    clip_each([], 1.0)


def test_rates_and_decay_of_the_config(repo: Path) -> None:
    """Every iteration's values are those of the release's formula: linear from 0, then half a cosine."""
    config = Config.fromfile(repo / "configs" / "_base_" / "schedules" / "dino.py")
    weights = [nn.Parameter(torch.zeros(1)) for _ in range(2)]
    rate, decay = config.optim_wrapper.optimizer.lr, config.optim_wrapper.optimizer.weight_decay
    optimizer = torch.optim.SGD([dict(params=[weights[0]]), dict(params=[weights[1]], weight_decay=0.0)], rate)
    optimizer.param_groups[0]["weight_decay"] = decay
    shorter = [
        {key: value // 20 if key in ("begin", "end", "T_max") else value for key, value in part.items()}
        for part in config.param_scheduler
    ]
    schedulers = [PARAM_SCHEDULERS.build(dict(part, optimizer=optimizer)) for part in shorter]
    steps, first = config.train_cfg.max_iters // 20, shorter[0]["end"]
    found = np.zeros((steps, 3))
    for step in range(steps):
        first_group, second_group = optimizer.param_groups
        found[step] = first_group["lr"], first_group["weight_decay"], second_group["weight_decay"]
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    after = np.arange(steps - first)
    rising = np.linspace(0, 5e-4, first)
    falling = 1e-6 + 0.5 * (5e-4 - 1e-6) * (1 + np.cos(np.pi * after / len(after)))
    np.testing.assert_allclose(found[:, 0], np.concatenate([rising, falling]), atol=1e-9)
    growing = 0.4 + 0.5 * (0.04 - 0.4) * (1 + np.cos(np.pi * np.arange(steps) / steps))
    np.testing.assert_allclose(found[:, 1], growing, rtol=1e-6)
    assert not found[:, 2].any()


def test_head_has_unit_weight_vectors_and_works_in_float32() -> None:
    head = DINOHead(6, 10, 8, 4)
    features = torch.randn(3, 6)
    bottleneck = F.normalize(head.mlp(features), dim=1)
    plain = nn.utils.parametrizations.weight_norm(nn.Linear(4, 10, bias=False))
    with torch.no_grad():
        plain.parametrizations.weight.original0.fill_(1.0)
        plain.parametrizations.weight.original1.copy_(head.last_layer.weight_v)
    torch.testing.assert_close(head(features), plain(bottleneck))
    assert [name for name, value in head.named_parameters() if not value.requires_grad] == ["last_layer.weight_g"]
    assert DINOHead(6, 10, 8, 4, norm_last_layer=False).last_layer.weight_g.requires_grad
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert head(features).dtype == torch.float32


def test_crops_keep_their_order() -> None:
    student = build().student
    first, second, third, *_ = crops(2)
    together = student([first, third, second])
    torch.testing.assert_close(together, torch.cat([student([crop]) for crop in (first, third, second)]))


def test_the_student_compiles_in_one_piece() -> None:
    model = build().eval()
    given = crops(2)
    expected = model.student(given)
    model.backbone.compile(backend="eager", fullgraph=True)
    torch.testing.assert_close(model.student(given), expected)


def test_teacher_starts_equal_and_never_drops_paths() -> None:
    model = build(drop_path=0.5)
    model.init_weights()
    model.train()
    own, kept = model.student.state_dict(), model.teacher.state_dict()
    assert own.keys() == kept.keys() and all(torch.equal(own[key], kept[key]) for key in own)
    assert model.student.backbone.training and not model.teacher.backbone.training
    assert not any(parameter.requires_grad for parameter in model.teacher.parameters())
    images = crops(2)[0]
    assert torch.equal(model(images), model(images))
    assert not torch.equal(model.student([images]), model.student([images]))
    before = copy.deepcopy(model.state_dict())
    losses = model(crops(3), mode="loss")
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in model.student.parameters() if parameter.requires_grad)
    assert 0 < losses["teacher_entropy"].item() < math.log(12)
    changed = [key for key, value in model.state_dict().items() if not torch.equal(value, before[key])]
    assert changed == ["centre"]


@pytest.mark.parametrize(("given", "mode"), [([0], "loss"), ([0, 2], "loss"), ([0, 1], "predict")])
def test_wrong_use_is_refused(given: list[int], mode: str) -> None:
    with pytest.raises(ValueError, match=r"global crops|only 'loss'"):
        build()([crops(1)[i] for i in given], mode=mode)
    with pytest.raises(ValueError, match="at least 1"):
        SelfDistillation(epoch=0)


def test_kinds_of_images_get_outputs_of_their_own() -> None:
    """Four textures in noise: no label says which is which, and the teacher ends up with four clear answers."""
    model = build(HEAD_16, width=32, grid=3, resolution=24)
    model.train()
    model.temperature = 0.02
    textures = torch.randn(4, 3, 8, 8)

    def views(size: int) -> Tensor:
        clean = textures.repeat(8, 1, 3, 3)[..., :size, :size]
        return clean * torch.empty(32, 1, 1, 1).uniform_(0.7, 1.3) + 0.5 * torch.randn_like(clean)

    optimizer = torch.optim.AdamW([value for value in model.parameters() if value.requires_grad], 3e-4)
    for step in range(100):
        optimizer.zero_grad()
        losses = model([views(24), views(24), views(16), views(16)], mode="loss")
        losses["loss"].backward()
        optimizer.step()
        model.move_teacher(cosine(step, 100, 0.99, 1.0))
    with torch.no_grad():
        answers = sharpen(model.teacher([textures.repeat(1, 1, 3, 3)]), model.centre, model.temperature)
    assert len(set(answers.argmax(1).tolist())) == 4
    assert answers.amax(1).min() > 0.9 and losses["loss"] < 0.1


class Watch(Hook):
    """Keeps the model before and after every iteration, and the mean of what the teacher said in it."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        model: Any = runner.model
        with torch.no_grad():
            mean = model.teacher(data_batch["inputs"][:2]).mean(0)
        self.seen.append(dict(before=copy.deepcopy(model.state_dict()), mean=mean, temperature=model.temperature))

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.seen[-1]["after"] = copy.deepcopy(runner.model.state_dict())


def train(folder: Path, iterations: int, wrapper: str = "OptimWrapper", **hook: Any) -> list[dict[str, Any]]:
    """What :class:`Watch` has seen of a run with one batch of three images an iteration, by plain descent."""
    images = [dict(inputs=[crop[0] for crop in crops(1, seed)]) for seed in range(3 * iterations)]
    watch = Watch()
    with DefaultScope.overwrite_default_scope("mmseg"):
        runner = Runner(
            model=build(),
            work_dir=str(folder),
            train_dataloader=DataLoader(images, batch_size=3),  # type: ignore[arg-type]
            optim_wrapper=dict(type=wrapper, optimizer=dict(type="SGD", lr=1.0)),
            train_cfg=dict(by_epoch=False, max_iters=iterations),
            default_hooks=dict(
                self_distillation=dict(type="SelfDistillation", **hook), checkpoint=None, logger=None, sampler_seed=None
            ),
            custom_hooks=[watch],
            default_scope="mmseg",
            experiment_name=folder.name,
            log_level="ERROR",
        )
        runner.train()
    return watch.seen


def test_every_iteration_moves_teacher_and_centre(tmp_path: Path) -> None:
    seen = train(tmp_path, 4, epoch=2, temperature=(0.04, 0.06), temperature_epochs=2, momentum=(0.5, 1.0))
    assert [state["temperature"] for state in seen] == pytest.approx([0.04, 0.04, 0.06, 0.06])
    momenta = [0.5, 0.75 - 0.25 * math.sqrt(0.5), 0.75, 0.75 + 0.25 * math.sqrt(0.5)]
    for state, momentum in zip(seen, momenta, strict=True):
        before, after = state["before"], state["after"]
        torch.testing.assert_close(after["centre"], 0.9 * before["centre"] + 0.1 * state["mean"])
        for key in (key.removeprefix("student.") for key in after if key.startswith("student.")):
            expected = momentum * before[f"teacher.{key}"] + (1 - momentum) * after[f"student.{key}"]
            torch.testing.assert_close(after[f"teacher.{key}"], expected)


def test_last_layer_is_frozen_and_gradients_are_clipped(tmp_path: Path) -> None:
    seen = train(tmp_path, 3, epoch=2, frozen_epochs=1, clip=0.01)
    steps = {
        key: [(state["after"][key] - state["before"][key]).norm().item() for state in seen]
        for key in seen[0]["after"]
        if key.startswith("student.") and not key.endswith("weight_g")
    }
    last = steps.pop("student.head.last_layer.weight_v")
    assert last[:2] == [0.0, 0.0] and 0 < last[2] <= 0.0101
    assert all(0 < size <= 0.0101 for sizes in steps.values() for size in sizes)  # at a rate of 1
    assert max(size for sizes in steps.values() for size in sizes) > 0.0099


def test_autocast_leaves_weights_and_centre_in_float32(tmp_path: Path) -> None:
    (plain,), (half,) = (
        train(tmp_path / wrapper, 1, wrapper, epoch=1, frozen_epochs=0)
        for wrapper in ("OptimWrapper", "AutocastOptimWrapper")
    )
    assert {value.dtype for value in half["after"].values()} == {torch.float32}
    assert not torch.equal(half["after"]["centre"], plain["after"]["centre"])
    torch.testing.assert_close(half["after"], plain["after"], atol=0.02, rtol=0.02)


def test_a_broken_loss_stops_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DINOPretraining, "loss", lambda self, crops: {"loss": self.student(crops).sum() * math.nan})
    with pytest.raises(FloatingPointError, match="nan at iteration 1"):
        train(tmp_path, 2, epoch=2)
