"""Finished work and other inputs: what changed is named, and an update gives the bytes of a fresh conversion."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import rsseg
from rsseg.conversion import convert_labels
from rsseg.conversion.ablation import ablate_prompts
from rsseg.errors import DataError, JobError
from tests.conversion.dying import die_at

Make = Callable[..., dict[str, Any]]
Digests = Callable[[Path], dict[str, str]]
FORK = multiprocessing.get_context("fork")

_XML = """<annotation><filename>{stem}.jpg</filename><size><width>100</width><height>60</height><depth>3</depth></size>
{objects}</annotation>"""
_OBJECT = """<object><name>{name}</name><bndbox><xmin>{x}</xmin><ymin>5</ymin><xmax>{x2}</xmax><ymax>25</ymax></bndbox>
</object>"""


def _picture(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (60, 100, 3), dtype=np.uint8)).save(path)


class _World:
    """Three images with one ship each, in one of three formats; labels can be mended."""

    def __init__(self, root: Path, kind: str) -> None:
        self.root, self.kind, self.x = root, kind, {"a": 5, "b": 20, "c": 60}
        self.images, self.labels = root / "images", root / "labels"
        for i, stem in enumerate(self.x):
            _picture(self.images / f"{stem}.png", i)
        self.write()

    @property
    def source(self) -> dict[str, Any]:
        annotations = self.labels / "all.json" if self.kind == "coco" else self.labels
        classes = {"dior": "sior"}.get(self.kind, "sota")
        return {"format": self.kind, "images": str(self.images), "annotations": str(annotations), "classes": classes}

    def name(self, stem: str) -> str:
        return {"dota": f"{stem}.txt", "dior": f"{stem}.xml", "coco": f"{stem}.png in all.json"}[self.kind]

    def write(self) -> None:
        shutil.rmtree(self.labels, ignore_errors=True)
        self.labels.mkdir()
        if self.kind == "coco":
            ids = {stem: ord(stem) for stem in self.x}
            images = [{"id": i, "file_name": f"{s}.png", "height": 60, "width": 100} for s, i in ids.items()]
            rows = [{"id": i, "image_id": i, "category_id": 1, "bbox": [self.x[s], 5, 20, 20]} for s, i in ids.items()]
            data = {"images": images, "annotations": rows, "categories": [{"id": 1, "name": "ship"}]}
            (self.labels / "all.json").write_text(json.dumps(data))
        for stem, x in self.x.items():
            if self.kind == "dota":
                (self.labels / f"{stem}.txt").write_text(f"{x} 5 {x + 20} 5 {x + 20} 25 {x} 25 ship 0\n")
            elif self.kind == "dior":
                row = _OBJECT.format(name="ship", x=x, x2=x + 20)
                (self.labels / f"{stem}.xml").write_text(_XML.format(stem=stem, objects=row))


@pytest.fixture(params=["dota", "dior", "coco"])
def labels(request: pytest.FixtureRequest, tmp_path: Path) -> _World:
    """A world whose labels can be mended."""
    return _World(tmp_path / "mendable", request.param)


def test_mended_labels_are_an_error_and_an_update_is_a_fresh_conversion(
    labels: _World, make_config: Make, tmp_path: Path, digests: Digests
) -> None:
    config = make_config(source=labels.source)
    assert convert_labels(config).converted == 3
    kept = {p: p.stat().st_mtime_ns for p in (tmp_path / "out/gray").glob("[ac]*.png")}
    labels.x["b"] = 48  # now in other tiles
    labels.write()
    with pytest.raises(JobError) as caught:
        convert_labels(config)
    assert f"1 label file changed ({labels.name('b')}). Use --update to redo only what changed" in str(caught.value)
    report = convert_labels(config, update=True)
    assert (report.converted, report.resumed, report.complete) == (1, 2, True)
    assert {p: p.stat().st_mtime_ns for p in (tmp_path / "out/gray").glob("[ac]*.png")} == kept
    convert_labels(make_config("fresh", source=labels.source))
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")
    assert convert_labels(config).converted == 0


def test_added_and_removed_images(labels: _World, make_config: Make, tmp_path: Path, digests: Digests) -> None:
    config = make_config(source=labels.source)
    convert_labels(config)
    _picture(labels.images / "d.png", 9)
    (labels.images / "a.png").unlink()
    labels.x = {"b": 20, "c": 60, "d": 7}
    labels.write()
    with pytest.raises(JobError, match=r"1 image or its label file is gone \(a\)\. Use --update"):
        convert_labels(config)
    assert convert_labels(config, update=True).converted == 1
    convert_labels(make_config("fresh", source=labels.source))
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def _table(path: Path, *names: str) -> str:
    rows = [{"id": i, "name": name, "color": f"#0000{i + 1:02X}"} for i, name in enumerate(names)]
    path.write_text(json.dumps({"name": "mine", "source": "test", "categories": rows}))
    return str(path)


def test_a_swapped_row_of_the_class_table_is_an_error(make_config: Make, tmp_path: Path, digests: Digests) -> None:
    table = _table(tmp_path / "mine.json", "ship", "plane", "harbor")
    config = make_config()
    config["source"]["classes"] = table
    convert_labels(config)
    before = digests(tmp_path / "out")
    _table(tmp_path / "mine.json", "plane", "ship", "harbor")
    for update in (False, True):
        with pytest.raises(
            JobError, match=r"class_table was \['ship #000001 0', 'plane #000002 1', .*now \['plane #000"
        ):
            convert_labels(config, update=update)
    assert digests(tmp_path / "out") == before
    convert_labels(config, overwrite=True)
    found = json.loads((tmp_path / "out/instances.json").read_text())
    assert [row["name"] for row in found["categories"]] == ["plane", "ship", "harbor"]


def test_a_painted_image_and_a_copied_one(make_config: Make, world: Path, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config())
    path = world / "images/P0002.png"
    os.utime(path, ns=(1, 1))  # as a copy of the archive has it
    assert convert_labels(make_config()).converted == 0
    pixels = np.asarray(Image.open(path)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(path)
    with pytest.raises(JobError, match=r"1 image changed \(P0002\.png\)"):
        convert_labels(make_config())
    assert convert_labels(make_config(), update=True).converted == 1
    convert_labels(make_config("fresh"))
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_an_unfinished_conversion_takes_mended_labels(
    make_config: Make, world: Path, tmp_path: Path, digests: Digests
) -> None:
    convert_labels(make_config(), shard=(0, 2))
    todo = {p.stem for p in (world / "labelTxt").iterdir()} - {p.stem for p in (tmp_path / "out/.parts").iterdir()}
    label = world / "labelTxt" / f"{sorted(todo)[0]}.txt"
    label.write_text("5 5 25 5 25 15 5 15 ship 0\n")
    convert_labels(make_config())
    convert_labels(make_config("fresh"))
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_an_update_by_two_processes(make_config: Make, world: Path, tmp_path: Path, digests: Digests) -> None:
    convert_labels(make_config())
    for path in (world / "labelTxt").iterdir():
        path.write_text("5 5 25 5 25 15 5 15 ship 0\n")
    reports = [convert_labels(make_config(), shard=(rank, 2), update=True) for rank in (0, 1)]
    assert [report.complete for report in reports] == [False, True]
    convert_labels(make_config("fresh"))
    assert digests(tmp_path / "out") == digests(tmp_path / "fresh")


def test_another_version_is_an_error(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    convert_labels(make_config())
    monkeypatch.setattr(rsseg, "__version__", "99.0")
    with pytest.raises(JobError, match=r"rsseg was .*, now 99\.0"):
        convert_labels(make_config())
    assert convert_labels(make_config(), update=True).converted == 0


def test_ground_truth_counts_where_it_is_used(make_config: Make, world: Path, tmp_path: Path) -> None:
    (world / "masks").mkdir()
    for stem, (width, height) in {"P0001": (100, 60), "P0002": (50, 50), "P0003": (60, 40), "P0004": (64, 64)}.items():
        Image.new("L", (width, height), 1).save(world / "masks" / f"{stem}.png")
    truth = {"kind": "instance_png", "masks": str(world / "masks")}
    ablate_prompts(make_config("ablation", truth=truth), ["hbox"])
    convert_labels(make_config(truth=truth))
    Image.new("L", (64, 64), 0).save(world / "masks/P0004.png")
    assert convert_labels(make_config(truth=truth)).converted == 0  # boxes do not look at masks
    with pytest.raises(JobError, match=r"holds an ablation .*1 ground-truth file changed \(P0004\.png\)"):
        ablate_prompts(make_config("ablation", truth=truth), ["hbox"])
    assert ablate_prompts(make_config("ablation", truth=truth), ["hbox"], update=True).measured == 1
    ablate_prompts(make_config("fresh", truth=truth), ["hbox"])
    names = (".job.json", "ablation.json", "ablation.csv", ".parts/P0004.json")
    for name in names:
        assert (tmp_path / "ablation" / name).read_bytes() == (tmp_path / "fresh" / name).read_bytes()


def test_images_of_one_name_in_two_folders(make_config: Make, tmp_path: Path) -> None:
    for i, folder in enumerate("ab"):
        _picture(tmp_path / "img" / folder / "0001.png", i)
        (tmp_path / "lab" / folder).mkdir(parents=True)
        (tmp_path / "lab" / folder / "0001.txt").write_text("5 5 25 5 25 15 5 15 ship 0\n")
    folders = {"images": str(tmp_path / "img"), "annotations": str(tmp_path / "lab")}
    source = {"format": "dota", "classes": "sota", **folders}
    convert_labels(make_config(source=source, tiling=None))
    assert sorted(p.name for p in (tmp_path / "out/gray").iterdir()) == ["a__0001.png", "b__0001.png"]
    (tmp_path / "lab/b/0001.txt").unlink()
    with pytest.raises(
        DataError, match=r"stem occurs more than once, also in .*0001\.png; rename or remove all but one"
    ):
        convert_labels(make_config("other", source=source, tiling=None))
    assert not (tmp_path / "other").exists()


def test_images_of_one_name_have_ground_truth_of_their_own(make_config: Make, tmp_path: Path) -> None:
    """Masks lie in one folder, so they are called as the outputs are: with the folders of the image."""
    labels = _World(tmp_path / "mendable", "dota")
    for i, part in enumerate("pq"):
        _picture(labels.images / part / "a.png", i)
        (labels.labels / part).mkdir()
        (labels.labels / part / "a.txt").write_text("5 5 25 5 25 25 5 25 ship 0\n")
    for stem in "abc":
        (labels.images / f"{stem}.png").unlink()
        (labels.labels / f"{stem}.txt").unlink()
    masks = tmp_path / "masks"
    masks.mkdir()
    truth = {"kind": "instance_png", "masks": str(masks)}
    config = make_config(source=labels.source, predictor="truth", truth=truth, tiling=None)
    for i, name in enumerate(["p__a", "q__a"]):
        pixels = np.zeros((60, 100), np.uint8)
        pixels[5:25, 5 : 15 + 10 * i] = 1
        Image.fromarray(pixels).save(masks / f"{name}.png")
    convert_labels(config)
    painted = [np.asarray(Image.open(tmp_path / f"out/gray/{name}.png")) for name in ("p__a", "q__a")]
    assert [int((values != 255).sum()) for values in painted] == [200, 400]


def test_the_tool(make_config: Make, world: Path, tmp_path: Path, run_tool: Callable[..., Any]) -> None:
    path = tmp_path / "config.py"
    path.write_text("\n".join(f"{key} = {value!r}" for key, value in make_config().items()))
    assert run_tool("convert_labels", path).returncode == 0
    (world / "labelTxt/P0004.txt").write_text("5 5 25 5 25 15 5 15 ship 0\n")
    result: subprocess.CompletedProcess[str] = run_tool("convert_labels", path)
    assert result.returncode == 1 and "1 label file changed (P0004.txt). Use --update" in result.stderr
    assert run_tool("convert_labels", path, "--update").returncode == 0


def _update_until(config: dict[str, Any], moment: int) -> None:
    """Update, and die by SIGKILL before the ``moment``-th file is deleted or takes its place."""
    die_at(moment)
    convert_labels(config, update=True)


def test_an_update_that_is_killed_at_any_moment_goes_on(
    make_config: Make, world: Path, tmp_path: Path, digests: Digests
) -> None:
    convert_labels(make_config())
    (world / "labelTxt/P0001.txt").write_text("5 5 25 5 25 15 5 15 ship 0\n")
    (world / "labelTxt/P0004.txt").unlink()
    convert_labels(make_config("fresh"))
    expected, process = digests(tmp_path / "fresh"), None
    for moment in range(1, 100, 3):
        shutil.rmtree(tmp_path / "copy", ignore_errors=True)
        shutil.copytree(tmp_path / "out", tmp_path / "copy")
        process = FORK.Process(target=_update_until, args=(make_config("copy"), moment))
        process.start()
        process.join()
        convert_labels(make_config("copy"), update=True)
        assert digests(tmp_path / "copy") == expected
        if process.exitcode == 0:
            break
        assert process.exitcode == -signal.SIGKILL
    assert process is not None and process.exitcode == 0 and moment > 12
