"""What a run of domain adaptation leaves: plain checkpoints, scores of both networks, logs, pictures, warnings."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import HOOKS, init_default_scope
from mmengine.runner import Runner
from mmseg.registry import METRICS, MODELS
from PIL import Image

from rsseg.engine.adaptation import UNLABELLED_SCORES
from rsseg.engine.checkpoint import load_pretrained, save_teacher
from rsseg.engine.optim import AutocastOptimWrapper, use_autocast
from rsseg.errors import ConfigError, DataError
from rsseg.io.checkpoints import load_file
from tests.models.adaptation.test_running import batches, build, take_steps
from tests.models.adaptation.tiny_domains import SIZE, adapted, network, optimizers, run_config


@pytest.fixture(scope="module")
def daformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with validation and pictures."""
    folder = tmp_path_factory.mktemp("daformer")
    model, adversarial = adapted("DAFormer")
    config = run_config(
        folder,
        model,
        adversarial,
        iterations=4,
        val_dataloader=dict(
            batch_size=1,
            num_workers=0,
            dataset=dict(type="TwoDomains", domains=("valid",), count=3),
            sampler=dict(type="DefaultSampler", shuffle=False),
        ),
        val_cfg=dict(type="ValLoop"),
        val_evaluator=[
            dict(type="SegmentationMetric"),
            dict(type="SegmentationMetric", field="teacher_sem_seg", prefix="teacher"),
            dict(type="UnlabelledScores"),
        ],
        visualizer=dict(type="SegLocalVisualizer", vis_backends=[dict(type="LocalVisBackend")], name=folder.name),
    )
    config.train_cfg.val_interval = 4
    config.custom_hooks.append(dict(type="AdaptationPictures", interval=2))
    config.default_hooks.checkpoint.save_best = "mIoU"
    init_default_scope("mmseg")
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    runner = Runner.from_cfg(config)
    runner.logger.addHandler(handler)
    runner.train()
    (folder / "messages.txt").write_text("\n".join(messages))
    return folder


def test_the_checkpoint_is_a_plain_segmentors(daformer, tmp_path):
    state = load_file(daformer / "iter_4.pth")["state_dict"]
    init_default_scope("mmseg")
    plain = MODELS.build(network(None))
    load_pretrained(plain, daformer / "iter_4.pth")
    own = {key: value.clone() for key, value in plain.state_dict().items()}
    assert all(torch.equal(own[key], state[key]) for key in own)
    assert all(key.startswith("adaptation.") for key in set(state) - set(own))
    assert save_teacher(daformer / "iter_4.pth", tmp_path / "teacher.pth") == len(own)
    load_pretrained(plain, tmp_path / "teacher.pth")
    taught = plain.state_dict()
    assert torch.equal(taught["decode_head.conv_seg.weight"], state["adaptation.teacher.decode_head.conv_seg.weight"])
    assert not torch.equal(taught["decode_head.conv_seg.weight"], own["decode_head.conv_seg.weight"])
    with pytest.raises(DataError, match="has no teacher"):
        save_teacher(tmp_path / "teacher.pth", tmp_path / "again.pth")


@pytest.mark.parametrize("method", ["DAFormer", "AdaptSeg", "CBST"])
def test_a_plain_checkpoint_fits_the_config_of_a_method(tmp_path, method):
    """Such as an exported teacher, or what was trained on the source alone."""
    init_default_scope("mmseg")
    model = MODELS.build(adapted(method)[0])
    state = {k: v + 1 for k, v in model.state_dict().items() if not k.startswith("adaptation.")}
    torch.save(dict(state_dict=state), tmp_path / "plain.pth")
    load_pretrained(model, tmp_path / "plain.pth")
    loaded = model.state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())
    teacher = {k.removeprefix("adaptation.teacher."): v for k, v in loaded.items() if ".teacher." in k}
    assert bool(teacher) == (method == "DAFormer")
    assert all(torch.equal(state[key], value) for key, value in teacher.items())
    torch.save(dict(state_dict={**state, "adaptation.other": torch.zeros(1)}), tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"1 unexpected: adaptation\.other"):
        load_pretrained(model, tmp_path / "other.pth")


def test_student_and_teacher_are_scored_and_the_log_says_how_sure_the_teacher_is(daformer):
    lines = [json.loads(line) for file in daformer.glob("*/vis_data/scalars.json") for line in file.open()]
    train = [line for line in lines if "loss" in line]
    assert {"quality", "loss_source", "loss_mix", "loss_distance", "pseudo/low", "pseudo/high"} <= set(train[-1])
    assert all(0 <= line["quality"] <= 1 for line in train)
    val = next(line for line in lines if "mIoU" in line)
    assert {"teacher/mIoU", *UNLABELLED_SCORES} <= set(val)
    assert all(0 <= val[name] <= 100 for name in UNLABELLED_SCORES)


