"""Procedural scenes: the same bytes for the same seed, exact truth, files in the real layouts."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import rasterio

from rsseg.metainfo import load_metainfo
from rsseg.scenes import DOMAINS, KINDS, LAYOUTS, REGIONS, THEMES, Scene, class_name, make_scene, write_scenes
from rsseg.scenes.canvas import Canvas, Pose
from rsseg.scenes.shapes import Shape, box

ROOT = Path(__file__).parents[2]
SIZE = 192
COUNT = 3
COUNTS = {"landcover": 5, "domains": 6}

HOME = {
    "regional-jet": "airport", "narrow-body": "airport", "wide-body": "airport", "light-plane": "airport",
    "helicopter": "airport", "helipad": "airport", "motorboat": "marina", "fishing-boat": "sea",
    "dry-cargo-ship": "sea", "liquid-cargo-ship": "sea", "warship": "sea", "car": "suburb", "van": "suburb",
    "bus": "port", "cargo-truck": "port", "storage-tank": "industry", "tennis-court": "park",
    "basketball-court": "park", "soccer-field": "park", "baseball-diamond": "park", "swimming-pool": "suburb",
    "harbor": "marina", "container-crane": "port", "windmill": "farmland", "bridge": "riverside",
    "roundabout": "suburb", "house": "suburb", "block": "suburb", "shed": "industry",
}  # fmt: skip
"""A kind of scene in which each kind of object is found."""


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """One scene of every theme."""
    return [make_scene(3, 320, theme, nodata=0.0) for theme in THEMES]


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every layout, a few small scenes each."""
    root = tmp_path_factory.mktemp("sets")
    for layout in LAYOUTS:
        write_scenes(layout, root / layout, COUNTS.get(layout, COUNT), seed=1, size=SIZE)
    return root


def _digest(folder: Path) -> dict[str, str]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def _ids(path: Path) -> np.ndarray:
    ids = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert ids.dtype == np.uint16 and ids.shape == (SIZE, SIZE)
    return ids


def _tight(mask: np.ndarray) -> list[int]:
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def _inside(mask: np.ndarray, qbox: np.ndarray, slack: float) -> bool:
    """Whether all pixel centres lie in the convex box grown by ``slack`` pixels."""
    ys, xs = np.nonzero(mask)
    points = np.stack([xs, ys], 1) + 0.5
    edge = np.roll(qbox, -1, 0) - qbox
    normal = np.stack([edge[:, 1], -edge[:, 0]], 1) / np.linalg.norm(edge, axis=1)[:, None]
    return bool((((points[:, None] - qbox) * normal).sum(-1) <= slack).all())


def test_same_seed_same_scene_other_seed_other_scene() -> None:
    a, b, c = make_scene(11, 96), make_scene(11, 96), make_scene(12, 96)
    assert a.image.tobytes() == b.image.tobytes()
    assert a.landcover.tobytes() == b.landcover.tobytes() and a.instances.tobytes() == b.instances.tobytes()
    assert a.image.tobytes() != c.image.tobytes()


def test_arrays_have_the_stated_shape_and_type() -> None:
    scene = make_scene(0, (64, 96))
    assert scene.image.shape == (64, 96, 3) and scene.image.dtype == np.uint8
    assert scene.landcover.shape == (64, 96) and scene.landcover.dtype == np.uint8
    assert scene.instances.shape == (64, 96) and scene.instances.dtype == np.uint16


def test_boxes_are_the_boxes_of_the_masks(scenes: list[Scene]) -> None:
    total = 0
    for scene in scenes:
        assert set(np.unique(scene.instances)) == set(range(len(scene.objects) + 1)) | {0}
        for k, item in enumerate(scene.objects, 1):
            mask = scene.instances == k
            assert item.hbox.tolist() == _tight(mask)
            assert _inside(mask, item.qbox, 0.01), f"{item.kind} leaves its rotated box"
            total += 1
    assert total > 100


