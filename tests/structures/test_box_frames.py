"""Frames around boxes: where they lie, what they show, and masks put back."""

import numpy as np
import pytest

from rsseg.structures.box_frames import FILL, box_frames, cut_frame, paste_logits, to_frame


def test_frames_are_centred_squares() -> None:
    boxes = np.array([[10.0, 20, 30, 30], [5, 5, 7, 9]])
    # 1.5 * 20 = 30 around (20, 25); the second is smaller than the least side
    assert box_frames(boxes, 1.5, 24).tolist() == [[5, 10, 30], [-6, -5, 24]]


def test_crop_shows_the_frame_and_fills_what_is_outside() -> None:
    image = np.arange(16, dtype=np.uint8).reshape(4, 4)
    assert cut_frame(image, (1, 1, 2), 2).tolist() == [[5, 6], [9, 10]]
    assert cut_frame(image * 2, (0, 0, 4), 2).tolist() == [[5, 9], [21, 25]]  # means of 2 x 2
    outside = cut_frame(image, (-2, 0, 4), 4)
    assert (outside[:, :2] == FILL).all() and (outside[:, 2:] == image[:, :2]).all()
    assert (cut_frame(image, (50, 50, 4), 3, fill=0) == 0).all()


def test_frame_of_a_mistyped_corner_takes_little_memory() -> None:
    image = np.full((60, 80, 3), 200, np.uint8)
    crop = cut_frame(image, (-10, -10, 1_400_000_000), 128)  # laid out it would be 6 EB
    assert crop.shape == (128, 128, 3) and (crop == FILL).all()
    side = 10_240  # of 128 pixels of 80: the image is one pixel wide, and less than one high
    crop = cut_frame(image, (-800, -1600, side), 128)
    assert (crop[20, 10] == 200).all() and int((crop[..., 0] == 200).sum()) == 1


def test_points_in_the_crop() -> None:
    points = np.array([[[5.0, 10], [35, 40], [20, 25]]])
    assert to_frame(points, np.array([[5, 10, 30]]), 60).tolist() == [[[0, 0], [60, 60], [30, 30]]]


@pytest.mark.parametrize("scale", [3, 1, 0.4])
def test_mask_comes_back_where_it_was(scale: float) -> None:
    mask = np.zeros((90, 100), np.uint8)
    mask[30:60, 20:70] = 255
    mask[30:40, 20:40] = 0
    box = np.array([20.0, 30, 70, 60])
    frame = box_frames(box[None], 1.4, 24)[0]
    size = int(frame[2] * scale)
    logits = cut_frame(mask, frame, size, fill=0).astype(np.float32) - 127.5
    back = paste_logits(logits, frame, box, (90, 100)).full((90, 100))
    differing = np.count_nonzero(back != (mask > 0))
    assert differing <= (0 if scale >= 1 else 30)  # a corner or edge pixel of a crop at 0.4 of the image's resolution


def test_masks_never_leave_their_box_or_the_image() -> None:
    logits = np.full((32, 32), 5, np.float32)
    found = paste_logits(logits, (-10, -10, 40), (-5.0, -5, 12.4, 9.6), (8, 50))
    assert found.bbox == (0, 0, 12, 8) and found.area == 96
    assert paste_logits(logits, (60, 60, 40), (70.0, 70, 80, 80), (8, 50)).area == 0
