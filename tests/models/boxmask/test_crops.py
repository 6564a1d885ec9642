"""Crops for training: maps of boxes by hand, and boxes that follow the object however it is turned."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from rsseg.datasets.masked_objects import MaskedImage, cut_patch
from rsseg.models.boxmask.crops import Augmentation, Patches, box_maps, cut_patches, draw_views
from rsseg.structures.box_frames import box_frames
from rsseg.structures.masks import MaskCrop


def _patches(count: int = 1) -> Patches:
    """A bright bar 40 x 20 at (20, 30) of a patch of 80 x 80."""
    mask = torch.zeros(count, 80, 80, dtype=torch.uint8)
    mask[:, 30:50, 20:60] = 255
    pixels = torch.full((count, 3, 80, 80), 50, dtype=torch.uint8)
    pixels[mask[:, None].expand_as(pixels) > 0] = 200
    corners = torch.tensor([[20.0, 30], [60, 30], [60, 50], [20, 50]]).repeat(count, 1, 1)
    boxes = torch.tensor([[20.0, 30, 60, 50]]).repeat(count, 1)
    return Patches(pixels, mask, boxes, corners, corners, torch.full((count,), 8.0))


def test_map_of_a_box_by_hand() -> None:
    corners = torch.tensor([[1.0, 1], [3.5, 1], [3.5, 3], [1, 3]])
    row = [-1.0, 1, 1, 0, -1]  # pixel 3 is half inside
    found = box_maps(corners, 5)
    assert found[2].tolist() == row and found[0].tolist() == [-1.0] * 5
    assert torch.equal(box_maps(corners.flip(0), 5), found)  # in either sense around the box


def test_map_of_a_rotated_box_is_inside_by_area() -> None:
    c, s = math.cos(0.5), math.sin(0.5)
    turn = torch.tensor([[c, -s], [s, c]])
    corners = torch.tensor([[-20.0, -10], [20, -10], [20, 10], [-20, 10]]) @ turn.T + 32
    assert abs(int((box_maps(corners, 64) > 0).sum()) - 800) < 12


def test_plain_view_is_that_of_inference() -> None:
    view, boxes, rotated, shown = draw_views(_patches(), Augmentation(rotated=1.0), 56, 1.4)
    # the side is 1.4 * 40 = 56 patch pixels, so one crop pixel is one patch pixel
    assert torch.allclose(view[0], torch.tensor([[1.0, 0, 12], [0, 1, 12]]), atol=1e-4)
    assert torch.allclose(boxes[0, 0], torch.tensor([8.0, 18]), atol=1e-4) and bool(shown[0])
    assert torch.allclose(boxes, rotated, atol=1e-4)
    pixels, prompts, masks = cut_patches(_patches(), Augmentation(rotated=0.0), 56, 1.4)
    assert float(masks.sum()) == pytest.approx(800, abs=1) and not prompts[:, 1].any()
    assert float(pixels[0, 0, 28, 28]) == pytest.approx(200, abs=0.1)


@pytest.mark.parametrize("length", [6, 12, 17, 20, 40])
def test_small_objects_are_as_large_in_training_as_at_inference(length: int) -> None:
    box = np.array([[50.0, 50, 50 + length, 50 + length / 2]])
    mask = MaskCrop(50, 50, np.ones((length // 2, length), bool))
    found = MaskedImage(Path("a.png"), "a", box, np.zeros((1, 4, 2)), [mask], ["ship"])
    patch = cut_patch(np.zeros((100, 100, 3), np.uint8), found, 0, 176, 2.0, 34)  # as ObjectPatches
    fields = (patch.pixels.transpose(2, 0, 1).copy(), patch.mask, patch.box, patch.rbox, patch.hull)
    least = torch.tensor([patch.least], dtype=torch.float32)
    patches = Patches(*(torch.from_numpy(value)[None] for value in fields), least)
    _, boxes, _, _ = draw_views(patches, Augmentation(), 128, 1.4)
    inference = 128 * length / int(box_frames(box, 1.4, 24)[0, 2])  # sides are whole pixels there
    assert float(boxes[0, 1, 0] - boxes[0, 0, 0]) == pytest.approx(inference, rel=0.04)


@pytest.mark.parametrize("free", [0.0, 1.0])
def test_boxes_follow_turned_objects(free: float) -> None:
    torch.manual_seed(0)
    views = Augmentation(turns=True, free_turns=free, scale=0.2, shift=0.02, rotated=1.0)
    _, prompts, masks = cut_patches(_patches(16), views, 64, 1.6)
    inside, rotated, true = prompts[:, 0] > 0, prompts[:, 1] > 0, masks[:, 0] > 0.5
    for i in range(16):
        assert (true[i] & ~inside[i]).sum() <= 0.02 * true[i].sum()
        rows, columns = (int(true[i].any(axis).sum()) for axis in (1, 0))
        box_rows, box_columns = (int(inside[i].any(axis).sum()) for axis in (1, 0))
        assert abs(rows - box_rows) <= 2 and abs(columns - box_columns) <= 2  # tight
        assert (true[i] ^ rotated[i]).sum() <= 0.12 * true[i].sum()  # a bar is its rotated box


def test_colours_change_and_stay_in_range() -> None:
    torch.manual_seed(0)
    pixels, _, _ = cut_patches(_patches(8), Augmentation(colour=0.5, grey=1.0), 32, 1.4)
    assert float(pixels.min()) >= 0 and float(pixels.max()) <= 255
    assert len({round(float(v), 2) for v in pixels[:, 0, 16, 16]}) > 4