def test_the_mask_is_what_was_drawn() -> None:
    canvas = Canvas((40, 60), 0.5, np.random.default_rng(0))
    shape = Shape(10, 5)
    shape.add(box(0, 0, 10, 5), (255, 0, 0), 1.0)
    assert canvas.put("car", shape, Pose(15, 10))  # metres: x 10..20, y 7.5..12.5, so pixels x 20..40, y 15..25
    assert _tight(canvas.instances[::2, ::2] == 1) == [20, 15, 40, 25]
    assert (canvas.instances[::2, ::2] == 1).sum() == 20 * 10
    assert not canvas.put("car", shape, Pose(18, 10)), "the place is taken"


def test_every_kind_of_object_appears() -> None:
    assert HOME.keys() == KINDS.keys()
    seen: set[str] = set()
    for kind, theme in HOME.items():
        for seed in range(15):
            if kind in seen:
                break
            canvas = Canvas((512, 512), sum(THEMES[theme].gsd) / 2, np.random.default_rng(seed))
            THEMES[theme].draw(canvas)
            seen |= {canvas.objects[k - 1].kind for k in np.unique(canvas.instances) if k}
    assert seen == set(KINDS)


def test_land_cover_values(scenes: list[Scene]) -> None:
    counts = sum(np.bincount(s.landcover.ravel(), minlength=9) for s in scenes)
    assert len(counts) == 9 and counts[0] == 0
    assert (counts[1:] > 0.005 * counts.sum()).all(), "each of the eight classes covers half a percent or more"


def test_nodata_wedge_is_black_and_unlabelled() -> None:
    scene = make_scene(2, 160, "suburb", nodata=1.0)
    wedge = scene.landcover == 0
    assert 0.02 < wedge.mean() < 0.3
    assert not scene.image[wedge].any() and not scene.instances[wedge].any()


@pytest.mark.parametrize("label_set", ["sota", "sior", "fast", "hrsc"])
def test_class_names_are_in_the_tables(label_set: str) -> None:
    table = load_metainfo(label_set)
    names = [class_name(kind, label_set) for kind in KINDS]
    assert any(names)
    assert {name for name in names if name} <= set(table.classes)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_has_its_files_and_nothing_else(sets: Path, layout: str) -> None:
    stems = [LAYOUTS[layout].stem(i) for i in range(COUNTS.get(layout, COUNT))]
    expected = {"scenes.json"} | {path for stem in stems for path in LAYOUTS[layout].files(stem)}
    if layout == "landcover":
        expected |= {"train.txt", "val.txt", "test.txt"}
    if layout == "domains":  # a fifth of three images is none
        expected |= {"source_train.txt", "target_train.txt"}
    assert set(_digest(sets / layout)) == expected


def test_dota_lines(sets: Path) -> None:
    root, table, decimals = sets / "dota", load_metainfo("sota"), set()
    for stem in ("P0001", "P0002", "P0003"):
        lines = (root / f"labelTxt/{stem}.txt").read_text().splitlines()
        assert lines[0] == "imagesource:GoogleEarth" and lines[1].startswith("gsd:0.")
        ids = _ids(root / f"masks/{stem}.png")
        assert ids.max() == len(lines) - 2 > 0
        for k, line in enumerate(lines[2:], 1):
            *numbers, name, difficult = line.split()
            assert len(numbers) == 8 and name in table.classes and difficult in "01"
            decimals.add("." in numbers[0])
            assert _inside(ids == k, np.array(numbers, float).reshape(4, 2), 1.5)
    assert decimals == {True, False}


def test_dior_xml(sets: Path) -> None:
    root = sets / "dior"
    for stem in ("00001", "00002", "00003"):
        ids = _ids(root / f"masks/{stem}.png")
        flat = ElementTree.parse(root / f"Annotations/Horizontal Bounding Boxes/{stem}.xml").findall("object")
        turned = ElementTree.parse(root / f"Annotations/Oriented Bounding Boxes/{stem}.xml").findall("object")
        assert len(flat) == len(turned) == ids.max() > 0
        for k, (a, b) in enumerate(zip(flat, turned, strict=True), 1):
            assert a.findtext("name") == b.findtext("name") in load_metainfo("sior").classes
            corners = [int(a.findtext(f"bndbox/{tag}") or -1) for tag in ("xmin", "ymin", "xmax", "ymax")]
            assert corners == _tight(ids == k)
            assert len(b.find("robndbox") or ()) == 8
        assert cv2.imread(str(root / f"JPEGImages-trainval/{stem}.jpg")).shape == (SIZE, SIZE, 3)


