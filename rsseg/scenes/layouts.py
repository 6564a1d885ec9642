"""File contents of a scene in the real layouts of DOTA, DIOR, FAIR1M, HRSC2016 and OpenEarthMap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.errors import ConfigError

from . import syntax
from .kinds import class_name
from .regions import DOMAINS, Region
from .scene import Scene
from .syntax import Label

REGIONS = ("northport", "eastfield", "westmere", "southdown")
"""Places of the land-cover set; each lies in a UTM zone of its own."""


@dataclass(frozen=True)
class Layout:
    """How one set is stored.

    Attributes:
        label_set: Whose class names it uses, None for land cover.
        salt: Keeps the sets' random numbers apart.
        themes: Kinds of scene it is made of by default, None = all.
        stem: File stem of the image with a 0-based number.
        files: Relative paths of everything written for a stem; the first is the image.
        encode: File contents of a scene, by relative path.
        regions: Where the scenes lie in turn; empty = nowhere in particular.
    """

    label_set: str | None
    salt: int
    themes: tuple[str, ...] | None
    stem: Callable[[int], str]
    files: Callable[[str], list[str]]
    encode: Callable[[Scene, str, int], dict[str, bytes]]
    regions: tuple[Region, ...] = ()

    @property
    def land_cover(self) -> bool:
        """Whether the set is labelled by land cover, in OpenEarthMap's layout."""
        return self.label_set is None


def labels_of(scene: Scene, label_set: str) -> tuple[list[Label], NDArray[np.uint16]]:
    """What a label set annotates in a scene.

    Returns:
        The annotations in order, and the (H, W) uint16 map of their 1-based positions.
    """
    labels: list[Label] = []
    lut = np.zeros(len(scene.objects) + 1, np.uint16)
    for k, item in enumerate(scene.objects, 1):
        name = class_name(item.kind, label_set)
        if name is not None:
            labels.append(Label(name, item.kind, item.hbox, item.qbox, len(labels) + 1))
            lut[k] = len(labels)
    return labels, lut[scene.instances]


def _image(array: NDArray[np.uint8] | NDArray[np.uint16], suffix: str, *flags: int) -> bytes:
    ordered = array[..., ::-1] if array.ndim == 3 else array
    done, data = cv2.imencode(suffix, np.ascontiguousarray(ordered), list(flags))
    if not done:
        raise ConfigError(f"OpenCV cannot write {suffix} images")
    return bytes(data)


def _dota(scene: Scene, stem: str, index: int) -> dict[str, bytes]:
    labels, ids = labels_of(scene, "sota")
    text = syntax.dota(labels, scene.gsd, index % 2)
    return dict(zip(_dota_files(stem), (_image(scene.image, ".png"), text.encode(), _image(ids, ".png")), strict=True))


def _dota_files(stem: str) -> list[str]:
    return [f"images/{stem}.png", f"labelTxt/{stem}.txt", f"masks/{stem}.png"]


def _dior(scene: Scene, stem: str, index: int) -> dict[str, bytes]:
    labels, ids = labels_of(scene, "sior")
    name, size = f"{stem}.jpg", scene.landcover.shape
    texts = [f(labels, name, (size[0], size[1])) for f in (syntax.dior_horizontal, syntax.dior_oriented)]
    image = _image(scene.image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95)
    return dict(zip(_dior_files(stem), (image, *(t.encode() for t in texts), _image(ids, ".png")), strict=True))


def _dior_files(stem: str) -> list[str]:
    boxes = [f"Annotations/{kind} Bounding Boxes/{stem}.xml" for kind in ("Horizontal", "Oriented")]
    return [f"JPEGImages-trainval/{stem}.jpg", *boxes, f"masks/{stem}.png"]


def _fair1m(scene: Scene, stem: str, index: int) -> dict[str, bytes]:
    labels, ids = labels_of(scene, "fast")
    text = syntax.fair1m(labels, f"{stem}.tif", (scene.landcover.shape[0], scene.landcover.shape[1]))
    files = (_image(scene.image, ".tif"), text.encode(), _image(ids, ".png"))
    return dict(zip(_fair1m_files(stem), files, strict=True))


def _fair1m_files(stem: str) -> list[str]:
    return [f"images/{stem}.tif", f"labelXml/{stem}.xml", f"masks/{stem}.png"]


def _hrsc(scene: Scene, stem: str, index: int) -> dict[str, bytes]:
    labels, ids = labels_of(scene, "hrsc")
    colours = np.array([(0, 0, 0), *(label.colour for label in labels)], np.uint8)
    text = syntax.hrsc(labels, stem, (scene.landcover.shape[0], scene.landcover.shape[1]), scene.gsd)
    files = (_image(scene.image, ".bmp"), text.encode(), _image(colours[ids], ".png"), _image(ids, ".png"))
    return dict(zip(_hrsc_files(stem), files, strict=True))


def _hrsc_files(stem: str) -> list[str]:
    return [f"AllImages/{stem}.bmp", f"Annotations/{stem}.xml", f"LandMask/{stem}.png", f"masks/{stem}.png"]


def _landcover(count: int, scene: Scene, stem: str, index: int) -> dict[str, bytes]:
    """GeoTIFFs: each of ``count`` regions has its UTM zone, every scene its place on a grid."""
    import rasterio
    from rasterio.io import MemoryFile
    from rasterio.transform import Affine

    height, width = scene.landcover.shape
    row, column = divmod(index // count, 100)
    origin = (300000 + column * width * scene.gsd, 5500000 - row * height * scene.gsd)
    profile = {
        "driver": "GTiff", "dtype": "uint8", "height": height, "width": width, "compress": "deflate",
        "crs": rasterio.CRS.from_epsg(32631 + index % count),
        "transform": Affine(scene.gsd, 0, origin[0], 0, -scene.gsd, origin[1]),
    }  # fmt: skip
    out = {}
    for path, bands in zip(
        _landcover_files(stem), (scene.image.transpose(2, 0, 1), scene.landcover[None]), strict=True
    ):
        with MemoryFile() as memory:
            with memory.open(count=len(bands), **profile) as target:
                target.write(bands)
            out[path] = memory.read()
    return out


def _landcover_files(stem: str) -> list[str]:
    region = stem.rsplit("_", 1)[0]
    return [f"{region}/images/{stem}.tif", f"{region}/labels/{stem}.tif"]


def _region_stem(regions: Sequence[str], index: int) -> str:
    return f"{regions[index % len(regions)]}_{index // len(regions) + 1}"


def _regional(salt: int, names: Sequence[str], regions: tuple[Region, ...] = ()) -> Layout:
    """Land cover in OpenEarthMap's layout."""
    stem, encode = partial(_region_stem, names), partial(_landcover, len(names))
    return Layout(None, salt, None, stem, _landcover_files, encode, regions)


_WATER = ("port", "marina", "sea", "riverside")

LAYOUTS: dict[str, Layout] = {
    "dota": Layout("sota", 1, None, lambda i: f"P{i + 1:04d}", _dota_files, _dota),
    "dior": Layout("sior", 2, None, lambda i: f"{i + 1:05d}", _dior_files, _dior),
    "fair1m": Layout("fast", 3, None, lambda i: f"{i + 1}", _fair1m_files, _fair1m),
    "hrsc": Layout("hrsc", 4, _WATER, lambda i: f"{100000001 + i}", _hrsc_files, _hrsc),
    "landcover": _regional(5, REGIONS),
    "domains": _regional(6, [region.name for region in DOMAINS], DOMAINS),
}
"""Layout name -> how its files are made."""
