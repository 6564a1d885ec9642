"""What would train, score or map wrong in silence ends by name: heads, class names, scores that are not finite."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from mmengine.runner import Runner
from mmseg.registry import MODELS
from PIL import Image

import rsseg.datasets
import rsseg.evaluation
import rsseg.models  # noqa: F401
from rsseg.engine import CheckLoss, check_finite, load_file, prepare_config
from rsseg.errors import DataError
from rsseg.metainfo import load_metainfo

NAN, INF = float("nan"), float("inf")


@MODELS.register_module(force=True)
class BandsAsFeatures(BaseModule):
    """A backbone that gives its input."""

    def forward(self, x):
        return (x,)


@pytest.fixture
def tiny(tmp_path):
    """A config of a model of two 8 x 8 images whose class is the brightest colour; its head starts as the identity."""
    rows = [{"id": i, "name": name, "color": f"#0000{i}0"} for i, name in enumerate(("red", "green", "blue"))]
    (tmp_path / "rgb.json").write_text(json.dumps({"name": "RGB", "source": "test", "categories": rows}))
    rng = np.random.default_rng(0)
    for name in ("img", "ann"):
        (tmp_path / name).mkdir()
    for i in range(2):
        pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(tmp_path / "img" / f"{i}.png")
        Image.fromarray(pixels.argmax(2).astype(np.uint8)).save(tmp_path / "ann" / f"{i}.png")
    head = dict(type="FCNHead", in_channels=3, channels=3, in_index=0, num_convs=0, concat_input=False, num_classes=3,
                norm_cfg=dict(type="BN"), align_corners=False, loss_decode=dict(type="CrossEntropyLoss"))  # fmt: skip
    normalise = dict(type="SegDataPreProcessor", mean=[120.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, size_divisor=1)
    pipeline = [dict(type="LoadImage"), dict(type="LoadLabels"), dict(type="PackSegInputs")]
    files = dict(data_root=str(tmp_path), data_prefix=dict(img_path="img", seg_map_path="ann"), img_suffix=".png")
    data = dict(type="TableDataset", table=str(tmp_path / "rgb.json"), pipeline=pipeline, **files)
    loader = dict(batch_size=1, num_workers=0, dataset=data, sampler=dict(type="DefaultSampler", shuffle=False))
    cfg = Config(dict(
        default_scope="mmseg", work_dir=str(tmp_path / "run"), model=dict(
            type="Segmentor", data_preprocessor=normalise, backbone=dict(type="BandsAsFeatures"), decode_head=head,
            train_cfg=dict(), test_cfg=dict(mode="whole")),
        train_dataloader={**loader, "sampler": dict(type="InfiniteSampler")}, val_dataloader=loader,
        test_dataloader=loader, train_cfg=dict(type="IterBasedTrainLoop", max_iters=1, val_interval=1),
        val_cfg=dict(type="ValLoop"), test_cfg=dict(type="TestLoop"),
        val_evaluator=dict(type="SegmentationMetric"), test_evaluator=dict(type="SegmentationMetric"),
        optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.0)), log_level="ERROR",
        default_hooks=dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=1)),
    ))  # fmt: skip
    prepare_config(cfg)
    return cfg


def write_checkpoint(path, weight, classes=None):
    state = {"decode_head.conv_seg.weight": weight[:, :, None, None], "decode_head.conv_seg.bias": torch.zeros(3)}
    torch.save({"meta": {"dataset_meta": {"classes": classes}} if classes else {}, "state_dict": state}, path)
    return str(path)


def score(cfg, checkpoint, **settings):
    cfg = Config(cfg.to_dict())
    cfg.merge_from_dict(settings)
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type="LoadTested", checkpoint=checkpoint)]
    return Runner.from_cfg(cfg).test()


def test_scores_are_finite_where_the_largest_is():
    scores = torch.zeros(2, 3, 4)
    check_finite(scores, "a.pth")
    scores[0, 0, 0] = -INF  # a masked class is none that wins
    check_finite(scores, "a.pth")
    check_finite(torch.full((2, 9, 9), 3e38), "a.pth")  # their sum is infinite, they are not
    for value in (NAN, INF):
        scores[1, 0, 0] = value
        with pytest.raises(ValueError, match=r"a\.pth: the model's scores are not finite .* 8\.33 % of the pixels"):
            check_finite(scores, "a.pth")
    with pytest.raises(ValueError, match="b: "):
        check_finite(torch.full((1, 2, 3), -INF), "b")


@pytest.mark.slow
def test_a_test_names_what_is_wrong_with_its_checkpoint(tmp_path, tiny):
    classes = ["Red", "green", "blue"]
    assert score(tiny, write_checkpoint(tmp_path / "good.pth", torch.eye(3), classes))["mIoU"] == 100
    with pytest.raises(ValueError, match=r"nan\.pth: the model's scores are not finite"):
        score(tiny, write_checkpoint(tmp_path / "nan.pth", torch.full((3, 3), NAN)))
    other = write_checkpoint(tmp_path / "other.pth", torch.eye(3), ["red", "green", "sky"])
    with pytest.raises(
        ValueError, match=r"other\.pth: its classes of rgb .* checkpoint: sky; only in the config: blue"
    ):
        score(tiny, other)
    flips = [dict(type="RandomFlip", prob=p, direction="horizontal") for p in (0.0, 1.0)]
    views = [flips, [dict(type="LoadLabels")], [dict(type="PackSegInputs")]]
    tiny.test_dataloader.dataset.pipeline = [dict(type="LoadImage"), dict(type="TestTimeAug", transforms=views)]
    tiny.model = dict(type="FlipsModel", module=tiny.model)
    assert score(tiny, str(tmp_path / "good.pth"))["mIoU"] == 100
    with pytest.raises(ValueError, match=r"nan\.pth: the model's scores are not finite"):
        score(tiny, str(tmp_path / "nan.pth"))


@pytest.mark.slow
def test_a_training_ends_before_its_first_iteration_where_a_head_has_other_classes(tiny):
    wrong = Config(tiny.to_dict())
    wrong.model.decode_head.num_classes = 4
    with pytest.raises(ValueError, match=r"model\.decode_head\.num_classes is 4, but dataset 'rgb' has 3 classes"):
        Runner.from_cfg(wrong).train()
    with pytest.raises(ValueError, match=r"model\.decode_head\.num_classes is 4"):
        Runner.from_cfg(wrong).test()
    wrong = Config(tiny.to_dict())
    wrong.train_dataloader.dataset.table = "potsdam"
    with pytest.raises(ValueError, match=rf"has {load_metainfo('potsdam').num_classes} classes"):
        Runner.from_cfg(wrong).train()


@pytest.mark.slow
def test_the_runner_itself_puts_classes_in_order(tmp_path, tiny, monkeypatch):
    """``load_from`` in a test (as mmseg's tools/test.py has it) and in a training, and ``resume`` with its momentum."""
    order = ("blue", "green", "red")
    path = write_checkpoint(tmp_path / "order.pth", torch.eye(3)[[2, 1, 0]], order)
    tested = Config(tiny.to_dict())
    tested.load_from = path
    assert Runner.from_cfg(tested).test()["mIoU"] == 100 and Runner.from_cfg(tested).val()["mIoU"] == 100
    Runner.from_cfg(tiny).load_checkpoint(path)  # before there is data: as it is
    tiny.optim_wrapper.optimizer = dict(type="AdamW", lr=1e-9)
    trained = Config(tiny.to_dict())
    trained.load_from = path
    head = Runner.from_cfg(trained).train().decode_head.conv_seg.weight[..., 0, 0]
    assert (head.detach().round() == torch.eye(3)).all()
    # the same run with another table, in which the classes stand the other way round
    saved = load_file(tmp_path / "run" / "iter_1.pth")
    saved["optimizer"]["state"][0]["exp_avg"] = torch.arange(9.0).view(3, 3, 1, 1)
    saved["meta"]["dataset_meta"]["classes"] = order
    torch.save(saved, tmp_path / "turned.pth")
    again = Config(tiny.to_dict())
    again.update(load_from=str(tmp_path / "turned.pth"), resume=True)
    runner = Runner.from_cfg(again)
    weight = runner.train().decode_head.conv_seg.weight
    assert (weight[..., 0, 0].detach().round() == torch.eye(3)[[2, 1, 0]]).all()
    assert runner.optim_wrapper.optimizer.state[weight]["exp_avg"].flatten().tolist() == [6, 7, 8, 3, 4, 5, 0, 1, 2]
    other = Config(tiny.to_dict())
    other.load_from = write_checkpoint(tmp_path / "other.pth", torch.eye(3), ("red", "green", "sky"))
    for key in ("train", "test"):
        with pytest.raises(
            ValueError, match=r"other\.pth: its classes of rgb .* checkpoint: sky; only in the config: blu"
        ):
            getattr(Runner.from_cfg(other), key)()
    monkeypatch.setenv("RSSEG_CLASS_MAP", '[["sky", "blue"]]')
    assert Runner.from_cfg(other).test()["mIoU"] == 100
    monkeypatch.delenv("RSSEG_CLASS_MAP")
    monkeypatch.setenv("RSSEG_TRUST_CLASSES", "1")
    assert Runner.from_cfg(other).test()["mIoU"] == 100


@pytest.mark.slow
def test_a_validation_of_a_diverged_training_names_the_iteration(tmp_path, tiny):
    Runner.from_cfg(tiny).train()
    assert load_file(tmp_path / "run" / "iter_1.pth")["meta"]["dataset_meta"]["classes"] == ("red", "green", "blue")
    tiny.optim_wrapper.optimizer.lr = NAN
    with pytest.raises(ValueError, match="iteration 1: the model's scores are not finite"):
        Runner.from_cfg(tiny).train()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("scaler", [False, True])
def test_a_training_whose_loss_is_not_finite_stops(value: float, scaler: bool) -> None:
    wrapper = SimpleNamespace(loss_scaler=object()) if scaler else SimpleNamespace()
    runner: Any = SimpleNamespace(iter=36, work_dir="work_dirs/a", optim_wrapper=wrapper)
    hook = CheckLoss()
    good = {"loss": torch.tensor(1.0, requires_grad=True), "decode.loss_ce": torch.tensor(1.0)}
    good["acc"] = torch.tensor(value)
    bad = {**good, "loss": torch.tensor(value), "decode.loss_ce": torch.tensor(value)}
    hook.after_train_iter(runner, 0, outputs=good)
    for _ in range(20 if scaler else 0):  # steps that are left out while a scale is looked for
        hook.after_train_iter(runner, 0, outputs=bad)
    with pytest.raises(DataError, match=rf"iteration 37: loss is {value}, decode.loss_ce is {value}; the training has"):
        hook.after_train_iter(runner, 0, outputs=bad)
    hook.after_train_iter(runner, 0, outputs=good)
    assert hook._bad == 0