def test_fair1m_xml(sets: Path) -> None:
    root, table = sets / "fair1m", load_metainfo("fast")
    for stem in ("1", "2", "3"):
        ids = _ids(root / f"masks/{stem}.png")
        objects = ElementTree.parse(root / f"labelXml/{stem}.xml").findall("objects/object")
        assert len(objects) == ids.max() > 0
        for k, item in enumerate(objects, 1):
            name = item.findtext("possibleresult/name") or ""
            assert name.replace(" ", "-") in table.classes
            points = [point.text or "" for point in item.findall("points/point")]
            assert len(points) == 5 and points[0] == points[4]
            corners = np.array([text.split(",") for text in points[:4]], float)
            assert _inside(ids == k, corners, 0.01)


def test_hrsc_colours_and_boxes(sets: Path) -> None:
    root = sets / "hrsc"
    for stem in ("100000001", "100000002", "100000003"):
        ids = _ids(root / f"masks/{stem}.png")
        colours = cv2.imread(str(root / f"LandMask/{stem}.png"))[..., ::-1]
        ships = ElementTree.parse(root / f"Annotations/{stem}.xml").findall("HRSC_Objects/HRSC_Object")
        assert len(ships) == ids.max() > 0
        for k, ship in enumerate(ships, 1):
            colour = [int(c) for c in (ship.findtext("seg_color") or "").split(",")]
            assert np.array_equal((colours == colour).all(-1), ids == k)
            tags = ("box_xmin", "box_ymin", "box_xmax", "box_ymax")
            assert [int(ship.findtext(tag) or -1) for tag in tags] == _tight(ids == k)
            cx, cy, w, h, angle = (float(ship.findtext(f"mbox_{t}") or "nan") for t in ("cx", "cy", "w", "h", "ang"))
            assert abs(angle) <= np.pi / 2 + 1e-6
            axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
            ys, xs = np.nonzero(ids == k)
            local = np.abs((np.stack([xs, ys], 1) + 0.5 - (cx, cy)) @ axes.T)
            assert (local <= np.array([w, h]) / 2 + 0.01).all()


def test_land_cover_is_georeferenced(sets: Path) -> None:
    root = sets / "landcover"
    lists = {name: (root / f"{name}.txt").read_text().split() for name in ("train", "val", "test")}
    assert lists == {
        "train": ["northport_1.tif", "eastfield_1.tif", "westmere_1.tif"],
        "val": ["southdown_1.tif"],
        "test": ["northport_2.tif"],
    }
    for name in lists["train"] + lists["val"] + lists["test"]:
        region = name.split("_")[0]
        with (
            rasterio.open(root / region / "images" / name) as image,
            rasterio.open(root / region / "labels" / name) as y,
        ):
            assert image.crs == y.crs == rasterio.CRS.from_epsg(32631 + REGIONS.index(region))
            assert image.transform == y.transform and image.res == (0.5, 0.5)
            assert (image.count, y.count) == (3, 1) and y.read(1).max() <= 8


def test_domains_have_lists_of_source_and_target_regions(tmp_path: Path) -> None:
    write_scenes("domains", tmp_path, 12, seed=1, size=32, val=1, test=2)
    found = {path.stem: path.read_text().split() for path in tmp_path.glob("*.txt")}
    assert {name: len(rows) for name, rows in found.items()} == {
        "source_train": 5, "source_val": 1, "target_train": 3, "target_val": 1, "target_test": 2,
    }  # fmt: skip
    for region in DOMAINS:
        images = [name for rows in found.values() for name in rows if name.startswith(f"{region.name}_")]
        assert sorted(images) == [f"{region.name}_1.tif", f"{region.name}_2.tif"]
        own = {name.split("_")[0] for name, rows in found.items() if set(rows) & set(images)}
        assert own == {region.domain}
        with rasterio.open(tmp_path / region.name / "images" / images[0]) as image:
            assert region.gsd[0] <= image.res[0] <= region.gsd[1]


