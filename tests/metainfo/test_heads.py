"""Heads, checkpoints and class tables are compared by number and by name."""

from __future__ import annotations

import pytest

from rsseg.metainfo import class_names, explain_difference, head_errors, trained_names

THREE = {"own": ("road", "roof", "tree")}
HEAD = dict(type="FCNHead", num_classes=3)


@pytest.mark.parametrize(
    ("model", "classes", "expected"),
    [
        (dict(decode_head=HEAD, auxiliary_head=[HEAD, HEAD]), THREE, []),
        (dict(decode_head=HEAD, auxiliary_head=[HEAD, {**HEAD, "num_classes": 4}]), THREE, ["auxiliary_head.1"]),
        (dict(decode_head={**HEAD, "num_classes": 2}), THREE, ["decode_head.num_classes is 2"]),
        # losses and heads for boundaries count something else
        (dict(decode_head={**HEAD, "loss_decode": dict(num_classes=9)}), THREE, []),
        (dict(decode_head=HEAD, auxiliary_head=[dict(type="STDCHead", num_classes=2)]), THREE, []),
        (
            dict(decode_head=dict(kernel_update_head=[{**HEAD, "num_classes": 5}] * 3)),
            THREE,
            ["head.0", "head.1", "head.2"],
        ),
        (dict(heads=dict(own=3, other=7)), THREE, []),
        (dict(heads=dict(own=2)), THREE, ["model.heads.own is 2"]),
        (dict(heads=dict(other=3)), THREE, ["add model.heads.own=3"]),
        (dict(vocabulary=["a", "b"]), THREE, ["model.vocabulary is 2"]),
        (dict(backbone=dict(num_classes=0)), THREE, []),
        (dict(decode_head=HEAD), {}, []),
    ],
)
def test_every_head_is_compared_with_the_classes(model, classes, expected):
    found = head_errors(model, classes)
    assert len(found) == len(expected)
    for text, part in zip(found, expected, strict=True):
        assert part in text and "own" in text


def test_names_differ_by_order_or_word_but_not_by_how_they_are_written():
    assert explain_difference(["Low Vegetation", "car"], ["low_vegetation", "CAR"]) is None
    assert explain_difference(["a", "b"], ["b", "a"]) == "class 0 is 'a' and 'b'"
    assert explain_difference(["a", "b"], ["a", "c"]) == "class 1 is 'b' and 'c'"
    assert explain_difference(["a"], ["a", "c"]) == "1 classes and 2 classes"


def test_names_of_datasets_and_of_checkpoints():
    info = dict(dataset_name="one", classes=["a"], sets=dict(one=dict(classes=["a"]), two=dict(classes=["b", "c"])))
    assert class_names(info) == {"one": ("a",), "two": ("b", "c")}
    assert class_names(dict(classes=["a"])) == {"": ("a",)} and class_names({}) == {}
    assert trained_names(dict(dataset_meta=info), "two") == ("b", "c")
    assert trained_names(dict(dataset_meta=info), "three") is None and trained_names({}) is None
    assert trained_names(dict(CLASSES=("a", "b"))) == ("a", "b")
