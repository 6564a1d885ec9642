"""Legends hold the classes that occur, whatever the picture's size, and stripes are no class's colour."""

from __future__ import annotations

import numpy as np
import pytest

from rsseg.metainfo import list_metainfo, load_metainfo
from rsseg.structures.legends import STRIPES, add_legend, class_entries, hatch

NAMES, PALETTE = ("water", "Straße mit einem langen Namen", "水"), ((0, 0, 255), (255, 0, 0), (0, 255, 0))


def test_entries_are_the_classes_that_occur_in_the_order_of_the_table():
    maps = [np.array([[2, 255]], np.uint8), np.array([[0, 2]], np.uint8)]
    assert class_entries(maps, NAMES, PALETTE) == [("water", PALETTE[0]), ("水", PALETTE[2])]
    assert class_entries(maps, NAMES, PALETTE, "no label")[-1] == ("no label", None)
    assert class_entries(maps[1:], NAMES, PALETTE, "no label")[-1] == ("水", PALETTE[2])


@pytest.mark.parametrize("size", [(5, 9), (40, 900), (700, 60)])
def test_the_legend_is_below_the_picture_and_whole(size):
    picture = np.full((*size, 3), 90, np.uint8)
    out = add_legend(picture, [*zip(NAMES, PALETTE, strict=True), ("no label", None)])
    assert (out[: size[0], : size[1]] == 90).all() and out.shape[1] >= size[1]
    legend = out[size[0] :]
    for colour in (*PALETTE, STRIPES):
        assert (legend == colour).all(-1).sum() >= 30
    assert (legend[:, -4:] == 255).all() and (legend[-4:] == 255).all(), "nothing is cut off"
    assert add_legend(picture, []) is picture


def test_stripes_by_hand():
    picture = np.full((2, 9, 3), 100, np.uint8)
    where = np.ones((2, 9), bool)
    where[:, 0] = False
    found = hatch(picture, where)
    assert found[0, :, 0].tolist() == [100, 148, 255, 255, 255, 255, 255, 255, 148]
    assert found[1, :, 0].tolist() == [100, 255, 255, 255, 255, 255, 255, 148, 148]
    assert hatch(picture, where, over=True)[0, :, 0].tolist() == [100, 129, 100, 100, 100, 100, 100, 100, 129]


def test_stripes_have_the_colour_of_no_class():
    assert not [name for name in list_metainfo() if STRIPES in load_metainfo(name).palette]
