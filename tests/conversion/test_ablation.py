"""Prompt ablation: means by hand, one encoding for all prompts, kills, shards, failures."""

import csv
import io
import json
import multiprocessing
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from mmseg.registry import MODELS
from PIL import Image

from rsseg.conversion import BoxPredictor, Prompts, convert_labels
from rsseg.conversion.ablation import PAPER_PROMPTS, ablate_prompts, ablation_table
from rsseg.conversion.prompts import parse_prompt

Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]
FORK = multiprocessing.get_context("fork")


# Image -> ships: hbox (x1, y1, x2, y2), rotated box at angle 0 (cx, cy, w, h), colour, true pixels (x1, y1, x2, y2).
SHIPS: dict[str, list[tuple[Any, ...]]] = {
    "1": [
        ((10, 10, 30, 20), (20, 15, 10, 10), (48, 62, 237), (10, 10, 20, 20)),
        ((40, 30, 50, 40), (45, 35, 20, 10), (1, 2, 3), (0, 0, 0, 0)),
    ],
    "2": [((0, 0, 10, 10), (5, 5, 10, 10), (9, 9, 9), (0, 0, 10, 10))],
}


@pytest.fixture
def ships(make_config: Make, tmp_path: Path) -> Make:
    """``make(name, **changes)``: a config on an HRSC2016 world whose two boxes of a ship differ."""
    root = tmp_path / "hrsc"
    for name in ("AllImages", "Annotations", "LandMask"):
        (root / name).mkdir(parents=True)
    for stem, rows in SHIPS.items():
        Image.fromarray(np.zeros((50, 60, 3), np.uint8)).save(root / f"AllImages/{stem}.bmp")
        mask, text = np.zeros((50, 60, 3), np.uint8), ""
        for i, (hbox, rbox, colour, (x1, y1, x2, y2)) in enumerate(rows, 1):
            mask[y1:y2, x1:x2] = colour
            values = [*zip(("box_xmin", "box_ymin", "box_xmax", "box_ymax"), hbox, strict=True)]
            values += [*zip(("mbox_cx", "mbox_cy", "mbox_w", "mbox_h"), rbox, strict=True), ("mbox_ang", 0)]
            values += [("Object_ID", i), ("seg_color", ",".join(map(str, colour)))]
            text += "<HRSC_Object>" + "".join(f"<{tag}>{v}</{tag}>" for tag, v in values) + "</HRSC_Object>"
        Image.fromarray(mask).save(root / f"LandMask/{stem}.png")
        head = "<Img_SizeWidth>60</Img_SizeWidth><Img_SizeHeight>50</Img_SizeHeight>"
        text = f"<HRSC_Image>{head}<HRSC_Objects>{text}</HRSC_Objects></HRSC_Image>"
        (root / f"Annotations/{stem}.xml").write_text(text, encoding="utf-8")
    source = {"format": "hrsc", "images": str(root / "AllImages"), "annotations": str(root / "Annotations")}
    truth = {"kind": "hrsc", "masks": str(root / "LandMask")}

    def make(name: str = "out", **changes: Any) -> dict[str, Any]:
        return make_config(name, source={**source, "classes": "hrsc"}, tiling=None, truth=truth) | changes

    return make


