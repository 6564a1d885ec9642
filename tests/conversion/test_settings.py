"""Configs are checked at the door."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rsseg.conversion import Settings, convert_labels, load_conversion_config

Make = Callable[..., dict[str, Any]]


def test_helper_variables_are_ignored(make_config: Make) -> None:
    settings = Settings.from_config(make_config(helper=3))
    assert settings.predictor_config["type"] == "BoxPredictor" and settings.cuts_tiles


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": {"format": "dota"}}, r"missing required config key 'source\.classes'"),
        (
            {"tiling": {"size": 4, "stride": 2}},
            r"unknown key 'tiling\.stride'; expected one of: box, iof_thr, overlap, pad, size$",
        ),
        ({"tiling": {"size": 4, "box": "circle"}}, r"tiling\.box"),
        ({"tiling": {"size": 0}}, r"tiling\.size must be pixels from 1 on, .* not 0"),
        ({"tiling": {"size": 12.5}}, r"tiling\.size .* not 12\.5"),
        ({"tiling": {"size": [40, 50], "overlap": 40}}, r"tiling\.overlap must be less than tiling\.size, \[40, 50\]"),
        ({"tiling": {"size": 4, "iof_thr": "x"}}, r"tiling\.iof_thr must be a number above 0 and up to 1, not 'x'"),
        ({"split": {"val_fraction": 2, "seed": 0}}, r"split\.val_fraction"),
        ({"split": {"val_fraction": "5 %", "seed": 0}}, r"split\.val_fraction must be a number from 0 to 1, got '5 %'"),
        ({"truth": {"kind": "guess"}}, "unknown truth kind 'guess'; expected one of: coco"),
        (
            {"truth": {"kind": "coco", "masks": "x"}},
            r"unknown key 'truth\.masks' for kind 'coco'; expected",
        ),
        ({"split": {"seeds": 0}}, r"unknown key 'split\.seeds'; expected one of: by, seed, val_fraction"),
        ({"split": 0.1}, "split must be an object with keys and values, not 0.1"),
        ({"source": {"formats": "dota"}}, r"unknown key 'source\.formats'; expected one of: annotations, classes"),
        ({"split": {"val_fraction": 0.1, "seed": 0, "by": "scene"}}, r"split\.by must be 'source' or 'tile'"),
        ({"preset": "improved"}, "unknown preset 'improved'"),
        ({"prompt": "scribble"}, "no prompt kind"),
        ({"prompt": "hbox+rhbox"}, "at most one"),
        ({"predictor": "crystal ball"}, r"expected one of: sam, mobile_sam, .*boxmask, grabcut, box, truth"),
        ({"pipeline": []}, "pipeline must list"),
    ],
)
def test_mistakes_are_named(make_config: Make, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Settings.from_config(make_config(**changes))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"parts": [{"images": "train"}]}, r"missing required config key 'source\.parts\[0\]\.annotations'"),
        ({"parts": [{"images": "a", "annotations": "b", "prefix": "a/"}]}, r"parts\[0\]\.prefix .*no slash"),
        ({"parts": [{"images": "a", "annotations": "b"}], "stems": ["P1"]}, "exclude each other"),
    ],
)
def test_mistakes_in_parts_are_named(make_config: Make, changes: dict[str, Any], message: str) -> None:
    config = make_config()
    with pytest.raises(ValueError, match=message):
        Settings.from_config({**config, "source": {**config["source"], **changes}})


def test_a_source_without_images_or_labels_is_said(make_config: Make, world: Path) -> None:
    settings = Settings.from_config(make_config())
    for label in (world / "labelTxt").iterdir():
        label.rename(label.with_stem(f"other_{label.stem}"))
    with pytest.raises(
        FileNotFoundError, match=r"images: no image with labels in .*labelTxt \(4 images without; the first"
    ):
        settings.open_source("skip")
    for folder in ("images", "labelTxt"):
        for path in (world / folder).iterdir():
            path.unlink()
    with pytest.raises(FileNotFoundError, match=r"\(0 images without\); give --images"):
        settings.open_source("raise")


def test_missing_keys_are_named() -> None:
    with pytest.raises(ValueError, match="missing required config key 'source'"):
        Settings.from_config({})


def test_a_step_and_a_predictor_of_ones_own(make_config: Make) -> None:
    import numpy as np
    from mmseg.registry import MODELS, TRANSFORMS

    from rsseg.conversion import BoxPredictor, convert_labels

    class Shifted(BoxPredictor):
        def describe(self) -> dict[str, Any]:
            return {"name": "Shifted"}

    class CountPixels:
        seen = 0

        def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
            CountPixels.seen += int(np.count_nonzero(results["label_map"] != 255))
            return results

    MODELS.register_module(name="ShiftedForTest", module=Shifted, force=True)
    TRANSFORMS.register_module(name="CountPixelsForTest", module=CountPixels, force=True)
    config = make_config(tiling=None, predictor="mine", predictors={"mine": {"type": "ShiftedForTest"}})
    config["pipeline"].append({"type": "CountPixelsForTest"})
    report = convert_labels(config)
    assert report.manifest is not None and report.manifest["predictor"] == {"name": "Shifted"}
    # P0001: 200 + 400 + 300, of which the last ship covers 100 of the plane; P0002: 900; P0004: 256.
    assert CountPixels.seen == 800 + 900 + 256


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"promt": "cp"}, "unknown setting 'promt' in .*; expected one of: .*prompt, "),
        ({"pipeline.9.order": "file"}, "cannot take these options, pipeline.9.order"),
    ],
)
def test_options_that_change_nothing_are_named(options: dict[str, Any], message: str) -> None:
    config = Path(__file__).resolve().parents[2] / "configs" / "_base_" / "convert.py"
    assert (
        load_conversion_config(config, {"prompt": "cp", "pipeline.4.order": "score", "tiling.size": 9}).tiling.size == 9
    )
    with pytest.raises(ValueError, match=message):
        load_conversion_config(config, options)
    with pytest.raises(FileNotFoundError, match=r"missing\.py: no such config file"):
        load_conversion_config("missing.py", {})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"pipeline": [{"type": "RefineMasks", "min_iou": 0.5}]},
            r"unknown key 'pipeline\.0 \(RefineMasks\)\.min_iou'; expected one of: clip",
        ),
        ({"pipeline": [{"type": "RefineMask"}]}, r"pipeline\.0: unknown type 'RefineMask'"),
        (
            {"predictors": {"box": {"type": "SAMPredictor", "chekpoint": "x"}}},
            r"unknown key 'predictors\.box .*chekpoint'",
        ),
    ],
)
def test_a_mistake_leaves_no_mark_on_the_output_folder(
    make_config: Make, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        convert_labels(make_config(**changes))
    with pytest.raises(ValueError, match="--evaluate needs ground-truth masks"):
        convert_labels(make_config(), with_evaluation=True)
    assert not (tmp_path / "out").exists()
