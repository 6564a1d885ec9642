"""A mask model of one's own, from training to labels: a network on crops of 32 pixels that learns bright rectangles."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import Image

from rsseg.conversion import convert_labels, load_conversion_config, make_prompts
from rsseg.conversion.ablation import ablate_prompts
from rsseg.io.checkpoints import load_file, write_weights
from rsseg.running import train_box_masks
from rsseg.structures.boxes import hbox_to_qbox

REPO = Path(__file__).resolve().parents[2]
_BOXES = [(5, 6, 25, 18), (40, 8, 52, 40), (30, 44, 60, 56), (4, 30, 20, 46)]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty HRSC-like images: DIOR boxes, and masks that leave out a corner of the box."""
    root = tmp_path_factory.mktemp("data")
    for name in ("images", "Annotations", "masks"):
        (root / name).mkdir()
    rng = np.random.default_rng(0)
    for i in range(20):
        pixels, ids = rng.integers(40, 70, (64, 64, 3), dtype=np.uint8), np.zeros((64, 64), np.uint8)
        objects = ""
        for number, (x1, y1, x2, y2) in enumerate(_BOXES, start=1):
            ids[y1:y2, x1:x2] = number
            ids[y1 : (y1 + y2) // 2, x1 : (x1 + x2) // 2] = 0
            box = f"<xmin>{x1}</xmin><ymin>{y1}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            objects += f"<object><name>ship</name><bndbox>{box}</bndbox></object>"
        pixels[ids > 0] = 210
        Image.fromarray(pixels).save(root / "images" / f"{i:05}.jpg", quality=95)
        Image.fromarray(ids).save(root / "masks" / f"{i:05}.png")
        size = "<size><width>64</width><height>64</height><depth>3</depth></size>"
        text = f"<annotation><filename>{i:05}.jpg</filename>{size}{objects}</annotation>"
        (root / "Annotations" / f"{i:05}.xml").write_text(text, encoding="utf-8")
    return root


def _source(data: Path) -> dict[str, Any]:
    return dict(format="dior", images=str(data / "images"), annotations=str(data / "Annotations"), classes="sior")


def _options(data: Path, iterations: int = 30) -> dict[str, Any]:
    masks = dict(**_source(data), truth=dict(kind="instance_png", masks=str(data / "masks")))
    return {
        "model.backbone.init_cfg": None,
        "model.size": 32,
        "model.channels": 16,
        "train_dataloader.dataset.sets": [masks],
        "train_dataloader.dataset.held_out": 0.5,
        "train_dataloader.batch_size": 16,
        "val_dataloader.dataset.sets": [masks],
        "val_dataloader.dataset.held_out": 0.5,
        "optim_wrapper.paramwise_cfg": None,
        "default_hooks.checkpoint.interval": 10,
        "default_hooks.average.momentum": 0.1,
        "train_cfg.max_iters": iterations,
        "train_cfg.val_interval": iterations,
        "param_scheduler": [],
    }


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``boxmask.pth`` of a short training."""
    config = REPO / "configs/nwpu_vhr10/boxmask_nwpu_vhr10.py"
    path = train_box_masks(config, work_dir=tmp_path_factory.mktemp("run"), cfg_options=_options(data))
    assert path is not None
    return path


@pytest.fixture
def config(data: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A conversion of the images by the network: ``config(checkpoint, **changes)``."""

    def make(checkpoint: Path, **changes: Any) -> dict[str, Any]:
        base = Config.fromfile(REPO / "configs/_base_/convert.py").to_dict()
        base["predictors"]["boxmask"]["checkpoint"] = str(checkpoint)
        truth = dict(kind="instance_png", masks=str(data / "masks"))
        own = dict(source=_source(data), out_dir=str(tmp_path / "out"), predictor="boxmask", truth=truth)
        return {**base, **own, **changes}

    return make


def test_labels_by_the_trained_network(trained: Path, config: Callable[..., dict[str, Any]]) -> None:
    report = convert_labels(config(trained), with_evaluation=True)
    assert report.evaluation is not None and report.manifest is not None
    assert report.evaluation["overall"]["mIOU_I"] > 0.85  # the filled box has 0.75
    about = report.manifest["predictor"]
    assert about["weights"] == "boxmask.pth" and len(about["sha256"]) == 64
    assert about["training"]["masks"] == 40 and about["training"]["held_out_masks"] == 40


def test_scores_decide_like_those_of_any_model(trained: Path, config: Callable[..., dict[str, Any]]) -> None:
    plain = config(trained)
    pipeline = [dict(t, min_predicted_iou=1.01) if t["type"] == "RefineMasks" else t for t in plain["pipeline"]]
    report = convert_labels({**plain, "pipeline": pipeline})
    assert report.manifest is not None and report.manifest["counts"]["dropped_instances"] == 80


def test_ablation_takes_both_kinds_of_box(trained: Path, config: Callable[..., dict[str, Any]]) -> None:
    result = ablate_prompts(config(trained), ["hbox", "rhbox"]).result
    assert result is not None and set(result["prompts"]) == {"hbox", "rhbox"}
    assert all(row["overall"]["mIOU_I"] > 0.8 for row in result["prompts"].values())


@pytest.mark.parametrize("kind", ["cp+hbox", "hbox+hbox_m", "cp"])
def test_other_prompts_are_refused(trained: Path, kind: str) -> None:
    predictor = MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(trained)))
    boxes = np.array([[5.0, 6, 25, 18]])
    with pytest.raises(ValueError, match="'hbox'"):
        predictor.predict(np.zeros((64, 64, 3), np.uint8), make_prompts(kind, boxes, hbox_to_qbox(boxes)))