@pytest.fixture
def masked(make_config: Make, world: Path) -> Make:
    """``make(name, **changes)``: the DOTA world with instance masks, half of each box, cut into tiles."""
    (world / "masks").mkdir()
    for label in sorted((world / "labelTxt").glob("*.txt")):
        with Image.open(world / "images" / f"{label.stem}.png") as image:
            ids = np.zeros(image.size[::-1], np.uint16)
        for i, line in enumerate(label.read_text(encoding="utf-8").splitlines()[2:], 1):
            x1, y1, x2, _, _, y2 = (int(v) for v in line.split()[:6])
            ids[y1:y2, x1 : (x1 + x2) // 2] = i
        cv2.imwrite(str(world / "masks" / f"{label.stem}.png"), ids)
    truth = {"kind": "instance_png", "masks": str(world / "masks")}

    def make(name: str = "out", **changes: Any) -> dict[str, Any]:
        return make_config(name, truth=truth) | changes

    return make


def _means(result: dict[str, Any] | None) -> dict[str, list[float]]:
    assert result is not None
    return {kind: [row["overall"]["mIOU_I"], row["overall"]["mIOU_P"]] for kind, row in result["prompts"].items()}


def test_means_by_hand(ships: Make, tmp_path: Path) -> None:
    # Ship 1: truth 100 pixels; its hbox has 200 and all of them (I 100, U 200), its rhbox 100 and 50 (I 50, U 150).
    # Ship 3 fills both boxes: I = U = 100.  Ship 2 has no true pixel: left out.
    report = ablate_prompts(ships(), ["hbox", "rhbox"])
    assert _means(report.result) == {"hbox": [0.75, 0.666667], "rhbox": [0.666667, 0.6]}
    assert report.result is not None and report.error_summary is None
    scores = report.result["prompts"]["hbox"]
    assert scores["overall"]["instances"] == 2 and scores["overall"]["without_gt"] == 1
    assert scores["classes"] == {"ship": scores["overall"]}
    assert json.loads((tmp_path / "out/ablation.json").read_text()) == report.result
    rows = list(csv.reader(io.StringIO((tmp_path / "out/ablation.csv").read_text())))
    assert rows[0] == ["prompt", "class", "instances", "without_gt", "mIOU_I", "mIOU_P"]
    assert rows[1:3] == [["hbox", "all", "2", "1", "0.75", "0.666667"], ["rhbox", "all", "2", "1", "0.666667", "0.6"]]
    lines = [line.split() for line in ablation_table(report.result).splitlines()]
    assert lines[1] == ["all", "hbox", "2", "1", "0.750*", "0.667*"] and lines[2] == [
        "rhbox",
        "2",
        "1",
        "0.667",
        "0.600",
    ]


def test_published_union_by_hand(ships: Make, tmp_path: Path) -> None:
    # Ship 2 counts with I = 0 and U = its mask: 100 pixels of the hbox, 200 of the rhbox.
    ablate_prompts(ships(), ["hbox", "rhbox"])
    report = ablate_prompts(ships(), ["hbox", "rhbox"], samrs_compat_union=True)
    assert report.measured == 0 and report.resumed == 2
    assert _means(report.result) == {"hbox": [0.5, 0.5], "rhbox": [0.444444, 0.333333]}
    config = ships("said")
    config["truth"] = {**config["truth"], "samrs_compat_union": True}
    assert _means(ablate_prompts(config, ["rhbox"]).result) == {"rhbox": [0.444444, 0.333333]}


def test_truth_fits_itself(ships: Make) -> None:
    result = ablate_prompts(ships(predictor="truth"), ["hbox", "cp"]).result
    assert _means(result) == {"hbox": [1, 1], "cp": [1, 1]}


@pytest.mark.parametrize("tiling", [None, {"size": 48, "overlap": 16, "iof_thr": 0.6}])
def test_same_numbers_as_an_evaluated_conversion(masked: Make, tiling: dict[str, Any] | None) -> None:
    expected = convert_labels(masked("converted", tiling=tiling), with_evaluation=True).evaluation
    result = ablate_prompts(masked("ablated", tiling=tiling), ["hbox"]).result
    assert expected is not None and result is not None
    assert result["prompts"]["hbox"] == {key: expected[key] for key in ("overall", "classes")}
    assert set(expected["classes"]) == {"ship", "plane", "harbor"}
    assert result["prompts"]["hbox"]["overall"]["mIOU_I"] is not None


def test_an_image_is_encoded_once_for_all_prompts(masked: Make) -> None:
    class TwoStages(BoxPredictor):
        tile_batch = 2
        encoded: list[int] = []  # noqa: RUF012
        decoded = 0

        def encode(self, images: list[Any]) -> list[Any]:
            self.encoded.append(len(images))
            return [("encoded", image) for image in images]

        def decode(self, encoded: Any, prompts: Prompts) -> Any:
            name, image = encoded
            assert name == "encoded"
            TwoStages.decoded += 1
            return self.predict(image, prompts)

    MODELS.register_module(name="TwoStagesForTest", module=TwoStages, force=True)
    config = masked(tiling=None, predictor="mine", predictors={"mine": {"type": "TwoStagesForTest"}})
    kinds = ["hbox", "rhbox", "cp+hbox"]
    whole = ablate_prompts(config, kinds).result
    assert sum(TwoStages.encoded) == 3 and TwoStages.decoded == 9  # P0003 has no object
    assert _means(whole) == _means(ablate_prompts(masked("box", tiling=None), kinds).result)
    TwoStages.encoded.clear()
    ablate_prompts({**config, "out_dir": config["out_dir"] + "_cut", "tiling": {"size": 48, "overlap": 16}}, kinds)
    assert 2 in TwoStages.encoded and max(TwoStages.encoded) == 2


def test_sam_with_every_prompt_of_the_paper(masked: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = pytest.importorskip("segment_anything").modeling.ImageEncoderViT
    forward, calls = encoder.forward, []

    def counted(self: Any, x: Any) -> Any:
        calls.append(len(x))
        return forward(self, x)

    monkeypatch.setattr(encoder, "forward", counted)
    tiny = {"embed_dim": 32, "depth": 2, "num_heads": 2, "global_attn_indexes": [1], "img_size": 256}
    sam = {"type": "SAMPredictor", "model": tiny, "random_seed": 0}
    config = masked(tiling=None, predictor="mine", predictors={"mine": sam})
    result = ablate_prompts(config).result
    assert calls == [1, 1, 1]  # P0003 has no object
    assert result is not None and tuple(result["prompts"]) == PAPER_PROMPTS
    for kind in ("hbox", "cp+rhbox+rhbox_m"):
        alone = convert_labels(
            {**config, "out_dir": f"{config['out_dir']}_{kind}", "prompt": kind}, with_evaluation=True
        )
        assert alone.evaluation is not None
        assert result["prompts"][kind] == {key: alone.evaluation[key] for key in ("overall", "classes")}


def test_the_papers_combinations() -> None:
    assert len(set(PAPER_PROMPTS)) == 15
    assert all("+".join(parse_prompt(kind)) == kind for kind in PAPER_PROMPTS)


def _ablate_until(config: dict[str, Any], moment: int) -> None:
    """Measure, and die by SIGKILL just before the ``moment``-th file takes its place."""
    replace, seen = os.replace, 0

    def deadly(source: Any, target: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    os.replace = deadly  # type: ignore[assignment]
    ablate_prompts(config, ["hbox", "rhbox"])


def test_killed_at_any_file_and_run_again(masked: Make, tmp_path: Path, digests: Digests) -> None:
    ablate_prompts(masked("whole"), ["hbox", "rhbox"])
    expected = digests(tmp_path / "whole")
    assert len(expected) == 7  # the config, four parts, two results
    for moment in range(1, 8):
        name = f"killed{moment}"
        process = FORK.Process(target=_ablate_until, args=(masked(name), moment))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        report = ablate_prompts(masked(name), ["hbox", "rhbox"])
        assert report.resumed == min(max(moment - 2, 0), 4)
        assert digests(tmp_path / name) == expected


def test_two_processes(masked: Make, tmp_path: Path, digests: Digests) -> None:
    ablate_prompts(masked("whole"), ["hbox"])
    reports = [ablate_prompts(masked("shared"), ["hbox"], shard=(rank, 2)) for rank in (0, 1)]
    assert [report.result is None for report in reports] == [True, False]
    assert [report.measured for report in reports] == [1, 3]
    assert digests(tmp_path / "shared") == digests(tmp_path / "whole")


def test_unusable_images_are_listed_and_tried_again(masked: Make, world: Path, tmp_path: Path) -> None:
    picture, mask = world / "images/P0001.png", world / "masks/P0004.png"
    whole, kept = picture.read_bytes(), mask.read_bytes()
    picture.write_bytes(whole[:100])
    mask.unlink()
    report = ablate_prompts(masked(), ["hbox"])
    assert report.result is not None and report.measured == 4
    assert report.result["failed_images"] == ["P0001.png"]
    assert report.result["images_without_truth"] == ["P0004.png"]
    assert [Path(row["file"]).name for row in report.result["problems"]] == ["P0001.png", "P0004.png"]
    assert (
        report.error_summary is not None
        and "P0001.png" in report.error_summary
        and "ablation.json" in report.error_summary
    )
    with pytest.raises(FileNotFoundError, match=r"P0004\.png"):
        ablate_prompts(masked("strict", source={**masked()["source"], "stems": ["P0004"]}), ["hbox"], on_error="raise")
    picture.write_bytes(whole)
    mask.write_bytes(kept)
    again = ablate_prompts(masked(), ["hbox"])
    assert again.measured == 2 and again.error_summary is None
    assert _means(again.result) == _means(ablate_prompts(masked("fresh"), ["hbox"]).result)


def test_mistakes_are_named(make_config: Make, ships: Make) -> None:
    with pytest.raises(ValueError, match="truth=dict"):
        ablate_prompts(make_config(), ["hbox"])
    with pytest.raises(ValueError, match="no prompt kind 'scribble'"):
        ablate_prompts(ships(), ["hbox", "scribble"])
    for kinds in ([], ["cp+hbox", "hbox+cp"]):
        with pytest.raises(ValueError, match="different kinds"):
            ablate_prompts(ships(), kinds)
    with pytest.raises(ValueError, match="BoxPredictor needs box prompts"):
        ablate_prompts(ships("points"), ["cp"])
    with pytest.raises(ValueError, match="must contain MakePrompts"):
        ablate_prompts(ships("steps", pipeline=[{"type": "CutTile"}]), ["hbox"])
    ablate_prompts(ships(), ["hbox"])
    with pytest.raises(ValueError, match=r"prompts was \['hbox'\], now \['rhbox'\].*--overwrite"):
        ablate_prompts(ships(), ["rhbox"])
    with pytest.raises(ValueError, match="a single process"):
        ablate_prompts(ships(), ["rhbox"], overwrite=True, shard=(0, 2))
    assert _means(ablate_prompts(ships(), ["rhbox"], overwrite=True).result) == {"rhbox": [0.666667, 0.6]}


@pytest.mark.slow
def test_the_tool(
    masked: Make, world: Path, tmp_path: Path, run_tool: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    path, whole = tmp_path / "config.py", (world / "images/P0001.png").read_bytes()
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in masked().items()))
    command = ("ablate_prompts", path, "--prompts", "hbox", "rhbox", "--predictor", "box")
    (world / "images/P0001.png").write_bytes(whole[:100])
    result = run_tool(*command)
    assert result.returncode == 1 and "1 images could not be used" in result.stderr
    (world / "images/P0001.png").write_bytes(whole)
    result = run_tool(*command, "--samrs-compat-union")
    assert result.returncode == 0, result.stderr
    assert "3 of 4 images are finished already" in result.stderr and "mIOU_I" in result.stdout
    out = tmp_path / "out_ablation_box"
    assert {name.name for name in out.iterdir() if not name.name.startswith(".")} == {
        "ablation.json", "ablation.csv", "ablation.png",
    }  # fmt: skip
    assert json.loads((out / "ablation.json").read_text())["samrs_compat_union"] is True
