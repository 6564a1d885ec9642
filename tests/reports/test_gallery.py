"""Which masks are shown, and what is drawn of them."""

import base64
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsseg.datasets.labels import Instance, LabelledTile, open_labels
from rsseg.datasets.labels.selection import Choice, Scoring, Selection, scoring_of
from rsseg.reports.labels.cards import flags_of, make_cards, outline, view_of
from rsseg.structures.masks import fill_hbox, to_rle

SIZE = (100, 200)


def instance(score=None, box=(10, 10, 20, 20), **other):
    mask = fill_hbox(box, SIZE)
    values = {"label": 0, "predicted_iou": score, "stability": None, "mask_to_box": None, "touches_border": False}
    values |= {"prompt_box": None, "rbox": None, "source_object_id": None}
    values |= {"rle": to_rle(mask, SIZE), "area": mask.area, "bbox": mask.bbox}
    return Instance(**{**values, **other})


def tile(name, instances):
    return LabelledTile(name, f"{name}.png", None, Path("gray") / f"{name}.png", SIZE, (0, 0), "train", instances)


def choose(scores, keep, parts=1, kind="predicted_iou"):
    """Kind -> scores of what is chosen, from tiles of ten masks, selected in so many parts."""
    tiles = [tile(f"t{i}", [instance(s) for s in scores[i : i + 10]]) for i in range(0, len(scores), 10)]
    whole = Selection(1, keep, Scoring(kind))
    for part in range(parts):
        selection = Selection(1, keep, Scoring(kind))
        for one in tiles[part::parts]:
            selection.offer(one, dataclasses.replace(one, instances=[]))
        whole.join(selection)
    chosen = {}
    for choice in whole.choices():
        assert not choice.tile.instances
        chosen.setdefault(choice.kind, []).append(choice.score)
    return chosen


def test_whole_boxes_have_no_typical_size_and_are_shown_as_suspicious():
    """A predictor that has found nothing gives the box; that such masks are all alike does not make them good."""
    exact = Scoring("mask_to_box", (0.6, None))
    assert [exact(instance(mask_to_box=v)) for v in (1.0, 0.995, 0.99)] == [None, None, pytest.approx(0.6 / 0.99)]
    selection = Selection(1, 1, exact)
    masks = [instance(mask_to_box=v) for v in (1.0, 0.6, 0.5, 0.9, 1.0)]
    selection.offer(tile("t", masks), tile("t", []))
    chosen = {choice.kind: (choice.score, choice.instance.mask_to_box) for choice in selection.choices()}
    assert chosen["best"] == (1.0, 0.6) and chosen["suspicious"] == (None, 1.0)


@pytest.mark.parametrize("parts", [1, 3])
def test_best_middle_and_worst_of_many(parts):
    scores = np.random.default_rng(0).permutation(200) / 200
    chosen = choose(scores.tolist(), 3, parts)
    assert chosen["best"] == [199 / 200, 198 / 200, 197 / 200]
    assert chosen["suspicious"] == [2 / 200, 1 / 200, 0]
    assert chosen["median"] == [101 / 200, 100 / 200, 99 / 200]


def test_the_middle_of_more_masks_than_are_kept_in_memory():
    scores = (np.random.default_rng(1).permutation(3000) / 3000).tolist()
    chosen = choose(scores, 4)
    assert all(0.35 < score < 0.65 for score in chosen["median"])
    assert chosen == choose(scores, 4, parts=5)


def test_few_masks_are_shown_once():
    assert choose([0.1, 0.9, 0.5, 0.7], 3) == {"best": [0.9, 0.7], "median": [0.5], "suspicious": [0.1]}


def test_masks_without_a_score_are_still_shown():
    assert choose([None] * 30, 2, kind=None) == {"median": [None, None]}


def test_empty_masks_are_a_kind_of_their_own():
    selection = Selection(1, 6, Scoring("predicted_iou"))
    selection.offer(one := tile("t", [instance(0.99, (0, 0, 0, 0)) for _ in range(9)] + [instance(0.5)]), one)
    assert [choice.kind for choice in selection.choices()] == ["best", "empty", "empty"]