def test_a_picture_shows_the_target_its_pseudo_label_and_both_networks(daformer):
    files = sorted(path for path in daformer.glob("*/vis_data/vis_image/*.png"))
    assert [file.name for file in files] == ["adaptation.png_2.png", "adaptation.png_4.png"] or len(files) == 2
    # image, pseudo label, student, teacher of 32 pixels and three gaps of 4, or wider for the names below
    assert Image.open(files[0]).size[0] >= 4 * SIZE + 3 * 4


def test_a_choice_by_labels_of_the_target_is_named(daformer):
    assert (
        "The model is chosen by mIoU of a validation set that is not the source"
        in (daformer / "messages.txt").read_text()
    )


def test_scores_without_labels_by_hand():
    metric = METRICS.build(dict(type="UnlabelledScores"))
    # two pixels: (1/2, 1/2) and (1, 0); entropies ln 2 and 0, mean probabilities (3/4, 1/4)
    logits = torch.tensor([[[0.0, 50.0]], [[0.0, 0.0]]])
    labels = torch.tensor([[[0, 0]]])
    sample = {"seg_logits": {"data": logits}, "pred_sem_seg": {"data": labels}}
    metric.process(None, [{**sample, "teacher_sem_seg": {"data": torch.tensor([[[0, 1]]])}}])
    out = metric.compute_metrics(metric.results)
    mean = (-0.75 * np.log2(0.75) - 0.25 * np.log2(0.25)).item()
    assert out == {"certainty": 50.0, "information": pytest.approx(100 * (mean - 0.5), abs=1e-3), "agreement": 50.0}


def test_autocast_reaches_every_optimizer():
    config = ConfigDict(optimizers(adversarial=True))
    use_autocast(config)
    assert config.network.type == config.discriminator.type == "mmseg.AutocastOptimWrapper" and "type" not in config
    single = ConfigDict(optimizers(adversarial=False))
    use_autocast(single)
    assert single.type == "mmseg.AutocastOptimWrapper"
    with pytest.raises(ConfigError, match="no optimizer"):
        use_autocast(ConfigDict(constructor="X"))


@pytest.mark.parametrize("method", ["AdaptSeg", "PyCDA", "MIC"])
def test_a_step_under_autocast(tmp_path, method):
    model, _ = build(method)
    config = ConfigDict(optimizers(adapted(method)[1]))
    use_autocast(config)
    from mmengine.optim import build_optim_wrapper

    wrapper = build_optim_wrapper(model, config)
    assert isinstance(getattr(wrapper, "_first", wrapper), AutocastOptimWrapper)
    seen = []
    model.decode_head.register_forward_hook(lambda *args: seen.append(args[-1].dtype))
    if hasattr(model.decode_head, "cls_seg"):
        model.decode_head.cls_seg = _watch(model.decode_head.cls_seg, seen)
    take_steps(model, model.train_step, wrapper, batches(count=1), tmp_path)
    assert torch.bfloat16 in seen
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def _watch(function: Any, seen: list[torch.dtype]) -> Any:
    def call(*args: Any) -> Any:
        out = function(*args)
        seen.append(out.dtype)
        return out

    return call


def test_the_backbone_of_student_alone_is_compiled(monkeypatch, tmp_path):
    compiled = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: compiled.append(self))
    model, _ = build("DAFormer")
    runner: Any = type("Runner", (), {"model": model})()
    HOOKS.build(dict(type="CompileBackbone")).before_train(runner)
    assert compiled == [model.backbone]


def test_a_loss_that_is_no_number_ends_the_run(tmp_path):
    config = run_config(tmp_path, *adapted("AdaptSeg"))
    config.custom_hooks.append(dict(type="CheckLoss"))
    init_default_scope("mmseg")
    runner = Runner.from_cfg(config)
    with torch.no_grad():
        runner.model.adaptation.discriminator.layers[0].weight.fill_(float("nan"))
    runner.model.init_weights = lambda: None
    with pytest.raises(DataError, match=r"iteration 1: .*loss_discriminator.* is nan.*diverged"):
        runner.train()


def test_optimizers_that_do_not_fit_are_named():
    with pytest.raises(ConfigError, match="SourceOnly has no discriminators; expected: optimizer"):
        _optimizers("SourceOnly", adversarial=True)
    with pytest.raises(ConfigError, match="AdaptSeg has 2 discriminators; expected: discriminator and network"):
        _optimizers("AdaptSeg", adversarial=False)
    wrapper, model = _optimizers("AdaptSeg", adversarial=True)
    assert list(wrapper.keys()) == ["network", "discriminator", "auxiliary_discriminator"]
    counts = [len(own["params"]) for part in wrapper.values() for own in part.optimizer.param_groups]
    assert counts[1:] == [10, 10] and sum(counts) == len(list(model.parameters()))
    wrapper, model = _optimizers("DAFormer", adversarial=False)
    trained = sum(p.requires_grad for p in model.parameters())
    assert sum(len(group["params"]) for group in wrapper.param_groups) == trained < len(list(model.parameters()))


def _optimizers(method: str, adversarial: bool) -> Any:
    from mmengine.optim import build_optim_wrapper

    model, _ = build(method)
    return build_optim_wrapper(model, optimizers(adversarial)), model