def test_batches_and_precision(trained: Path) -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    boxes = np.array(_BOXES, np.float64)
    prompts = make_prompts("hbox", boxes, hbox_to_qbox(boxes))
    build = dict(type="BoxMaskPredictor", checkpoint=str(trained), precision="fp32")
    one, all_at_once = (MODELS.build({**build, "batch": batch}).predict(image, prompts) for batch in (1, 32))
    assert np.allclose(one.predicted_iou, all_at_once.predicted_iou, atol=1e-3)
    with pytest.raises(ValueError, match="views must be one of 1, 4, 8"):
        MODELS.build({**build, "views": 2})


@pytest.mark.parametrize("views", [4, 8])
def test_mean_of_views_turns_with_the_image(trained: Path, views: int) -> None:
    image = np.random.default_rng(1).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    x1, y1, x2, y2 = _BOXES[0]
    box, mirrored, transposed = (
        np.array([b], float) for b in (_BOXES[0], (64 - x2, y1, 64 - x1, y2), (y1, x1, y2, x2))
    )
    both = MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(trained), precision="fp32", views=views))

    def mask(pixels: np.ndarray, prompt: np.ndarray) -> np.ndarray:
        found = both.predict(np.ascontiguousarray(pixels), make_prompts("hbox", prompt, hbox_to_qbox(prompt)))
        return found.masks[0].full((64, 64))

    plain = mask(image, box)
    assert np.count_nonzero(plain != mask(image[:, ::-1], mirrored)[:, ::-1]) <= 2
    if views == 8:
        assert np.count_nonzero(plain != mask(image.transpose(1, 0, 2), transposed).T) <= 2
    assert both.describe()["views"] == views and both.describe()["precision"] == "fp32"
    outside = make_prompts("hbox", np.array([[100.0, 100, 120, 120]]), hbox_to_qbox(box))
    found = both.predict(image, outside)
    assert found.masks[0].area == 0 and found.predicted_iou.tolist() == [0.0]
    assert both.predict(image, make_prompts("hbox", np.zeros((0, 4)), np.zeros((0, 4, 2)))).masks == []


def test_box_thinner_than_a_pixel_of_the_crop_has_a_score(trained: Path, tmp_path: Path) -> None:
    content = load_file(trained)
    state = {**content["state_dict"], "decoder.classifier.bias": torch.tensor([50.0])}  # all is object
    write_weights(tmp_path / "all.pth", state, content["meta"])
    predictor = MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(tmp_path / "all.pth")))
    boxes = np.array([[0.0, y, 640, y + 2] for y in range(40, 48)])  # the crop's pixels are 28 of the image's
    found = predictor.predict(np.zeros((90, 640, 3), np.uint8), make_prompts("hbox", boxes, hbox_to_qbox(boxes)))
    assert [mask.area for mask in found.masks] == [1280] * 8
    assert (found.predicted_iou > 0.5).all() and (found.stability == 1).all()


