"""Encoding, decoding and writing overlap: in order, few tiles at a time, errors by name."""

from __future__ import annotations

import gc
import json
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmseg.registry import MODELS

from rsseg.conversion import convert_labels, runner
from rsseg.conversion.exactness import disagreement
from rsseg.conversion.predictors.base import without_scores
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError, DataError
from rsseg.structures.masks import MaskCrop, fill_hbox

Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]
LOG: list[tuple[str, str]] = []
"""(what, thread) of every call of the stub models."""


class StagedBox:
    """The filled box in two stages."""

    needs_gt_masks = False

    def __init__(self, tile_batch: int = 1, exact: bool = True, fail: str | None = None) -> None:
        self.tile_batch, self.exact, self.fail = tile_batch, exact, fail
        self.waiting, self.lock = 0, threading.Lock()

    def exact_twin(self) -> StagedBox:
        return StagedBox()

    def encode(self, images: Any) -> list[Any]:
        LOG.append((f"encode {len(images)}", threading.current_thread().name))
        if self.fail == "encode":
            raise MemoryError("out of memory")
        with self.lock:
            self.waiting += len(images)
        LOG.append((f"waiting {self.waiting}", ""))
        return [image.shape[:2] for image in images]

    def decode(self, size: tuple[int, int], prompts: Prompts) -> Any:
        LOG.append(("decode", threading.current_thread().name))
        if self.fail == "decode":
            raise ValueError("no such thing")
        with self.lock:
            self.waiting -= 1
        grow = 0 if self.exact else 1
        boxes = prompts.need_boxes("StagedBox")
        return without_scores([fill_hbox(box + np.array([0, 0, grow, 0]), size) for box in boxes])

    def predict(self, image: Any, prompts: Prompts) -> Any:
        return self.decode(self.encode([image])[0], prompts)

    def describe(self) -> dict[str, Any]:
        return {"name": "StagedBox", "tile_batch": self.tile_batch, "exact": self.exact}


