"""Run lengths against pycocotools, and damaged ones."""

import numpy as np
import pytest
from pycocotools import mask as coco

from rsseg.structures.masks import rle_to_crop, to_rle
from rsseg.structures.runs import rle_to_runs


def test_runs_by_hand() -> None:
    # 3 x 4: 5 zeros, 2 ones, 5 zeros.
    first, after = rle_to_runs({"size": [3, 4], "counts": "525"})
    assert first.tolist() == [5] and after.tolist() == [7]
    crop = rle_to_crop({"size": [3, 4], "counts": "525"})
    assert (crop.x, crop.y) == (1, 0)
    assert crop.pixels.tolist() == [[False, True], [False, False], [True, False]]


@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (37, 53)])
def test_same_pixels_as_pycocotools(size: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        mask = rng.random(size) < share
        mask[: rng.integers(0, size[0] + 1)] = False
        rle = coco.encode(np.asfortranarray(mask, np.uint8))
        crop = rle_to_crop({"size": list(size), "counts": rle["counts"].decode()})
        assert np.array_equal(crop.full(size), mask)
        assert crop.bbox == (0, 0, 0, 0) or crop.pixels.shape == (
            crop.bbox[3] - crop.bbox[1],
            crop.bbox[2] - crop.bbox[0],
        )
        assert to_rle(crop, size)["counts"] == rle["counts"].decode()


@pytest.mark.parametrize("counts", ["", "5", "52", "5255", "999", "zzzz", "525o", "o" * 9 + "0", "5 5", "5é5", "5N9"])
def test_damage_is_refused(counts: str) -> None:
    with pytest.raises(ValueError, match="run lengths"):
        rle_to_runs({"size": [3, 4], "counts": counts})
