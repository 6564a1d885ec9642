"""One broken file stops no folder and no set: every tool names it, and does the rest."""

from __future__ import annotations

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2146\nsize 12345\n"


def _odd_header(path: Path) -> None:
    """A header that a library believes, and fails on later."""
    data = bytearray(path.read_bytes())
    if data[:2] == b"II":  # 2,147,483,647 rows
        start = struct.unpack_from("<I", data, 4)[0]
        for entry in range(start + 2, start + 2 + 12 * struct.unpack_from("<H", data, start)[0], 12):
            if struct.unpack_from("<H", data, entry)[0] == 257:
                struct.pack_into("<HII", data, entry + 2, 4, 1, 2**31 - 1)
    elif data[:4] == b"\x89PNG":
        struct.pack_into(">II", data, 16, 2**31 - 1, 2**31 - 1)
    path.write_bytes(data)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


BREAKS: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 5]),
    "pointer": lambda path: path.write_bytes(POINTER),
    "page": lambda path: path.write_bytes(b"<!DOCTYPE html><html>404</html>"),
    "binary": lambda path: path.write_bytes(bytes(range(256)) * 4),
    "odd": _odd_header,
    "link": _link,
}
BROKEN_IS_FINE: set[Path] = set()
COUNT = len(BREAKS) + 2


class World(NamedTuple):
    """What a tool is called with.

    Attributes:
        arguments: Name of the tool and its arguments.
        breaks: Files, one of which is broken in each of the ways.
        good: Whether the rest is there, once the tool has run.
        status: Its exit status.
    """

    arguments: list[Any]
    breaks: list[Path]
    good: Callable[[], bool]
    status: int = 1