@pytest.fixture
def staged(make_config: Make) -> Make:
    """``make_config`` with the stub model; its options are ``model``."""
    LOG.clear()
    MODELS.register_module("TestStagedBox", module=StagedBox, force=True)

    def make(name: str = "out", model: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
        predictors = {"staged": {"type": "TestStagedBox", **(model or {})}}
        return make_config(name, predictor="staged", predictors=predictors, **changes)

    return make


def _without_config(found: dict[str, str]) -> dict[str, str]:
    return {name: digest for name, digest in found.items() if not name.endswith((".job.json", "manifest.json"))}


def test_two_stages_give_the_files_of_one(staged: Make, make_config: Make, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config("one"))
    convert_labels(staged("two"))
    convert_labels(staged("batches", {"tile_batch": 3}))
    expected = _without_config(digests(tmp_path / "one"))
    assert len(expected) > 10
    for name in ("two", "batches"):
        assert _without_config(digests(tmp_path / name)) == expected


def test_who_encodes_and_who_decodes(staged: Make) -> None:
    convert_labels(staged())
    encoding = {thread for what, thread in LOG if what.startswith("encode")}
    decoding = {thread for what, thread in LOG if what == "decode"}
    assert encoding == {threading.main_thread().name}
    assert len(decoding) == 1 and not decoding & encoding


def test_tiles_are_encoded_in_batches_of_one_image(staged: Make) -> None:
    # Tiles with objects: P0001 6 of 3 x 2, P0002 4 of 2 x 2, P0004 1 (the plane is half outside of the others).
    convert_labels(staged(model={"tile_batch": 4}))
    assert [what for what, _ in LOG if what.startswith("encode")] == ["encode 4", "encode 2", "encode 4", "encode 1"]


def test_few_tiles_wait_however_slow_the_decoder(staged: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    encode, decode, ahead = StagedBox.encode, StagedBox.decode, threading.Event()

    def encode_and_tell(self: StagedBox, images: Any) -> Any:
        found = encode(self, images)
        if self.waiting > 1:
            ahead.set()
        return found

    def slow(self: StagedBox, *args: Any) -> Any:
        assert ahead.wait(600), "the decoder is not waited for"
        time.sleep(0.02)
        return decode(self, *args)

    monkeypatch.setattr(StagedBox, "encode", encode_and_tell)
    monkeypatch.setattr(StagedBox, "decode", slow)
    convert_labels(staged(tiling={"size": 12, "overlap": 0, "iof_thr": 0.1}))
    most = max(int(what.split()[1]) for what, _ in LOG if what.startswith("waiting"))
    assert 2 <= most <= 5


def test_a_large_image_is_alone_in_memory(staged: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[weakref.ref[Any]] = []
    load = runner.load_source_image

    def watched(*args: Any) -> Any:
        gc.collect()
        assert not [ref for ref in held if ref() is not None], "an earlier image is still in memory"
        source_image = load(*args)
        if source_image.image is not None:
            held.append(weakref.ref(source_image.image))
        return source_image

    monkeypatch.setattr(runner, "load_source_image", watched)
    monkeypatch.setattr(runner, "_AHEAD_PIXELS", 0)
    assert convert_labels(staged()).complete
    assert len(held) == 3


@pytest.mark.parametrize("stage", ["encode", "decode"])
def test_errors_name_the_image_and_the_tile(staged: Make, tmp_path: Path, stage: str) -> None:
    kind = RuntimeError if stage == "encode" else ValueError
    with pytest.raises(kind, match=r"P0001\.png, tile P0001__0_0: (out of memory|no such thing)"):
        convert_labels(staged(model={"fail": stage}))
    assert not list((tmp_path / "out/.parts").iterdir())
    assert not list((tmp_path / "out").rglob(".tmp-*"))


def test_a_failed_tile_leaves_no_part(staged: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decode, calls = StagedBox.decode, [0]

    def second_fails(self: StagedBox, *args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 2:
            raise ValueError("broken")
        return decode(self, *args)

    monkeypatch.setattr(StagedBox, "decode", second_fails)
    with pytest.raises(ValueError, match=r"P0001\.png, tile .*: broken"):
        convert_labels(staged())
    assert not (tmp_path / "out/.parts/P0001.json").exists()
    monkeypatch.undo()
    assert convert_labels(staged()).complete


def test_inexact_options_are_measured_once(
    staged: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture, digests: Digests
) -> None:
    # One column more on the right of every box that does not end at the tile's border.
    caplog.set_level("INFO", logger="rsseg")
    manifest = convert_labels(staged(model={"exact": False}, tiling=None)).manifest
    assert manifest is not None
    found = manifest["predictor"]["disagreement"]
    # P0001: 20 x 10, 20 x 20, 30 x 10; P0002: 30 x 30, 10 x 10; P0004: 16 x 16 pixels.
    assert found["tiles"] == 3 and found["masks"] == found["differing_masks"] == 6
    assert found["mask_pixels"] == 200 + 400 + 300 + 900 + 100 + 256
    assert found["differing_pixels"] == 10 + 20 + 10 + 30 + 10 + 16
    assert found["differing_share"] == pytest.approx(96 / 2156, abs=1e-9)
    assert "not exact" in caplog.text
    before = digests(tmp_path / "out")
    encoded = len(LOG)
    convert_labels(staged(model={"exact": False}, tiling=None))
    assert len(LOG) == encoded and digests(tmp_path / "out") == before


def test_exact_models_state_no_disagreement(staged: Make, tmp_path: Path) -> None:
    manifest = convert_labels(staged()).manifest
    assert manifest is not None and "disagreement" not in manifest["predictor"]
    assert not (tmp_path / "out/.exactness.json").exists()


def test_disagreement_of_masks_apart() -> None:
    class Elsewhere(StagedBox):
        def predict(self, image: Any, prompts: Prompts) -> Any:
            return without_scores([MaskCrop(8, 8, np.ones((2, 3), bool))])

        def exact_twin(self) -> StagedBox:
            return Elsewhere()

    tile = {"image": np.zeros((12, 12, 3), np.uint8), "prompts": Prompts(1, boxes=np.array([[0.0, 0, 2, 2]]))}
    found = disagreement(Elsewhere(), [tile])
    assert (found["mask_pixels"], found["differing_pixels"]) == (6, 4 + 6)


def test_unreadable_images_are_named_counted_and_tried_again(
    make_config: Make, world: Path, tmp_path: Path, digests: Digests
) -> None:
    convert_labels(make_config("whole"))
    good = (world / "images/P0002.png").read_bytes()
    (world / "images/P0002.png").write_bytes(good[:200])
    (world / "images/P0004.png").write_bytes(b"nonsense")
    for _ in range(2):
        report = convert_labels(make_config())
        assert report.converted == (4 if not report.resumed else 2)
        assert report.manifest is not None
        assert report.manifest["failed_images"] == ["P0002.png", "P0004.png"]
        counts = report.manifest["counts"]
        assert (counts["source_objects"], counts["objects_in_failed_images"]) == (6, 3)
        assert [Path(line.split(":")[0]).name for line in report.failures] == ["P0002.png", "P0004.png"]
        assert report.error_summary is not None and "run the same command again" in report.error_summary
    assert json.loads((tmp_path / "out/.parts/P0001.json").read_text())["failed"] is False
    (world / "images/P0002.png").write_bytes(good)
    assert len(convert_labels(make_config()).failures) == 1
    (world / "images/P0004.png").unlink()
    (world / "labelTxt/P0004.txt").unlink()
    report = convert_labels(make_config())
    assert report.error_summary is None and report.manifest is not None
    assert report.manifest["counts"]["source_images"] == 3
    files = digests(tmp_path / "out")
    assert files[".parts/P0002.json"] == digests(tmp_path / "whole")[".parts/P0002.json"]


def test_the_merging_process_tries_the_failed_images_of_others(make_config: Make, world: Path) -> None:
    good = (world / "images/P0002.png").read_bytes()
    (world / "images/P0002.png").write_bytes(b"nonsense")
    reports = [convert_labels(make_config(), shard=(rank, 3)) for rank in range(3)]
    assert len(reports[2].failures) == 1
    (world / "images/P0002.png").write_bytes(good)
    reports = [convert_labels(make_config(), shard=(rank, 3)) for rank in range(3)]
    assert [report.failures for report in reports] == [[], [], []]
    assert all(report.manifest and not report.manifest["failed_images"] for report in reports)


@pytest.mark.parametrize("raised, kind", [(ConfigError, ConfigError), (DataError, DataError), (ValueError, ValueError),
                                          (KeyError, RuntimeError)])  # fmt: skip
def test_an_error_in_a_tile_keeps_its_kind(
    make_config: Make, monkeypatch: pytest.MonkeyPatch, raised: Any, kind: Any
) -> None:
    """What the user can correct stays one line of a tool; a bug shows its traceback."""

    def fail(*_: object) -> None:
        raise raised("no")

    monkeypatch.setattr("rsseg.conversion.transforms.PackInstances.__call__", fail)
    with pytest.raises(kind, match=r"P0001\.png, tile P0001__\d+_\d+: '?no") as caught:
        convert_labels(make_config())
    assert type(caught.value) is kind


def test_prompts_that_the_mask_model_cannot_use_are_the_users(make_config: Make) -> None:
    with pytest.raises(ConfigError, match="BoxPredictor needs box prompts; choose a prompt with the part 'hbox'"):
        convert_labels(make_config(prompt="cp"))
