"""``ben_tif``, ``ben_packed``, ``ben_sample``: reading BigEarthNet's patches against rasterio, band by band."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.entry import Entry, Work

_PATCHES = 100
Planes = list[Any]


def _write(root: Path, name: str, rng: np.random.Generator) -> None:
    """One patch in the layout of v1, its files uncompressed as in the archive."""
    import rasterio
    from rasterio import Affine

    from rsseg.datasets.bigearthnet.band_table import load_bands

    folder = root / name
    folder.mkdir(parents=True)
    for band in (band for band in load_bands().values() if not band.radar):
        values = rng.normal(band.mean, band.std, (band.side, band.side)).clip(0, 65535).astype(np.uint16)
        place = Affine(1200 / band.side, 0, 600000, 0, -1200 / band.side, 5800000)
        about = dict(driver="GTiff", dtype="uint16", count=1, width=band.side, height=band.side, crs="EPSG:32629")
        with rasterio.open(folder / f"{name}_{band.name}.tif", "w", transform=place, **about) as file:
            file.write(values, 1)
    labels = {"labels": ["Pastures"], "acquisition_date": "2017-06-17 11:33:21"}
    (folder / f"{name}_labels_metadata.json").write_text(json.dumps(labels))


def _readers() -> tuple[list[str], Callable[[str], Planes], Callable[[str], Planes], Callable[[str], Planes]]:
    """Names of patches, and three ways to read the twelve bands of one: rasterio, OpenCV, packed."""
    import cv2
    import rasterio

    from rsseg.datasets.bigearthnet import pack_archive, read_bands, read_packed
    from rsseg.datasets.bigearthnet.band_table import load_bands

    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    root = Path(tempfile.mkdtemp(prefix="rsseg-benchmark-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    rng = np.random.default_rng(0)
    names = [f"S2A_MSIL2A_20170617T113321_{i // 90}_{i % 90}" for i in range(_PATCHES)]
    for name in names:
        _write(root / "archive", name, rng)
    pack_archive(root / "archive", root / "packed")
    bands = [band for band in load_bands().values() if not band.radar]

    def by_rasterio(name: str) -> Planes:
        planes = []
        for band in bands:
            with rasterio.open(root / "archive" / name / f"{name}_{band.name}.tif") as file:
                planes.append(file.read(1))
        return planes

    def by_opencv(name: str) -> Planes:
        return read_bands(root / "archive" / name, name, bands)

    def by_packed(name: str) -> Planes:
        return read_packed(root / "packed", name, bands)

    for name in names:
        for planes in (by_opencv(name), by_packed(name)):
            if not all(np.array_equal(*pair) for pair in zip(by_rasterio(name), planes, strict=True)):
                raise ValueError(f"{name}: the values differ")
    return names, by_rasterio, by_opencv, by_packed


def _all(names: list[str], read: Callable[[str], Any]) -> Work:
    def work() -> None:
        for name in names:
            read(name)

    return work


def _tif() -> tuple[Work, Work]:
    names, reference, ours, _ = _readers()
    return _all(names, ours), _all(names, reference)


def _packed() -> tuple[Work, Work]:
    names, reference, _, ours = _readers()
    return _all(names, ours), _all(names, reference)


def _sample() -> tuple[Work, Work]:
    from rsseg.datasets.bigearthnet import stack_bands

    names, reference, _, ours = _readers()
    return _all(names, lambda name: stack_bands(ours(name))), _all(names, lambda name: stack_bands(reference(name)))


_WORK = f"{_PATCHES} patches of BigEarthNet, twelve bands each, in one thread, against rasterio file by file"
BEN_TIF = Entry(f"reading GeoTIFFs with OpenCV: {_WORK}", _tif)
BEN_PACKED = Entry(f"reading the packed file: {_WORK}", _packed)
BEN_SAMPLE = Entry(f"as ben_packed, with cubic interpolation to the 10 m grid on both sides: {_WORK}", _sample)