def image(path: Path, size: tuple[int, int] = (40, 40), seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def label(path: Path, values: int | list[int] = 1, size: tuple[int, int] = (40, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).choice(np.atleast_1d(values), size).astype(np.uint8)).save(path)
    return path


def tiles(root: Path, suffix: str) -> World:
    paths = [image(root / "images" / f"i{n}{suffix}", seed=n) for n in range(COUNT)]
    arguments = ["tile_images", root / "images", root / "out", "--size", 16, "--overlap", 0, "--workers", 2]
    return World(arguments, paths, lambda: len(list((root / "out").glob("i[78]__*.png"))) == 18)


BOX = "2 2 20 2 20 20 2 20 plane 0\n"
XML = """<?xml version="1.0" encoding="utf-8"?>
<annotation><size><width>40</width><height>40</height><depth>3</depth></size>
<object><name>airplane</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>
"""


def conversion(root: Path, kind: str, what: str) -> World:
    suffix, text = {"dota": (".txt", BOX), "dior": (".xml", XML)}[kind]
    (root / "labels").mkdir(parents=True)
    images, labels = [], []
    for n in range(COUNT):
        images.append(image(root / "images" / f"i{n}.png", seed=n))
        labels.append(root / "labels" / f"i{n}{suffix}")
        labels[-1].write_text(text)
    classes = "sota" if kind == "dota" else "sior"
    repo = Path(__file__).resolve().parents[1]
    (root / "config.py").write_text(
        f"_base_ = {str(repo / 'configs/_base_/convert.py')!r}\npredictor = 'box'\nout_dir = {str(root / 'out')!r}\n"
        f"source = dict(format={kind!r}, images={str(root / 'images')!r}, annotations={str(root / 'labels')!r}, "
        f"classes={classes!r})\n"
    )
    if kind == "dota":
        BROKEN_IS_FINE.add(labels[0])  # an empty file of DOTA says that nothing is there
    return World(
        ["convert_labels", root / "config.py"],
        images if what == "images" else labels,
        lambda: {path.stem for path in (root / "out/gray").glob("*.png")} >= {"i7", "i8"},
    )


def potsdam(root: Path, what: str) -> World:
    names = [f"2_{10 + n}" for n in range(COUNT)]
    images, labels = [], []
    for n, name in enumerate(names):
        images.append(image(root / f"raw/2_Ortho_RGB/top_potsdam_{name}_RGB.tif", seed=n))
        path = root / f"raw/5_Labels_all/top_potsdam_{name}_label.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((40, 40, 3), 255, np.uint8)).save(path)
        labels.append(path)
    (root / "splits").mkdir()
    for part, own in (("train", names[:-1]), ("val", names[-1:])):
        (root / "splits" / f"{part}.txt").write_text("\n".join(own) + "\n")
    arguments = ["prepare_data", "potsdam", root / "raw", root / "out", "--splits", root / "splits", "--size", 16]
    good = lambda: len(list((root / "out").glob("img_dir/*/*2_1[78]*"))) > 7  # noqa: E731
    return World([*arguments, "--stride", 12, "--workers", 2], images if what == "images" else labels, good)


def landdiscover(root: Path, what: str) -> World:
    base = root / "loveda/Train/Urban"
    images = [image(base / "images_png" / f"{n}.png", seed=n) for n in range(COUNT)]
    labels = [label(base / "masks_png" / f"{n}.png", [1, 2]) for n in range(COUNT)]
    return World(
        ["build_landdiscover", root / "out", "--loveda", root / "loveda", "--workers", 2],
        images if what == "images" else labels,
        lambda: {path.stem.rpartition("__")[2] for path in (root / "out/GT_ID").glob("*.png")} == {"7", "8"},
    )


def bigearthnet(root: Path, what: str) -> World:
    import cv2

    from rsseg.datasets.bigearthnet.band_table import load_bands

    found = []
    for n in range(COUNT):
        name = f"S2A_MSIL2A_20170617T113321_0_{n}"
        folder = root / "archive/BigEarthNet-v1.0" / name
        folder.mkdir(parents=True)
        (folder / f"{name}_labels_metadata.json").write_text(json.dumps({"labels": ["Pastures"]}))
        for band in load_bands().values():
            if not band.radar:
                cv2.imwrite(str(folder / f"{name}_{band.name}.tif"), np.full((band.side, band.side), n, np.uint16))
        found.append(folder / (f"{name}_B02.tif" if what == "bands" else f"{name}_labels_metadata.json"))
    return World(
        ["pack_bigearthnet", root / "archive", root / "out", "--workers", 2],
        found,
        lambda: (root / "out/data.mdb").is_file() and (root / "out/patches.csv").is_file(),
    )


def comparison(root: Path, suffix: str) -> World:
    first = [label(root / "first" / f"l{n}{suffix}", [1, 2]) for n in range(COUNT)]
    for n in range(COUNT):
        label(root / "second" / f"l{n}{suffix}", [1, 2])
    arguments = ["compare_labels", root / "first", root / "second", root / "out"]
    return World(
        [*arguments, "--table", "openearthmap", "--workers", 2],
        first,
        lambda: "l7" in (root / "out/images.csv").read_text(),
    )


def dataset(root: Path, tool: str, what: str) -> World:
    images = [image(root / "data/images" / f"i{n}.tif", seed=n) for n in range(COUNT)]
    labels = [label(root / "data/labels" / f"i{n}.tif", [1, 2]) for n in range(COUNT)]
    (root / "config.py").write_text(
        "default_scope = 'mmseg'\n"
        "custom_imports = dict(imports=['rsseg.datasets'], allow_failed_imports=False)\n"
        f"dataset = dict(type='TableDataset', table='openearthmap', data_root={str(root / 'data')!r},\n"
        "    data_prefix=dict(img_path='images', seg_map_path='labels'), img_suffix='.tif', seg_map_suffix='.tif',\n"
        "    pipeline=[dict(type='LoadImage'), dict(type='LoadLabels')])\n"
        "train_dataloader = dict(dataset=dataset)\n"
    )
    arguments = [tool, root / "config.py"] if tool == "check_dataset" else [tool, root / "out", root / "config.py"]
    more = ["--show", 20] if tool == "check_dataset" else []
    good = (lambda: True) if tool == "check_dataset" else (lambda: any((root / "out").iterdir()))
    return World([*arguments, *more, "--workers", 2], images if what == "images" else labels, good)


def report(root: Path, tool: str) -> World:
    world = conversion(root, "dota", "images")
    from rsseg.conversion import convert_labels, load_conversion_config

    convert_labels(load_conversion_config(str(world.arguments[1]), {}))
    labels = sorted((root / "out/gray").glob("*.png"))
    if tool == "export_labels":
        arguments = [tool, root / "out", "--to", "color", "yolo", "coco", "--out", root / "made"]
        return World(arguments, labels, lambda: len(list((root / "made/color").glob("i[78]*.png"))) == 2)
    return World([tool, root / "out"], labels, lambda: (root / "out/report/report.html").is_file(), 0)


WORLDS: dict[str, Callable[[Path], World]] = {
    "tiles of TIFFs": lambda root: tiles(root, ".tif"),
    "tiles of PNGs": lambda root: tiles(root, ".png"),
    "tiles of JPEGs": lambda root: tiles(root, ".jpg"),
    "conversion, DOTA images": lambda root: conversion(root, "dota", "images"),
    "conversion, DOTA labels": lambda root: conversion(root, "dota", "labels"),
    "conversion, DIOR labels": lambda root: conversion(root, "dior", "labels"),
    "Potsdam images": lambda root: potsdam(root, "images"),
    "Potsdam labels": lambda root: potsdam(root, "labels"),
    "LandDiscover images": lambda root: landdiscover(root, "images"),
    "LandDiscover labels": lambda root: landdiscover(root, "labels"),
    "BigEarthNet bands": lambda root: bigearthnet(root, "bands"),
    "BigEarthNet labels": lambda root: bigearthnet(root, "labels"),
    "comparison of TIFFs": lambda root: comparison(root, ".tif"),
    "comparison of PNGs": lambda root: comparison(root, ".png"),
    "check, images": lambda root: dataset(root, "check_dataset", "images"),
    "check, labels": lambda root: dataset(root, "check_dataset", "labels"),
    "statistics, labels": lambda root: dataset(root, "label_statistics", "labels"),
    "report on labels": lambda root: report(root, "report_labels"),
    "export": lambda root: report(root, "export_labels"),
}


@pytest.mark.stack
@pytest.mark.parametrize("name", WORLDS)
def test_broken_files_are_named_and_the_others_done(tmp_path: Path, run_tool: Run, name: str) -> None:
    world = WORLDS[name](tmp_path)
    broken = {}
    for (kind, spoil), path in zip(BREAKS.items(), world.breaks, strict=False):
        before = path.read_bytes()
        spoil(path)
        if (path.is_symlink() or path.read_bytes() != before) and path not in BROKEN_IS_FINE:
            broken[kind] = path
    result = run_tool(*world.arguments)
    said = result.stdout + result.stderr
    assert "Traceback" not in said, said
    missed = [kind for kind, path in broken.items() if path.name not in said and path.stem not in said]
    assert not missed, f"{missed} of {len(broken)}: {said}"
    assert result.returncode == world.status, said
    assert world.good(), said
