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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rsseg.io.listing import RASTER_SUFFIXES, has_suffix, lies_within, walk_files
from rsseg.io.sums import sum_of
from rsseg.serving.headers import Header, Headers, Kind, file_stamp
from rsseg.serving.mosaics import MOSAICS

__all__ = ["Layer", "Layers", "is_set"]

_log = logging.getLogger("rsseg")
_VECTORS = (".gpkg", ".fgb", ".parquet", ".geojson")
"""Polygons beside a map; the formats with an index of places first."""
_MOST = 20_000
_PAUSE = 1.0


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
        members: Maps of a mosaic, as far as they are served themselves.
    """

    id: str
    kind: Kind
    name: str
    path: Path
    image: str | None = None
    probabilities: Path | None = None
    polygons: Path | None = None
    members: tuple[Layer, ...] = ()

    @property
    def has_polygons(self) -> bool:
        """Whether there are polygons beside it, or beside the maps of which it is made."""
        return self.polygons is not None or any(own.polygons is not None for own in self.members)

    @property
    def has_probabilities(self) -> bool:
        """Whether there are probabilities beside it, or beside the maps of which it is made."""
        return self.probabilities is not None or any(own.probabilities is not None for own in self.members)


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
        self._headers = Headers(self._roots)
        self._layers: dict[str, Layer] = {}
        self._scanned = -_PAUSE
        for path in paths:
            self._name(Path(path))

    def _name(self, path: Path) -> None:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder; name maps, images, folders of them, or sets")
        real = path.resolve()
        if real.is_file():
            self._headers.of(real, named=True)
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
        if layer.kind == "set" or self._headers.is_current(layer.path):
            return False
        with self._lock:
            another = self._headers.is_another(layer.path, layer.kind, named=layer.path in self._roots)
            if another:
                self._scanned = -_PAUSE
            return another

    # Looking through folders -------------------------------------------------------------------------------------

    def _scan(self) -> None:
        found: dict[Path, tuple[str, Kind, Header]] = {}
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
        maps = {layer.path: layer for layer in whole if layer.kind == "map"}
        whole = [_with_members(layer, found[layer.path][2].tiles, maps) for layer in whole]
        order = {"map": 0, "image": 1, "set": 2}
        whole.sort(key=lambda layer: (order[layer.kind], not has_suffix(layer.path, MOSAICS), layer.name))
        self._layers = {layer.id: layer for layer in whole}
        self._headers.forget(found)
        self._scanned = time.monotonic()

    def _files(self, root: Path) -> Iterator[tuple[Path, Header]]:
        """Maps, images and sets of a named path."""
        if not root.is_dir():
            header = self._headers.of(root, named=True) if root.exists() else None
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
            yield folder, Header("set")
        names = set(files)
        for path in files:
            of_set = sets and not sets.isdisjoint(path.parents)
            if of_set or not has_suffix(path, (*RASTER_SUFFIXES, *MOSAICS)) or _is_second(path, names):
                continue
            header = self._headers.of(path.resolve(), named=False)
            if header is not None:
                yield path, header

    def _skip(self, error: OSError) -> None:
        text = str(error)
        if text not in self._skipped:
            _log.warning("not served: %s", text)
        self._skipped.add(text)

    def _complete(self, layer: Layer, header: Header, images: dict[str, list[Layer]]) -> Layer:
        """A map with the files that belong to it."""
        if layer.kind != "map" or has_suffix(layer.path, MOSAICS):
            return layer
        beside = [layer.path.with_name(f"{layer.path.stem}{end}") for end in ("_probabilities.tif", *_VECTORS)]
        there = [path if self._belongs(path, layer.path) else None for path in beside]
        if there[0] is not None and not self._headers.stays_inside(there[0]):
            there[0] = None
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


def _with_members(layer: Layer, tiles: Sequence[Path], maps: Mapping[Path, Layer]) -> Layer:
    """A mosaic of class maps with those that are served."""
    if layer.kind != "map" or not tiles:
        return layer
    return replace(layer, members=tuple(maps[tile] for tile in dict.fromkeys(tiles) if tile in maps))


def _is_second(path: Path, names: set[Path]) -> bool:
    """Whether a raster is the probabilities or the picture of a map in the same folder, or a mosaic's second form."""
    if path.suffix == ".vrt":
        return path.with_suffix(".gti.gpkg") in names
    for end in ("_probabilities.tif", "_overlay.png"):
        if path.name.endswith(end):
            stem = path.name.removesuffix(end)
            return any(path.with_name(stem + suffix) in names for suffix in (".tif", ".tiff", ".png"))
    return False


def _image_of(layer: Layer, header: Header, images: dict[str, list[Layer]]) -> str | None:
    """The image of which a map says that it was made from it; None where there is none, or several may be it."""
    if header.source is None:
        return None
    found = images.get(Path(header.source).name, [])
    same = [image for image in found if file_stamp(image.path) == header.state]
    near = [image for image in found if image.path.parent == layer.path.parent]
    for choice in (same, near, found):
        if len(choice) == 1:
            return choice[0].id
    return same[0].id if same else None