def test_scores_by_the_model_come_first(tmp_path, write_set):
    box = (0, 0, 10, 10)
    cases = {
        "predicted_iou": {"predicted_iou": 0.5, "stability": 0.6},
        "stability": {"stability": 0.6},
        None: {"mask_to_box": None},
    }
    for kind, other in cases.items():
        root = write_set(tmp_path / str(kind), {"t": [(0, (0, 0, 4, 4), box, other)]}, ["a"], SIZE)
        assert scoring_of(open_labels(root)) == Scoring(kind)


def test_without_a_model_score_the_share_of_the_box_counts(tmp_path, write_set):
    objects = [(0, (0, 0, 10, height), (0, 0, 10, 10), {}) for height in (5, 5, 5, 10, 1)]
    scoring = scoring_of(open_labels(write_set(tmp_path / "set", {"t": objects}, ["a", "b"], SIZE)))
    assert scoring.kind == "mask_to_box" and scoring.usual == (pytest.approx(0.51, abs=0.011), None)
    exact = Scoring("mask_to_box", (0.5, None))
    assert [exact(instance(mask_to_box=v)) for v in (0.5, 1.25, 0.1, 0.0)] == [1.0, 0.4, 0.2, 0.0]
    assert exact(instance(mask_to_box=None)) is None


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"box": (0, 0, 0, 0), "mask_to_box": 0.0}, ("empty",)),
        ({"box": (0, 0, 9, 11)}, ("tiny",)),
        ({"touches_border": True, "mask_to_box": 0.5}, ("border",)),
        ({"mask_to_box": 1.2}, ("spills",)),
        ({"mask_to_box": 0.05}, ("sparse",)),
        ({"mask_to_box": 1.0}, ("box",)),
    ],
)
def test_what_is_odd_about_a_mask(other, expected):
    assert flags_of(instance(**other)) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        # 20 wide: 40 pixels are the least, around the centre (100, 50).
        ({"box": (90, 40, 110, 60)}, (80, 30, 120, 70)),
        # The prompt box is the larger one: 50 * 1.4 = 70.
        ({"box": (90, 40, 110, 60), "prompt_box": (75, 25, 125, 75)}, (65, 15, 135, 85)),
        # In a corner the view moves inside; a box beyond the border is cut.
        ({"box": (0, 0, 10, 10), "prompt_box": (-50, -50, 10, 10)}, (0, 0, 40, 40)),
        # Larger than the tile is high.
        ({"box": (10, 0, 110, 100)}, (0, 0, 140, 100)),
        ({"box": (0, 0, 0, 0)}, (0, 0, 200, 100)),
    ],
)
def test_view(other, expected):
    assert view_of(instance(**other), SIZE) == expected


def test_outline_has_one_ring_per_part_and_hole():
    mask = np.zeros((20, 20), bool)
    mask[2:9, 2:9] = mask[12:18, 12:18] = True
    mask[4:6, 4:6] = False
    assert outline(mask).count("M") == outline(mask).count("Z") == 3
    assert outline(mask[12:18, 12:18]) in ("M0 0L0 5L5 5L5 0Z",)
    assert outline(np.zeros((5, 5), bool)) == ""


def test_cards_show_the_image_there(tmp_path):
    path = tmp_path / "t.png"
    pixels = np.zeros((*SIZE, 3), np.uint8)
    pixels[30:70, 80:120] = 250, 10, 10
    Image.fromarray(pixels).save(path)
    here = dataclasses.replace(tile("t", []), image=path)
    lost = dataclasses.replace(tile("u", []), image=tmp_path / "lost.png")
    mask = instance(0.5, (90, 40, 110, 60), prompt_box=(90, 40, 110, 60))
    cards, problems = make_cards([Choice("best", 0.5, lost, mask), Choice("best", 0.5, here, mask)])
    assert [card.picture is None for card in cards] == [True, False]
    assert len(problems) == 1 and "lost.png" in problems[0]
    kind, data = cards[1].picture.split(",", 1)
    assert kind == "data:image/webp;base64"
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB"))
    assert shown.shape == (192, 192, 3) and np.abs(shown.reshape(-1, 3).mean(0) - [250, 10, 10]).max() < 8
    # View 80..120 at 4.8: the mask is 48..144.
    assert cards[1].boxes == "M48 48L144 48L144 144L48 144Z"
    assert cards[1].outline == "M48 48L48 143L143 143L143 48Z"
