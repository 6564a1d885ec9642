"""A checkpoint's classes against a config's: listed where they differ, put in order by name, in every kind of model."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import nn

from rsseg.engine import load_pretrained
from rsseg.engine.classes import class_tensors, fit_classes, reorder_optimizer
from rsseg.errors import ConfigError
from rsseg.io.checkpoint_options import ClassOptions

NAMES = ("road", "roof", "tree", "lake")
OTHER = ("lake", "road", "tree", "roof")  # the same in another order
ROWS = [1, 3, 2, 0]  # where NAMES are in OTHER


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RSSEG_CLASS_MAP", "RSSEG_TRUST_CLASSES"):
        monkeypatch.delenv(name, raising=False)


def meta(*sets: tuple[str, tuple[str, ...]]) -> dict[str, Any]:
    """What a checkpoint says of one or several label sets."""
    if len(sets) == 1:
        return {"dataset_meta": {"classes": sets[0][1], "dataset_name": sets[0][0]}}
    return {"dataset_meta": {"sets": {name: {"classes": classes} for name, classes in sets}}}


class Head(nn.Module):
    """A head with four classes; its last layer is called as it is asked."""

    def __init__(self, num_classes: int = 4, name: str = "conv_seg", rows: int | None = None) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.body = nn.Linear(3, 4)
        setattr(self, name, nn.Linear(4, num_classes if rows is None else rows))


def model(**heads: nn.Module) -> nn.Module:
    out = nn.Module()
    for name, head in heads.items():
        setattr(out, name, head)
    return out


def _heads(node: Any) -> Iterator[dict[str, Any]]:
    """The configs of all heads that take ``num_classes``, wherever they stand."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        if isinstance(value, dict | list):
            kind = str(value.get("type")) if isinstance(value, dict) else ""
            if kind.endswith(("Head", "Decoder")) and kind != "IterativeDecodeHead":
                yield value
            if not str(key).startswith(("loss", "backbone")):
                yield from _heads(value)


def build(kind: str) -> tuple[nn.Module, list[str]]:
    """A model of a kind with seven classes, and its weights that have a row for each."""
    from mmseg.registry import MODELS

    import rsseg.models  # noqa: F401

    base = {"upernet": "upernet_r50", "unet": "unet_r50", "unetformer": "unetformer_rx101"}
    base |= {"mask2former": "mask2former_r50", "setr": "setr_pup_vit_l", "multihead": "upernet_swin"}
    path = "openearthmap/knet_swin_b_openearthmap" if kind == "knet" else f"_base_/models/{base[kind]}"
    config = copy.deepcopy(Config.fromfile(f"configs/{path}.py").model)
    config.backbone = dict(type="ResNet", depth=18)  # heads are what is looked at
    if kind == "multihead":
        config.update(type="MultiHeadSegmentor", heads=dict(one=7, two=7))
    else:
        for head in _heads(config):
            head["num_classes"] = 7
    with DefaultScope.overwrite_default_scope("mmseg"), torch.device("meta"):
        built = MODELS.build(config)
    found = [key for key, value in built.state_dict().items() if value.ndim and value.shape[0] in (7, 8)]
    return built, [key for key in found if key.rpartition(".")[2] in ("weight", "bias")]


@pytest.mark.parametrize("kind", ["upernet", "unet", "knet", "unetformer", "mask2former", "setr", "multihead"])
def test_every_weight_with_a_row_for_each_class_is_found(kind: str, monkeypatch: pytest.MonkeyPatch, repo: Any) -> None:
    monkeypatch.chdir(repo)
    built, expected = build(kind)
    found = class_tensors(built, "two", 7)
    if kind == "multihead":
        assert found == ["heads.two.weight", "heads.two.bias"]
        found += class_tensors(built, "one", 7)
    assert sorted(found) == sorted(expected) and expected


