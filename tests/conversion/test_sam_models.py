"""Weights of SAM: read without running code, recognised, and accounted for key by key."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from rsseg.conversion import SAMPredictor
from rsseg.conversion.predictors.sam_models import ENCODERS, build_sam, load_sam, looks_like, read_sam_state

TINY = {"embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1], "img_size": 64}
OPTION = "predictors.sam.checkpoint"
TRUNK = "image_encoder.trunk"


def _hiera(channels: int, blocks: int, *more: str) -> dict[str, torch.Tensor]:
    names = [f"{TRUNK}.blocks.{i}.norm1.weight" for i in range(blocks)] + list(more)
    return {f"{TRUNK}.patch_embed.proj.weight": torch.zeros(channels, 1), **{name: torch.zeros(1) for name in names}}


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"image_encoder.pos_embed": torch.zeros(1, 1, 1, 1280)}, "they look like vit_h"),
        ({"image_encoder.pos_embed": torch.zeros(1, 1, 1, 1024)}, "they look like vit_l"),
        ({"image_encoder.pos_embed": torch.zeros(1, 1, 1, 768)}, "they look like vit_b"),
        ({"image_encoder.patch_embed.seq.0.c.weight": torch.zeros(1)}, "they look like vit_t (MobileSAM)"),
        (_hiera(96, 12), "they look like sam2_hiera_t, for SAM2Predictor"),
        (_hiera(96, 16, "no_obj_embed_spatial"), "they look like sam2.1_hiera_s, for SAM2Predictor"),
        (_hiera(112, 24), "they look like sam2_hiera_b+, for SAM2Predictor"),
        (_hiera(144, 48, "no_obj_embed_spatial"), "they look like sam2.1_hiera_l, for SAM2Predictor"),
        (_hiera(8, 2), "they look like sam2_hiera of an unpublished size, for SAM2Predictor"),
        (
            {name: torch.zeros(1) for name in ("conv1.weight", "bn1.weight", "bn1.bias", "fc.bias")},
            "they are none of vit_h, vit_l, vit_b, vit_t and SAM 2, but begin with conv1.weight, bn1.weight, bn1.bias",
        ),
        (
            {"image_encoder.pos_embed": torch.zeros(1, 1, 1, 5)},
            "they are none of vit_h, vit_l, vit_b, vit_t and SAM 2, but begin with image_encoder.pos_embed",
        ),
    ],
)
def test_weights_are_recognised(state: dict[str, torch.Tensor], expected: str) -> None:
    assert looks_like(state) == expected


def test_a_wrong_pair_says_what_the_file_is(tmp_path: Path) -> None:
    pytest.importorskip("segment_anything")
    path = tmp_path / "weights.pth"
    torch.save({"image_encoder.pos_embed": torch.zeros(1, 4, 4, 768)}, path)
    with pytest.raises(ValueError, match=r"weights\.pth.*do not fit SAM 'mine'; they look like vit_b \(\d+ missing"):
        load_sam(TINY, path, "mine")
    torch.save(build_sam({**TINY, "depth": 3}).state_dict(), path)
    with pytest.raises(ValueError, match=r"14 unexpected: image_encoder\.blocks\.2\.norm1\.weight"):
        load_sam(TINY, path, "mine")
    with pytest.raises(ValueError, match=r"none of vit_h.* but begin with image_encoder\.pos_embed, "):
        SAMPredictor({**TINY, "embed_dim": 64}, checkpoint=str(path))


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_weights_of_a_training_program_are_unwrapped(tmp_path: Path, key: str) -> None:
    torch.save({key: {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "last.pth")
    assert read_sam_state(tmp_path / "last.pth", OPTION)["a"].tolist() == [1.0, 1.0]


class _Runs:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.path),)


def test_nothing_in_a_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RSSEG_TRUST", "1")  # of --trust, which is for one's own training checkpoints
    marker, path = tmp_path / "marker", tmp_path / "evil.pth"
    torch.save({"a": torch.zeros(1), "b": _Runs(marker)}, path)
    with pytest.raises(ValueError, match=r"evil\.pth: not loaded, since it.*predictors\.sam\.checkpoint=FILE"):
        read_sam_state(path, OPTION)
    path.write_bytes(pickle.dumps({"a": _Runs(marker)}, protocol=2))
    with pytest.raises(ValueError, match=r"evil\.pth: not loaded, since it holds more than tensors"):
        read_sam_state(path, OPTION)
    assert not marker.exists()


def _archive(path: Path) -> bytes:
    torch.save({"a": torch.zeros(1000)}, path)
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.95])
def test_a_truncated_file_is_named(tmp_path: Path, share: float) -> None:
    path = tmp_path / "cut.pth"
    whole = _archive(path)
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"cut\.pth: not loaded: it is (empty|cut short).*predictors\.sam"):
        read_sam_state(path, OPTION)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"<html>404</html>", ": it is a web page"),
        (b"version https://git-lfs", ": it is a Git LFS pointer"),
        (b"\x80\x02}q\x00", ", since it is damaged"),
        (bytes(64), ", since it is damaged"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "page.pth").write_bytes(content)
    with pytest.raises(ValueError, match=rf"page\.pth: not loaded{said}"):
        read_sam_state(tmp_path / "page.pth", OPTION)


def test_a_file_without_weights_is_named(tmp_path: Path) -> None:
    path = tmp_path / "log.pth"
    torch.save({"epoch": 3, "loss": [1.0]}, path)
    with pytest.raises(ValueError, match=r"log\.pth: holds no weights by name, but epoch, loss"):
        read_sam_state(path, OPTION)
    torch.save(torch.zeros(3), path)
    with pytest.raises(ValueError, match=r"log\.pth: holds no weights by name, but Tensor"):
        read_sam_state(path, OPTION)
    with pytest.raises(FileNotFoundError, match=r"none\.pth: no such checkpoint.*predictors\.sam\.checkpoint=FILE"):
        read_sam_state(tmp_path / "none.pth", OPTION)


def test_arrays_are_no_weights(tmp_path: Path) -> None:
    torch.save({"a": np.zeros(3)}, tmp_path / "arrays.pth")
    with pytest.raises(ValueError, match=r"arrays\.pth"):
        read_sam_state(tmp_path / "arrays.pth", OPTION)


def test_published_sizes() -> None:
    assert {name: row["depth"] for name, row in ENCODERS.items() if "depth" in row} == {
        "vit_h": 32,
        "vit_l": 24,
        "vit_b": 12,
    }
