"""Images of high predicted loss: losses by hand, the ranking of a case whose answer is known, the command."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest
import torch
from mmseg.registry import MODELS

from rsseg.engine.features import features_and_scores
from rsseg.errors import ConfigError
from rsseg.experiments.hard_images import describe, image_loss, propose_images

pytestmark = pytest.mark.usefixtures("mmseg_scope")
TABLE = {
    "name": "two",
    "source": "test",
    "categories": [{"id": 0, "name": "dark", "color": "#000000"}, {"id": 1, "name": "bright", "color": "#ffffff"}],
}


def test_loss_by_hand():
    scores = torch.zeros(2, 1, 3)
    scores[1, 0, 0] = math.log(3)  # probabilities 1/4 and 3/4
    ids = np.array([[1, 0, 255]], np.uint8)
    assert image_loss(scores, ids) == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    assert math.isnan(image_loss(scores, np.full((1, 3), 255, np.uint8)))


def test_description_by_hand():
    scores = torch.zeros(2, 1, 2)
    scores[1, 0, 0] = math.log(3)
    row = describe(np.array([7.0, -1.0]), scores)
    entropy = (math.log(2) - 0.25 * math.log(0.25) - 0.75 * math.log(0.75)) / 2
    np.testing.assert_allclose(row, [7, -1, (0.25 + 0.5) / 2, (0.75 + 0.5) / 2, entropy], rtol=1e-6)


class Brightness(torch.nn.Module):
    """A segmentor without weights: scores say bright where a pixel is, less surely the darker the image."""

    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.AvgPool2d(2)
        self.data_preprocessor = MODELS.build(
            dict(type="SegDataPreProcessor", bgr_to_rgb=True, mean=[0] * 3, std=[1] * 3)
        )

    def inference(self, inputs, metas):
        assert metas[0]["pad_shape"] == tuple(inputs.shape[2:])
        self.backbone(inputs)
        level = inputs.mean((1, 2, 3), keepdim=True)
        bright = (inputs.mean(1, keepdim=True) > level).float()
        return torch.cat([1 - bright, bright], 1) * level / 30


def write_set(root, count, first=0):
    """Images of growing brightness; their right halves are bright, and labelled so."""
    (root / "images").mkdir(parents=True)
    (root / "labels").mkdir()
    for i in range(first, first + count):
        pixels = np.full((4, 6, 3), 20 + 5 * i, np.uint8)
        pixels[:, 3:] += 40
        cv2.imwrite(str(root / "images" / f"{i:02}.png"), pixels)
        cv2.imwrite(str(root / "labels" / f"{i:02}.png"), np.repeat([[0, 0, 0, 1, 1, 1]], 4, 0).astype(np.uint8))
    return root


@pytest.fixture
def world(tmp_path):
    (tmp_path / "two.json").write_text(json.dumps(TABLE))
    known, pool = write_set(tmp_path / "known", 12), write_set(tmp_path / "pool", 8, 2)
    dataset = dict(type="TableDataset", table=str(tmp_path / "two.json"), data_root=str(known), img_suffix=".png")
    prefix = dict(img_path="images", seg_map_path="labels")
    pipeline = [dict(type="LoadImage"), dict(type="LoadLabels")]
    return dict(val_dataloader=dict(dataset=dict(**dataset, data_prefix=prefix, pipeline=pipeline))), pool / "images"


def test_features_and_scores_are_of_one_run(world):
    path = sorted(world[1].iterdir())[0]
    features, scores = features_and_scores(Brightness(), path)
    np.testing.assert_allclose(features, [50] * 3)  # 30 on the left, 70 on the right
    assert scores.shape == (2, 4, 6)
    assert torch.allclose(scores[1], torch.tensor([0.0, 0, 0, 1, 1, 1]).expand(4, 6) * 50 / 30)


def test_dark_images_are_proposed_first(world):
    config, pool = world
    images = sorted(pool.iterdir())
    ranked, fit = propose_images(Brightness(), config, images)
    assert [row.image for row in ranked] == images  # the darker, the less sure, the higher the loss
    losses = [row.predicted_loss for row in ranked]
    assert losses == sorted(losses, reverse=True) and fit.images == 12
    assert fit.rank_correlation > 0.9 and fit.of_entropy == pytest.approx(1)


def test_too_few_labels(world):
    config, pool = world
    for path in sorted((pool.parents[1] / "known" / "labels").iterdir())[:3]:
        cv2.imwrite(str(path), np.full((4, 6), 255, np.uint8))
    with pytest.raises(ConfigError, match="9 images of val have labels; the regression needs at least 10"):
        propose_images(Brightness(), config, sorted(pool.iterdir()))


def test_as_a_command(world, tmp_path, run_tool):
    head = dict(type="FCNHead", in_channels=32, channels=8, num_convs=1, num_classes=2, concat_input=False)
    model = dict(
        type="EncoderDecoder",
        data_preprocessor=dict(type="SegDataPreProcessor", mean=[0] * 3, std=[1] * 3, bgr_to_rgb=True),
        backbone=dict(type="ResNet", depth=18, base_channels=4, stem_channels=4, norm_cfg=dict(type="BN")),
        decode_head=dict(**head, in_index=-1, norm_cfg=dict(type="BN")),
        test_cfg=dict(mode="whole"),
    )
    torch.save(MODELS.build(model).state_dict(), tmp_path / "model.pth")
    loader = world[0]["val_dataloader"]
    (tmp_path / "config.py").write_text(f"default_scope = 'mmseg'\nmodel = {model}\nval_dataloader = {loader}\n")
    out, call = tmp_path / "ranking.csv", ("propose_images", tmp_path / "config.py", tmp_path / "model.pth")
    done = run_tool(*call, world[1], out, "--count", 3, "--size", 64)
    assert done.returncode == 0, done.stderr
    assert "8 images" in done.stdout and "rank correlation with the loss of 12 labelled images" in done.stdout
    assert len(out.read_text().splitlines()) == 9 and len((tmp_path / "ranking.txt").read_text().split()) == 3


def test_every_tenth_tile(tmp_path, run_tool):
    (tmp_path / "train.txt").write_text("".join(f"aachen_{i}\n" for i in range(25)))
    assert run_tool("make_few_labels", tmp_path / "train.txt", tmp_path / "lists", "--every", 10).returncode == 0
    assert (tmp_path / "lists" / "few_every_10.txt").read_text().split() == ["aachen_0", "aachen_10", "aachen_20"]
    assert "few_every_10.txt" in (tmp_path / "lists" / "few.sha256").read_text()