def test_classification_heads_are_known_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from mmpretrain.registry import MODELS

    import rsseg.models.multilabel  # noqa: F401

    with DefaultScope.overwrite_default_scope("mmpretrain"):
        for kind, layer in (("MultiLabelLinearClsHead", "fc"), ("HiddenMultiLabelHead", "classifier")):
            head = MODELS.build(dict(type=kind, num_classes=4, in_channels=3))
            assert class_tensors(model(head=head), "", 4) == [f"head.{layer}.weight", f"head.{layer}.bias"]


def test_another_order_is_put_right(tmp_path: Any) -> None:
    """Rows follow their names; a row for "none" stays the last; what is no class stays as it is."""
    source = model(decode_head=Head(), auxiliary_head=Head(), queries=Head(name="cls_embed", rows=5))
    torch.save({"state_dict": source.state_dict(), "meta": meta(("own", OTHER))}, tmp_path / "a.pth")
    target = model(decode_head=Head(), auxiliary_head=Head(), queries=Head(name="cls_embed", rows=5))
    load_pretrained(target, tmp_path / "a.pth", classes={"own": NAMES})
    for name in ("decode_head.conv_seg", "auxiliary_head.conv_seg", "queries.cls_embed"):
        old, new = source.get_submodule(name), target.get_submodule(name)
        rows = [*ROWS, 4] if name.startswith("queries") else ROWS
        assert torch.equal(new.weight, old.weight[rows]) and torch.equal(new.bias, old.bias[rows])
    assert torch.equal(target.decode_head.body.weight, source.decode_head.body.weight)
    load_pretrained(target, tmp_path / "a.pth", classes={"own": OTHER})
    assert torch.equal(target.decode_head.conv_seg.weight, source.decode_head.conv_seg.weight)


def test_classifiers_of_several_convolutions_are_moved_as_one() -> None:
    parts = {name: nn.ModuleDict({"convs": nn.ModuleList([nn.Linear(3, 4)] * 2)}) for name in ("conv_seg", "twin")}
    head = model(**parts, other=nn.Linear(4, 4))
    head.num_classes = 4  # type: ignore[assignment]
    expected = [f"{part}.convs.{i}.{kind}" for part in parts for i in range(2) for kind in ("weight", "bias")]
    assert class_tensors(model(decode_head=head), "set", 4) == [f"decode_head.{key}" for key in expected]


def test_every_head_is_compared_with_its_own_set() -> None:
    target = nn.Module()
    target.heads = nn.ModuleDict({"one": nn.Linear(3, 4), "two": nn.Linear(3, 2)})
    state, before = target.state_dict(), copy.deepcopy(target.state_dict())
    names = {"one": NAMES, "two": ("a", "b")}
    fit_classes(state, meta(("one", OTHER), ("two", ("a", "b"))), target, names, "a.pth")
    assert torch.equal(state["heads.one.weight"], before["heads.one.weight"][ROWS])
    assert torch.equal(state["heads.two.weight"], before["heads.two.weight"])
    with pytest.raises(ConfigError, match=r"a\.pth: its classes of two .*only in the checkpoint: c; .*config: b\. "):
        fit_classes(state, meta(("one", NAMES), ("two", ("a", "c"))), target, names, "a.pth")


@pytest.mark.parametrize("training", [False, True])
def test_other_classes_are_listed_unless_an_option_says_what_to_do(training: bool) -> None:
    target = model(decode_head=Head())
    found, wanted = meta(("own", ("sea", "roof", "road", "bush"))), {"own": NAMES}

    def fit(**options: Any) -> dict[str, torch.Tensor]:
        state = {key: value.clone() for key, value in target.state_dict().items()}
        fit_classes(state, found, target, wanted, "a.pth", ClassOptions(**options), training)
        return state

    own = target.decode_head.conv_seg.weight
    only = "only in the checkpoint: sea, bush; only in the config: tree, lake"
    advice = "--class-map .*--trust-classes" + ("(.|\n)*let the head start afresh" if training else "")
    with pytest.raises(ConfigError, match=rf"a\.pth: its classes of own are not those of the config: {only}.*{advice}"):
        fit()
    assert torch.equal(fit(trust=True)["decode_head.conv_seg.weight"], own)
    mapped = fit(pairs=(("sea", "lake"), ("Bush", "tree")))
    assert torch.equal(mapped["decode_head.conv_seg.weight"], own[[2, 1, 3, 0]])
    with pytest.raises(ConfigError, match="--class-map see=lake: no such pair of classes; there are sea, roof, road"):
        fit(pairs=(("see", "lake"),))
    if not training:
        with pytest.raises(ConfigError, match="only in the checkpoint: bush; only in the config: tree"):
            fit(pairs=(("sea", "lake"),))