def test_files_that_are_no_network(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no box-to-mask network"):
        MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(trained.with_name("iter_30.pth"))))
    content = load_file(trained)
    damaged = {key: value for key, value in content["state_dict"].items() if "classifier" not in key}
    write_weights(tmp_path / "less.pth", damaged, content["meta"])
    with pytest.raises(ValueError, match="do not fit its settings"):
        MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(tmp_path / "less.pth")))
    for name in ("calibration", "training"):
        less = {key: value for key, value in content["meta"].items() if key != name}
        write_weights(tmp_path / "less.pth", content["state_dict"], less)
        with pytest.raises(ValueError, match=f"lacks '{name}'"):
            MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(tmp_path / "less.pth")))
    with pytest.raises(FileNotFoundError, match="rsseg train-boxmask"):
        MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(tmp_path / "none.pth")))
    with pytest.raises(ValueError, match="--checkpoint FILE"):
        MODELS.build(dict(type="BoxMaskPredictor"))


def test_the_same_network_as_safetensors(trained: Path, tmp_path: Path) -> None:
    content = load_file(trained)
    write_weights(tmp_path / "boxmask.safetensors", content["state_dict"], content["meta"])
    boxes = np.array(_BOXES, np.float64)
    prompts, image = make_prompts("rhbox", boxes, hbox_to_qbox(boxes)), np.full((64, 64, 3), 80, np.uint8)
    files = trained, tmp_path / "boxmask.safetensors"
    a, b = (MODELS.build(dict(type="BoxMaskPredictor", checkpoint=str(f))).predict(image, prompts) for f in files)
    assert (a.predicted_iou == b.predicted_iou).all()


def test_checkpoint_option_reaches_the_chosen_predictor() -> None:
    path = REPO / "configs/nwpu_vhr10/convert_nwpu_vhr10.py"
    config = load_conversion_config(path, {"predictor": "boxmask", "checkpoint": "my.pth"})
    assert config.predictors.boxmask.checkpoint == "my.pth"
    with pytest.raises(ValueError, match=r"'grabcut' has no weights.*boxmask"):
        load_conversion_config(path, {"checkpoint": "my.pth"})


def test_labels_of_another_network_are_not_mixed(
    trained: Path, config: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    convert_labels(config(trained))
    content = load_file(trained)
    other = {**content["state_dict"], "decoder.classifier.bias": torch.tensor([3.0])}
    write_weights(tmp_path / "boxmask.pth", other, content["meta"])
    for update in (False, True):
        with pytest.raises(ValueError, match="sha256"):
            convert_labels(config(tmp_path / "boxmask.pth"), update=update)
    convert_labels(config(tmp_path / "boxmask.pth"), overwrite=True)


def test_too_few_held_out_masks_stop_the_training_at_its_start(data: Path, tmp_path: Path) -> None:
    config = REPO / "configs/nwpu_vhr10/boxmask_nwpu_vhr10.py"
    few = {**_options(data, 10), "val_dataloader.dataset.held_out": 0.1}
    with pytest.raises(ValueError, match="at least 30, and there are 8; raise the share held_out"):
        train_box_masks(config, work_dir=tmp_path, cfg_options=few)
    assert not list(tmp_path.glob("*.pth"))


@pytest.mark.slow
def test_resumed_training_ends_with_the_same_file(data: Path, tmp_path: Path) -> None:
    config = REPO / "configs/nwpu_vhr10/boxmask_nwpu_vhr10.py"
    whole = train_box_masks(config, work_dir=tmp_path / "whole", cfg_options=_options(data, 20))
    short = {**_options(data, 20), "train_cfg.max_iters": 10}
    train_box_masks(config, work_dir=tmp_path / "parts", cfg_options=short)
    path = train_box_masks(config, work_dir=tmp_path / "parts", cfg_options=_options(data, 20), resume=True)
    assert whole is not None and path is not None
    a, b = load_file(whole)["state_dict"], load_file(path)["state_dict"]
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)
    for missing in (True, False):  # as if it was killed before the last validation, after an earlier training or none
        path.write_bytes(b"of an earlier training")
        os.utime(path, (1, 1))
        if missing:
            path.unlink()
        again = train_box_masks(config, work_dir=tmp_path / "parts", cfg_options=_options(data, 20), resume=True)
        assert again == path and path.read_bytes() != b"of an earlier training"
        content = load_file(path)
        assert all(torch.equal(a[key], content["state_dict"][key]) for key in a)
        assert content["meta"]["training"]["iterations"] == 20


def test_other_configs_are_sent_to_rsseg_train() -> None:
    with pytest.raises(ValueError, match="rsseg train"):
        train_box_masks(REPO / "configs/nwpu_vhr10/upernet_tiny_nwpu_vhr10.py")
