"""FasterSeg's derived network: any size, its teacher, weights of other architectures; and the choice of branches."""

from __future__ import annotations

import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS

from rsseg.engine.checkpoint import load_pretrained
from rsseg.engine.classes import class_tensors
from rsseg.errors import ConfigError, DataError
from rsseg.models.search.fasterseg_operators import pad_to_32

pytestmark = pytest.mark.usefixtures("mmseg_scope")
SMALL = dict(layers=3, base=4, widths=(0.5, 1.0), student_width=0.5)


def small_config(ops=(1, 2, 4)):
    """A model of two branches that share their first cell."""
    widths = dict(stem_width=0.5, head_width=0.5, base=4)
    branches = [
        dict(last=2, path=[0, 1, 2], ops=list(ops), widths=[0.5, 0.5]),
        dict(last=1, path=[0, 1], ops=[1, 1], widths=[0.5]),
    ]
    return dict(
        type="FasterSeg", architecture={"method": "FasterSeg", **widths, "branches": branches},
        backbone=dict(type="FasterSegBackbone"), decode_head=dict(type="FasterSegHead", num_classes=2),
        test_cfg=dict(mode="whole"),
    )  # fmt: skip


def test_any_size_will_do_although_operators_halve_it():
    """Skips of stride 2 and operators at half the size give maps of different sizes where 32 does not divide it."""
    torch.manual_seed(0)
    model = MODELS.build(small_config((0, 4, 4)))
    for height, width in ((72, 90), (33, 20)):
        samples = [sample_of(torch.randint(0, 2, (height, width))) for _ in range(2)]
        images = torch.rand(2, 3, height, width)
        assert torch.isfinite(sum(model.train().loss(images, samples).values()))
        with torch.no_grad():
            logits = model.eval().encode_decode(images, [dict(img_shape=(height, width))] * 2)
        assert logits.shape == (2, 2, height, width)
    padded = pad_to_32(torch.ones(1, 33, 20, dtype=torch.int64), 255)
    assert padded.shape == (1, 64, 32) and padded[0, :33, :20].eq(1).all() and (padded == 255).sum() == 64 * 32 - 660


def test_weights_of_another_architecture_are_refused_although_they_fit(tmp_path):
    """An operator at half the size has the same weights as that at full size."""
    config, other = small_config(), small_config((1, 1, 4))
    model = MODELS.build(config)
    text = Config(dict(model=other)).pretty_text
    torch.save(dict(state_dict=MODELS.build(other).state_dict(), meta=dict(cfg=text)), tmp_path / "other.pth")
    with pytest.raises(DataError, match=r"other\.pth: was trained with another architecture.*: branches\. Use"):
        load_pretrained(model, tmp_path / "other.pth")
    student = MODELS.build(dict(config, teacher=dict(model=config, checkpoint=str(tmp_path / "other.pth"))))
    with pytest.raises(DataError, match=r"other\.pth: was trained with another architecture"):
        student.loss(torch.rand(2, 3, 32, 32), [sample_of(torch.zeros(32, 32, dtype=torch.int64))] * 2)
    text = Config(dict(model=config)).pretty_text
    torch.save(dict(state_dict=model.state_dict(), meta=dict(cfg=text)), tmp_path / "own.pth")
    load_pretrained(model, tmp_path / "own.pth")
    more = dict(config, decode_head=dict(type="FasterSegHead", num_classes=3))
    student = MODELS.build(dict(config, teacher=dict(model=more, checkpoint=str(tmp_path / "own.pth"))))
    with pytest.raises(DataError, match=r"own\.pth: is no checkpoint of the teacher: 6 size mismatch"):
        student.loss(torch.rand(2, 3, 32, 32), [sample_of(torch.zeros(32, 32, dtype=torch.int64))] * 2)


def test_all_classifiers_are_known_where_classes_change():
    rows = class_tensors(MODELS.build(small_config()), "", 2)
    assert rows == [f"decode_head.heads{n}.conv_1x1.{kind}" for n in (32, 16, 8) for kind in ("weight", "bias")]
    head = dict(type="FasterSegSearchHead", base=4, student_width=0.5, num_classes=2)
    search = MODELS.build(
        dict(type="FasterSegSearch", backbone=dict(type="FasterSegSupernet", **SMALL), decode_head=head)
    )
    assert len(class_tensors(search, "", 2)) == 2 * 5 * 2


def test_validation_chooses_the_branches():
    head = dict(type="FasterSegSearchHead", base=4, student_width=0.5, num_classes=2)
    settings = dict(backbone=dict(type="FasterSegSupernet", **{**SMALL, "layers": 5}), decode_head=head)
    latency = dict(size=(64, 64))
    fixed = MODELS.build(dict(type="FasterSegSearch", **settings, latency=latency))
    assert fixed.pair == (2, 1) and not fixed.pairs_to_compare and "compared" not in fixed.architecture()
    model = MODELS.build(dict(type="FasterSegSearch", **settings, latency=latency, pair=None))
    model.choose_pair({(2, 0): 0.5, (2, 1): 0.1})
    assert [branch["last"] for branch in model.architecture()["branches"]] == [2, 0]
    model.choose_pair({(2, 0): 0.1, (2, 1): 0.5})
    content = model.architecture()
    assert [branch["last"] for branch in content["branches"]] == [2, 1]
    assert [own["pair"] for own in content["compared"]] == [[2, 0], [2, 1]]
    assert [own["mIoU"] for own in content["compared"]] == [0.1, 0.5]
    assert all(own["milliseconds"] > 0 for own in content["compared"])
    with pytest.raises(ConfigError, match=r"pair is \(1, 0\), one of \[\(2, 0\), \(2, 1\)\] or None"):
        MODELS.build(dict(type="FasterSegSearch", **settings, pair=(1, 0)))


def test_a_network_learns_from_a_teacher(tmp_path):
    torch.manual_seed(0)
    config = small_config()
    teacher = MODELS.build(config)
    torch.save(dict(state_dict=teacher.state_dict()), tmp_path / "teacher.pth")
    pair = dict(model=config, checkpoint=str(tmp_path / "teacher.pth"))
    student = MODELS.build(dict(config, teacher=pair))
    assert student.state_dict().keys() == teacher.state_dict().keys()
    images, samples = torch.rand(2, 3, 64, 96), [sample_of(torch.randint(0, 2, (64, 96))) for _ in range(2)]
    losses = student.loss(images, samples)
    assert set(losses) == {f"decode.{n}" for n in ("loss_ce", "loss_aux16", "loss_aux32", "loss_distillation")}
    sum(losses.values()).backward()
    assert all(own.grad is not None for own in student.parameters() if own.requires_grad)
    student.load_state_dict(teacher.state_dict())
    assert student.eval().loss(images, samples)["decode.loss_distillation"].item() == pytest.approx(0, abs=1e-6)
    with torch.no_grad():
        assert student(images).shape == (2, 2, 8, 12)
    missing = MODELS.build(dict(config, teacher=dict(model=config, checkpoint="none.pth")))
    with pytest.raises(FileNotFoundError, match="train it first"):
        missing.loss(images, samples)


def sample_of(labels):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    out = SegDataSample(metainfo=dict(img_shape=labels.shape))
    out.gt_sem_seg = PixelData(data=labels[None])
    return out
