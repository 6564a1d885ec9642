"""What is served: the class maps, images and converted sets among the files and folders that a command line names.

Requests name layers by id only, so that no request can lead to another file.  Links that lead out of the named folders
are not followed, and mosaics found in a folder (VRT, GTI) are left out where they refer to files elsewhere.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rasterio.enums import ColorInterp

from rsseg.errors import DataError, UserError
from rsseg.io.listing import RASTER_SUFFIXES, has_suffix, lies_within, walk_files
from rsseg.io.rasters import opened
from rsseg.io.sums import sum_of
from rsseg.io.tables import parse_json
from rsseg.serving.mosaics import MOSAICS, class_header, files_of_mosaic

__all__ = ["Layer", "Layers", "is_set"]

_log = logging.getLogger("rsseg")
_PLAIN = (".jpg", ".jpeg", ".bmp", ".jp2")
"""Suffixes of files that cannot be class maps, so that they are not opened to find out."""
_BESIDE = (".aux.xml", ".ovr", ".msk")
"""How names of files go on that GDAL reads with another one."""
_VECTORS = (".gpkg", ".fgb", ".parquet", ".geojson")
"""Polygons beside a map; the formats with an index of places first."""
_MOST = 20_000
_PAUSE = 1.0
Kind = Literal["map", "image", "set"]


@dataclass(frozen=True)
class Layer:
    """Something to look at.

    Attributes:
        id: Name of the layer in requests; the same as long as the file has its path.
        kind: A class map, an image, or a converted set.
        name: For people.
        path: The file, or the folder of a set.
        image: Id of the image that a map was made from, if that is served, too.
        probabilities: Raster of a map's probabilities.
        polygons: File with a map's polygons.
    """

    id: str
    kind: Kind
    name: str
    path: Path
    image: str | None = None
    probabilities: Path | None = None
    polygons: Path | None = None


@dataclass(frozen=True)
class _Header:
    """What a file is, and what a map says of the raster that it was made from."""

    kind: Kind
    source: str | None = None
    state: tuple[int, int] | None = None


class Layers:
    """The layers of a server; safe among threads.

    Args:
        paths: Maps, images, mosaics, folders of them, and converted sets.

    Raises:
        FileNotFoundError: A path does not exist.
        DataError: A named file is neither map nor image.
        OSError: A named file cannot be read.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._lock = threading.Lock()
        self._roots: list[Path] = []
        self._skipped: set[str] = set()
        self._headers: dict[Path, tuple[tuple[int, int], _Header | None]] = {}
        self._layers: dict[str, Layer] = {}
        self._scanned = -_PAUSE
        for path in paths:
            self._name(Path(path))

    def _name(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder; name maps, images, folders of them, or sets")
        real = path.resolve()
        if real.is_file():
            self._header(real, named=True)
        if real not in self._roots:
            self._roots.append(real)

    def all(self) -> list[Layer]:
        """All layers, maps first; folders are looked through again, at most once a second."""
        with self._lock:
            if time.monotonic() - self._scanned >= _PAUSE:
                self._scan()
            return list(self._layers.values())

    def get(self, id: str) -> Layer:
        """The layer with an id.

        Raises:
            LookupError: There is none, or its file is gone.
        """
        found = self._layers.get(id)
        if found is None or self._has_changed(found):
            self.all()
            found = self._layers.get(id)
        if found is None or not lies_within(found.path, self._roots) or not found.path.exists():
            raise LookupError("there is no such layer; GET /api/layers lists them")
        return found

    def _has_changed(self, layer: Layer) -> bool:
        """Whether a file is no longer what it was found to be, so that all must be looked through again."""
        kept = self._headers.get(layer.path)
        if layer.kind == "set" or kept is None or kept[0] == _state(layer.path):
            return False
        with self._lock:
            try:
                header = self._look_at(layer.path, named=layer.path in self._roots)
            except OSError:
                return False  # whoever reads it says what is wrong
            except UserError:
                header = None
            same = header is not None and header.kind == layer.kind
            if not same:
                self._scanned = -_PAUSE
            return not same

    # Looking through folders -------------------------------------------------------------------------------------

    def _scan(self) -> None:
        found: dict[Path, tuple[str, Kind, _Header]] = {}
        for root in self._roots:
            for file, header in self._files(root):
                inside = file.relative_to(root).as_posix() if file != root else file.name
                found.setdefault(file.resolve(), (inside, header.kind, header))
                if len(found) >= _MOST:
                    _log.warning("%s: only the first %d maps and images are served", root, _MOST)
                    break
        names = Counter(name for name, _, _ in found.values())
        layers = [
            Layer(_id(path), kind, name if names[name] == 1 else f"{path.parent.name}/{path.name}", path)
            for path, (name, kind, _) in found.items()
        ]
        images: dict[str, list[Layer]] = {}
        for layer in layers:
            if layer.kind == "image":
                images.setdefault(layer.path.name, []).append(layer)
        whole = [self._complete(layer, found[layer.path][2], images) for layer in layers]
        order = {"map": 0, "image": 1, "set": 2}
        whole.sort(key=lambda layer: (order[layer.kind], not has_suffix(layer.path, MOSAICS), layer.name))
        self._layers = {layer.id: layer for layer in whole}
        self._headers = {path: kept for path, kept in self._headers.items() if path in found or kept[1] is None}
        self._scanned = time.monotonic()

    def _files(self, root: Path) -> Iterator[tuple[Path, _Header]]:
        """Maps, images and sets of a named path."""
        if not root.is_dir():
            header = self._header(root, named=True) if root.exists() else None
            if header is not None:
                yield root, header
            return
        files = (
            [root / "manifest.json"]
            if is_set(root)
            else sorted(walk_files(root, within=self._roots, skipped=self._skip))
        )
        sets = {path.parent for path in files if path.name == "manifest.json" and is_set(path.parent)}
        for folder in sorted(sets):
            yield folder, _Header("set")
        names = set(files)
        for path in files:
            of_set = sets and not sets.isdisjoint(path.parents)
            if of_set or not has_suffix(path, (*RASTER_SUFFIXES, *MOSAICS)) or _is_second(path, names):
                continue
            header = self._header(path.resolve(), named=False)
            if header is not None:
                yield path, header

    def _skip(self, error: OSError) -> None:
        text = str(error)
        if text not in self._skipped:
            _log.warning("not served: %s", text)
        self._skipped.add(text)

    def _header(self, path: Path, named: bool) -> _Header | None:
        """What a file is; None where a file that only lies in a named folder cannot be shown."""
        try:
            status = path.stat()
            state = (status.st_size, status.st_mtime_ns)
            if path in self._headers and self._headers[path][0] == state:
                return self._headers[path][1]
            header: _Header | None = self._look_at(path, named)
        except (UserError, OSError) as error:
            if named:
                raise
            _log.warning("not served: %s", error)
            header, state = None, _state(path)
        self._headers[path] = (state, header)
        return header

    def _look_at(self, path: Path, named: bool) -> _Header:
        if not named:
            self._check_files(path, files_of_mosaic(path))
        return _read_header(path, None if named else self._check_files)

    def _check_files(self, path: Path, files: Iterable[Path]) -> None:
        for file in files:
            if not lies_within(file, self._roots):
                raise DataError(f"{path}: refers to {file}, which is in no folder that is served")

    def _complete(self, layer: Layer, header: _Header, images: dict[str, list[Layer]]) -> Layer:
        """A map with the files that belong to it."""
        if layer.kind != "map" or has_suffix(layer.path, MOSAICS):
            return layer
        beside = [layer.path.with_name(f"{layer.path.stem}{end}") for end in ("_probabilities.tif", *_VECTORS)]
        there = [path if self._belongs(path, layer.path) else None for path in beside]
        polygons = next((path for path in there[1:] if path is not None), None)
        image = _image_of(layer, header, images)
        return replace(layer, image=image, probabilities=there[0], polygons=polygons)

    def _belongs(self, path: Path, map_file: Path) -> bool:
        real = path.resolve()
        return path.is_file() and (real.parent == map_file.parent or lies_within(real, self._roots))


def is_set(folder: Path) -> bool:
    """Whether a folder is a converted set."""
    return (folder / "manifest.json").is_file() and (folder / "instances.json").is_file()


def _id(path: Path) -> str:
    return sum_of(os.fsencode(path))[:12]


def _state(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return (status.st_size, status.st_mtime_ns)


def _is_second(path: Path, names: set[Path]) -> bool:
    """Whether a raster is the probabilities or the picture of a map in the same folder, or a mosaic's second form."""
    if path.suffix == ".vrt":
        return path.with_suffix(".gti.gpkg") in names
    for end in ("_probabilities.tif", "_overlay.png"):
        if path.name.endswith(end):
            stem = path.name.removesuffix(end)
            return any(path.with_name(stem + suffix) in names for suffix in (".tif", ".tiff", ".png"))
    return False


def _read_header(path: Path, check: Callable[[Path, Iterable[Path]], None] | None) -> _Header:
    """What a raster is, by its metadata.

    Args:
        path: The raster.
        check: Is given all files that GDAL reads for it; None where they may be anywhere.

    Raises:
        OSError: It cannot be read.
        DataError: It has a palette but no class names, or complex numbers; or what ``check`` raises.
    """
    if has_suffix(path, _PLAIN) and (check is None or not any(os.path.lexists(f"{path}{end}") for end in _BESIDE)):
        return _Header("image")
    with opened(path) as file:
        if check is not None:
            check(path, _files_read(file))
        if has_suffix(path, _PLAIN):
            return _Header("image")
        try:
            settings = class_header(path, file).settings
        except DataError:
            _check_image(file, path)
            return _Header("image")
    try:
        state = parse_json(settings.get("source_state", "null"))
    except ValueError:
        state = None
    whole = isinstance(state, list) and len(state) == 2 and all(type(number) is int for number in state)
    return _Header("map", settings.get("source"), (state[0], state[1]) if whole else None)


def _check_image(file: Any, path: Path) -> None:
    if ColorInterp.palette in file.colorinterp:
        raise DataError(f"{path}: has a palette but no class names, so it is neither a class map nor an image")
    if any("complex" in name for name in file.dtypes):
        raise DataError(f"{path}: holds complex numbers, which are no image")


def _files_read(file: Any) -> list[Path]:
    """What GDAL reads for a raster: itself, its overviews, its mask and its metadata, wherever they are."""
    for band in file.indexes:
        file.overviews(band)  # only then are they looked for
    return [Path(name) for name in file.files]


def _image_of(layer: Layer, header: _Header, images: dict[str, list[Layer]]) -> str | None:
    """The image of which a map says that it was made from it; None where there is none, or several may be it."""
    if header.source is None:
        return None
    found = images.get(Path(header.source).name, [])
    same = [image for image in found if _state(image.path) == header.state]
    near = [image for image in found if image.path.parent == layer.path.parent]
    for choice in (same, near, found):
        if len(choice) == 1:
            return choice[0].id
    return same[0].id if same else None