def test_a_region_decides_colours_blur_and_roofs() -> None:
    near, far = DOMAINS[0], DOMAINS[1]
    images = [make_scene(3, 128, "suburb", nodata=0.0, region=region).image for region in (near, far)]
    red = [float(image[..., 0].mean() / image[..., 2].mean()) for image in images]
    assert red[1] > 1.1 * red[0], "red soil, dry grass and a warm sensor"
    house = Shape(10, 8, cover=8)
    house.add(box(0, 0, 10, 8), (100, 100, 100), lambda x, y: 3 + 0.5 * (4 - np.abs(y)))
    built = far.look.build(house).parts[0]
    assert built.z == 3.0 and built.colour == (174, 160, 141), "30 % of 100 and 70 % of 206, 186, 158, rounded"
    assert near.look.build(house) is house


def test_rerun_completes_and_extends(sets: Path, tmp_path: Path) -> None:
    write_scenes("dota", tmp_path, COUNT - 1, seed=1, size=SIZE)
    (tmp_path / "labelTxt/P0001.txt").unlink()
    kept = tmp_path / "images/P0002.png"
    before = kept.stat().st_mtime_ns
    assert write_scenes("dota", tmp_path, COUNT, seed=1, size=SIZE) == ["P0001", "P0002", "P0003"]
    assert kept.stat().st_mtime_ns == before
    assert _digest(tmp_path) == _digest(sets / "dota")


def test_themes_in_turn(sets: Path, tmp_path: Path) -> None:
    both = ["sea", "park"]
    write_scenes("landcover", tmp_path / "turn", 3, size=SIZE, theme=both, in_turn=True, val=0, test=0)
    for number, theme in enumerate(["sea", "park", "sea"]):
        write_scenes("landcover", tmp_path / theme / str(number), number + 1, size=SIZE, theme=theme, val=0, test=0)
        name = f"{REGIONS[number]}/labels/{REGIONS[number]}_1.tif"
        assert (tmp_path / "turn" / name).read_bytes() == (tmp_path / theme / str(number) / name).read_bytes()
    with pytest.raises(ValueError, match="made with in_turn=True, not False; choose another folder, or delete"):
        write_scenes("landcover", tmp_path / "turn", 3, size=SIZE, theme=both)


def test_a_folder_with_another_set_is_refused(sets: Path) -> None:
    with pytest.raises(ValueError, match="made with seed=1, not 2"):
        write_scenes("dota", sets / "dota", COUNT, seed=2, size=SIZE)


@pytest.mark.parametrize(
    ("layout", "options", "message"),
    [
        ("coco", {}, "unknown layout 'coco'; expected one of: dota"),
        ("dota", {"count": 0}, "count must be .* got 0"),
        ("dota", {"seed": -1}, "seed must be .* got -1"),
        ("dota", {"size": 16}, "size must be .* got 16"),
        ("dota", {"size": (64, 64, 64)}, "size must be"),
        ("dota", {"theme": "moon"}, "unknown theme 'moon'; expected one of: port"),
        ("dota", {"theme": []}, r"unknown theme \[\]"),
        ("dota", {"gsd": 0.0}, "gsd must be .* got 0.0"),
        ("dota", {"nodata": 1.5}, "nodata must be .* got 1.5"),
        ("dota", {"workers": 0}, "workers must be .* got 0"),
        ("dota", {"val": 1}, "val=1 .* apply to the layouts 'landcover' and 'domains'"),
        ("landcover", {"val": 2, "test": 3}, "val=2 and test=3 .* count=4"),
    ],
)
def test_bad_arguments_are_named(tmp_path: Path, layout: str, options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_scenes(layout, tmp_path / "set", **{"count": 4, **options})
    assert not (tmp_path / "set").exists(), "nothing is written"


def test_tool_in_another_process_writes_the_same_bytes(sets: Path, tmp_path: Path) -> None:
    options = ["--count", str(COUNT), "--size", str(SIZE), "--seed", "1"]
    command = [sys.executable, "tools/make_scenes.py", "hrsc", str(tmp_path), *options]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"{COUNT} hrsc scenes in ")
    assert _digest(tmp_path) == _digest(sets / "hrsc")