def test_a_class_map_may_choose_among_the_classes() -> None:
    """For a test all that is left out is named; a training keeps its own rows for what the file lacks."""
    small, large = model(decode_head=Head(2)), model(decode_head=Head(4))
    rows = large.state_dict()
    leave = ClassOptions((("road", ""), ("lake", "")))
    state = dict(rows)
    fit_classes(state, meta(("x", NAMES)), small, {"x": ("tree", "roof")}, "a.pth", leave)
    assert torch.equal(state["decode_head.conv_seg.bias"], rows["decode_head.conv_seg.bias"][[2, 1]])
    state = dict(small.state_dict())
    pairs = ClassOptions((("sea", "lake"), ("roof", "roof")))
    fit_classes(state, meta(("x", ("sea", "roof"))), large, {"x": NAMES}, "a.pth", pairs, training=True)
    expected = rows["decode_head.conv_seg.bias"].clone()
    expected[[3, 1]] = small.state_dict()["decode_head.conv_seg.bias"]
    assert torch.equal(state["decode_head.conv_seg.bias"], expected)


def test_a_training_may_start_with_another_head() -> None:
    other = meta(("x", ("sea", "sky")))
    for own, options in (
        (Head(4), {}),
        (Head(2), dict(skipped=["decode_head.conv_seg.weight", "decode_head.conv_seg.bias"])),
    ):
        target, names = model(decode_head=own), NAMES[: own.num_classes]
        state = model(decode_head=Head(2)).state_dict()
        assert fit_classes(state, other, target, {"x": names}, "a.pth", training=True, **options) == {}
    with pytest.raises(ConfigError, match="let the head start afresh"):  # the same shape, so it would be loaded
        fit_classes(state, other, target, {"x": NAMES[:2]}, "a.pth", training=True)


def test_what_cannot_be_put_in_order_is_said() -> None:
    binary = model(decode_head=Head(2, rows=1))  # one score against a threshold
    state = binary.state_dict()
    fit_classes(state, meta(("x", ("a", "b"))), binary, {"x": ("a", "b")}, "a.pth")
    with pytest.raises(
        ConfigError, match=r"in another order .* cannot be put: Head has no weights with a row for each"
    ):
        fit_classes(state, meta(("x", ("b", "a"))), binary, {"x": ("a", "b")}, "a.pth")


def test_momentum_follows_its_weights() -> None:
    target = model(decode_head=Head())
    optimizer = torch.optim.AdamW(target.parameters(), lr=0.1)
    sum(value.square().sum() for value in target.parameters()).backward()
    optimizer.step()
    kept = optimizer.state[target.decode_head.conv_seg.weight]
    before, other = kept["exp_avg"].clone(), optimizer.state[target.decode_head.body.weight]["exp_avg"].clone()
    changed = fit_classes(target.state_dict(), meta(("x", OTHER)), target, {"x": NAMES}, "a.pth")
    reorder_optimizer(optimizer, target, changed)
    assert torch.equal(kept["exp_avg"], before[ROWS]) and float(kept["step"]) == 1
    assert torch.equal(optimizer.state[target.decode_head.body.weight]["exp_avg"], other)


def test_models_that_are_asked_with_words_and_files_without_names_pass() -> None:
    target = model(decode_head=Head())
    assert fit_classes(target.state_dict(), {}, target, {"x": NAMES}, "a.pth") == {}
    target.set_vocabulary = lambda *_: None
    assert fit_classes(target.state_dict(), meta(("x", ("a", "b"))), target, {"x": NAMES}, "a.pth") == {}
