"""Training: the loss by its definition, what is trained and how fast, and that it learns."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch.nn import functional

from rsseg.models.gsnet import vocabulary_loss


def _samples(target: torch.Tensor) -> list[SegDataSample]:
    return [SegDataSample(gt_sem_seg=PixelData(data=one[None])) for one in target]


@pytest.mark.parametrize("ignore", [False, True])
def test_loss_is_that_of_one_hot_targets(ignore: bool) -> None:
    torch.manual_seed(0)
    logits, target = 3 * torch.randn(2, 4, 5, 6), torch.randint(0, 4, (2, 5, 6))
    target[torch.rand(target.shape) < 0.4] = 255
    hot = torch.stack([target == i for i in range(4)], 1).float()
    per_pixel = functional.binary_cross_entropy_with_logits(logits, hot, reduction="none")
    expected = per_pixel.permute(0, 2, 3, 1)[target != 255].mean() if ignore else per_pixel.mean()
    torch.testing.assert_close(vocabulary_loss(logits, target, ignore), expected)


def test_nothing_labelled_is_no_loss() -> None:
    logits = torch.randn(1, 2, 3, 3, requires_grad=True)
    loss = vocabulary_loss(logits, torch.full((1, 3, 3), 255), ignore_background=True)
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


@pytest.mark.parametrize("value", [3, 40, -1])
def test_labels_that_are_no_class_are_named(value: int) -> None:
    with pytest.raises(ValueError, match=f"label {value}: expected 0 to 2, the classes of the vocabulary"):
        vocabulary_loss(torch.zeros(1, 3, 2, 2), torch.full((1, 2, 2), value))


@pytest.mark.parametrize("classes", [3, 256])
def test_all_that_is_trained_gets_a_gradient(build, classes: int) -> None:
    model = build(vocabulary=[f"class {i}" for i in range(classes)]).train()
    target = torch.randint(0, 3, (1, 64, 64))
    model.loss(torch.randn(1, 3, 64, 64), _samples(target))["loss"].backward()
    for name, value in model.named_parameters():
        assert (value.grad is not None) == value.requires_grad, name
    assert not model.dino.training
    assert not model.clip.visual.transformer.resblocks[-1].attn.q_proj_weight.grad.any()
    for tower in (model.clip.visual, model.clip):
        assert tower.transformer.resblocks[0].attn.v_proj_weight.grad.any()


def test_groups_of_the_released_schedule(build, repo) -> None:
    config = Config.fromfile(repo / "configs/_base_/schedules/gsnet_30k.py")
    model = build()
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    groups = {id(group["params"][0]): group for group in wrapper.optimizer.param_groups}
    for name, value in model.named_parameters():
        if not value.requires_grad:
            continue
        group, norm = groups[id(value)], "norm" in name or ".double_conv.1." in name or ".double_conv.4." in name
        assert group["lr"] == pytest.approx(2e-6 if name.startswith("clip.") else 2e-4), name
        assert group["weight_decay"] == (0 if norm else 1e-4), name
    assert wrapper.clip_grad_kwargs == dict(max_norm=0.01, norm_type=2)


@pytest.mark.parametrize("kind", ["OptimWrapper", "AutocastOptimWrapper"])
def test_it_learns(build, kind: str) -> None:
    """The dark half of pictures is road, in float32 and in bfloat16."""
    import rsseg.engine  # noqa: F401

    model = build(vocabulary=["road"]).train()
    wrapper = build_optim_wrapper(model, dict(type=kind, optimizer=dict(type="AdamW", lr=3e-3)))
    images, target = torch.zeros(2, 3, 64, 64), torch.zeros(2, 64, 64, dtype=torch.int64)
    images[0, :, :, 32:], target[0, :, 32:] = 1.0, 255
    images[1, :, :32], target[1, :32] = 1.0, 255
    losses = []
    for _ in range(8):
        with wrapper.optim_context(model):
            loss = model.loss(images, _samples(target))["loss"]
        wrapper.update_params(loss)
        losses.append(loss.item())
    assert losses[-1] < 0.5 < losses[0]


def test_the_towers_for_images_are_compiled(build, monkeypatch) -> None:
    from types import SimpleNamespace

    from rsseg.engine import CompileBackbone

    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda part: compiled.append(part))
    model = build()
    CompileBackbone().before_train(SimpleNamespace(model=model))
    assert compiled == [model.clip.visual, model.dino]
    with pytest.raises(ValueError, match="Linear has no backbone to compile; train without --compile"):
        CompileBackbone().before_train(SimpleNamespace(model=torch.nn.Linear(1, 1)))


def test_distributed_training_misses_no_gradient(build, tmp_path) -> None:
    """With one process: a parameter without gradient would stop the second step."""
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    class Loss(torch.nn.Module):
        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
            return self.model.loss(images, _samples(target))["loss"]

    distributed.init_process_group("gloo", f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        model = DistributedDataParallel(Loss(build().train()))
        for _ in range(2):
            model(torch.randn(1, 3, 64, 64), torch.randint(0, 3, (1, 64, 64))).backward()
    finally:
        distributed.destroy_process_group()


def test_a_resumed_run_repeats_an_uninterrupted_one(build, toy_config, converted_set, repo, tmp_path) -> None:
    """Three iterations at once, or two and one after a resume."""
    from mmengine.runner import Runner

    converted_set(tmp_path / "set", 18)
    config = Config.fromfile(repo / "configs/_base_/default_runtime.py")
    schedule = Config.fromfile(repo / "configs/_base_/schedules/gsnet_30k.py")
    pipeline = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackSegInputs")]
    sampler = dict(sampler=dict(type="ProportionalSampler"), batch_sampler=dict(type="ProportionalBatches"))
    train = dict(type="ConvertedDataset", table="sota", data_root=str(tmp_path / "set"), pipeline=pipeline)
    for name in ("val_cfg", "val_evaluator", "test_cfg", "test_evaluator"):
        config[name] = None
    config.model = {**toy_config, "vocabulary": "sota", "data_preprocessor": dict(size_divisor=1)}
    config.model["data_preprocessor"]["type"] = "AnySizePreprocessor"
    config.train_dataloader = dict(batch_size=2, num_workers=0, dataset=train, **sampler)
    config.merge_from_dict({**schedule.to_dict(), "env_cfg.dist_cfg.backend": "gloo"})
    config.default_hooks.checkpoint.interval = 2
    weights = {}
    for name, steps in (("once", [3]), ("twice", [2, 3])):
        for until in steps:
            config.work_dir, config.experiment_name = str(tmp_path / name), f"{name}{until}"
            config.train_cfg.max_iters, config.resume = until, until > steps[0]
            runner = Runner.from_cfg(config.copy())
            runner.train()
        weights[name] = {key: value.clone() for key, value in runner.model.state_dict().items()}
    for key, value in weights["once"].items():
        assert torch.equal(value, weights["twice"][key]), key
