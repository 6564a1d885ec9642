"""A small world in the folders of the SAMRS release."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

# A 3 x 4 tile, runs down the columns: 5 zeros, 2 ones, 5 zeros: (column 1, row 2) and (column 2, row 0).
MASK = {"size": [3, 4], "counts": "525"}
EMPTY = {"size": [3, 4], "counts": "<"}


def write_subset(base: Path, kind: str, images: dict[str, str], rows: list[dict[str, Any]]) -> None:
    """Every image gets the same objects; ``images`` maps folder/name to nothing but its place."""
    for folder in ("gray", "ins"):
        (base / kind / folder).mkdir(parents=True)
    for stem, place in images.items():
        path = base / place
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((3, 4, 3), 90, np.uint8)).save(path)
        labels = np.full((3, 4), 255, np.uint8)
        labels[2, 1] = labels[0, 2] = rows[0]["label"]
        Image.fromarray(labels).save(base / kind / "gray" / f"{stem}.png")
        (base / kind / "ins" / f"{stem}.pkl").write_bytes(pickle.dumps(rows, protocol=4))


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """``dotav2_1024``, ``dotav2_1024_rbb``, ``dior`` and ``fair1m_1024``."""
    root = tmp_path / "release"
    ship = {"mask": MASK, "bbox": np.array([-1.0, 0, 3, 3]), "category": "ship", "label": 5, "size": np.int64(2)}
    stems = ("P1_0000", "P1_0003", "P2_0000")
    tiles = {stem: f"images/{stem}.png" for stem in stems}
    write_subset(root / "dotav2_1024/trainval", "hbox_segs_init", tiles, [ship])
    (root / "dotav2_1024/trainval/train.txt").write_text("P1_0003\nP1_0000\n", encoding="utf-8")
    (root / "dotav2_1024/trainval/valid.txt").write_text("P2_0000\n", encoding="utf-8")
    corners = np.array([[2.0, 0], [4, 1.5], [2, 3], [0, 1.5]])
    van: dict[str, Any] = {"mask": MASK, "rbox": corners, "rhbox": np.array([0.0, 0, 4, 3])}
    van |= {"category": "Van", "label": 35, "size": np.int64(2)}
    nothing = {**van, "mask": EMPTY, "size": np.int64(0)}
    tiles = {"train_0_0000": "images/train_0_0000.png"}
    write_subset(root / "fair1m_1024/trainval", "rhbox_segs_init", tiles, [van, nothing])
    write_subset(root / "dotav2_1024_rbb/trainval", "rhbox_segs_init", tiles, [{**van, "category": "ship", "label": 5}])
    plane = {**ship, "bbox": ship["bbox"].astype(np.float32), "category": "airplane", "label": 0}  # type: ignore[attr-defined]
    images = {"00001": "JPEGImages-trainval/00001.jpg", "11726": "JPEGImages-test/11726.jpg"}
    write_subset(root / "dior", "hbox_segs_trainvaltest_init", images, [plane])
    (root / "dior/train.txt").write_text("00001\n", encoding="utf-8")
    return root


@pytest.fixture
def change_pickle() -> Callable[..., None]:
    """Change the first object of a ``.pkl``."""

    def change(path: Path, **changes: Any) -> None:
        rows = pickle.loads(path.read_bytes())
        path.write_bytes(pickle.dumps([{**rows[0], **changes}, *rows[1:]]))

    return change
