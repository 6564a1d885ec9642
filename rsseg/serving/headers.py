"""What files are, by their metadata, and that they lead to no files outside of the folders that are served."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rasterio.enums import ColorInterp

from rsseg.errors import DataError, UserError
from rsseg.io.addresses import is_text_name
from rsseg.io.listing import has_suffix, lies_within
from rsseg.io.opening import REFERRING, taken_for
from rsseg.io.rasters import opened
from rsseg.io.tables import parse_json
from rsseg.serving.mosaics import MOSAICS, Member, class_header, members_of_mosaic

__all__ = ["Header", "Headers", "Kind", "file_stamp"]

_log = logging.getLogger("rsseg")
_PLAIN = (".jpg", ".jpeg", ".bmp", ".jp2")
"""Suffixes of files that cannot be class maps, so that they are not opened to find out."""
_BESIDE = (".aux.xml", ".ovr", ".msk")
"""How names of files go on that GDAL reads with another one."""
_PAUSE = 1.0  # seconds between looks at all tiles of a mosaic
Kind = Literal["map", "image", "set"]
Stamp = tuple[int, int]
Stamps = tuple[Stamp, ...]
_GONE = (-1, -1)


@dataclass(frozen=True)
class Header:
    """What a file is.

    Attributes:
        kind: A class map, an image, or a converted set.
        source: Name of the raster that a map says it was made from.
        state: Size and time of that raster, as the map says.
        tiles: Rasters of which a mosaic is made, their links followed.
    """

    kind: Kind
    source: str | None = None
    state: Stamp | None = None
    tiles: tuple[Path, ...] = ()


@dataclass
class _Kept:
    """A header, None of what cannot be shown, the state of the file and of a mosaic's rasters, and when it was that."""

    header: Header | None
    stamps: Stamps
    rasters: Mapping[Path, Stamps]
    looked: float


class Headers:
    """Headers of files, read again once a file has changed.

    Args:
        roots: What is served: folders and files, their links followed.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = roots
        self._kept: dict[Path, _Kept] = {}
        self._checked: dict[Path, Stamps] = {}
        self._refused: dict[Path, Stamps] = {}

    def of(self, path: Path, named: bool) -> Header | None:
        """What a file is; None where a file that only lies in a named folder cannot be shown.

        Args:
            path: The file, its links followed.
            named: Whether it is named itself, so that it may lead to files elsewhere.

        Raises:
            DataError: A named file is neither map nor image.
            OSError: A named file cannot be read.
        """
        kept = self._kept.get(path)
        if kept is None or not self.is_current(path):
            kept = self._kept[path] = self._look_at(path, named)
        return kept.header

    def is_current(self, path: Path) -> bool:
        """Whether a file is as it was when its header was read, and so were the tiles of a mosaic a second ago."""
        kept = self._kept.get(path)
        if kept is None or kept.stamps != _stamps(path):
            return kept is None
        now = time.monotonic()
        if kept.rasters and now - kept.looked >= _PAUSE:
            if any(_stamps(file) != stamps for file, stamps in kept.rasters.items()):
                return False
            kept.looked = now
        return True

    def is_another(self, path: Path, kind: Kind, named: bool) -> bool:
        """Whether a changed file is no longer of the kind that it was, or leads elsewhere."""
        try:
            kept = self._kept[path] = self._read(path, named)
        except OSError:
            return False  # whoever reads it says what is wrong
        except UserError:
            return True
        assert kept.header is not None
        return kept.header.kind != kind

    def stays_inside(self, path: Path) -> bool:
        """Whether all that GDAL reads for a raster that belongs to another one lies in the folders, if it is one."""
        stamps = _stamps(path)
        if path not in self._refused or self._refused[path] != stamps:
            try:
                self._check_beside(path)
            except UserError as error:
                _log.warning("not served: %s", error)
                self._refused[path] = stamps
        return self._refused.get(path) != stamps

    def forget(self, kept: Container[Path]) -> None:
        """Forget maps and images but some; those that cannot be shown are not looked at again."""
        self._kept = {path: own for path, own in self._kept.items() if path in kept or own.header is None}

    def _look_at(self, path: Path, named: bool) -> _Kept:
        stamps, now = _stamps(path), time.monotonic()
        try:
            return self._read(path, named)
        except (UserError, OSError) as error:
            if named:
                raise
            _log.warning("not served: %s", error)
        try:
            return _Kept(None, stamps, _rasters(members_of_mosaic(path)), now)
        except (UserError, OSError):
            return _Kept(None, stamps, {}, now)

    def _read(self, path: Path, named: bool) -> _Kept:
        stamps, now, members = _stamps(path), time.monotonic(), list[Member]()
        try:
            members = list(members_of_mosaic(path))
        except (UserError, OSError):
            if not named:
                raise
        tiles = tuple(own.path.resolve() for own in members if own.is_tile)
        rasters = {} if named else _rasters(members)
        if not named:
            self._check(path, (own.path for own in members))
            for file in rasters:
                self._check_beside(file)
        whole = named or _is_simple(path, stamps) or self._checked.get(path) == stamps
        if whole and has_suffix(path, _PLAIN):
            return _Kept(Header("image"), stamps, rasters, now)
        with opened(path) as file:
            if not whole:
                self._check_all(path, _files_read(file), {path})
                self._checked[path] = stamps
            return _Kept(_header(path, file, tiles), stamps, rasters, now)

    def _check_beside(self, path: Path) -> None:
        """See that all that GDAL reads for a raster of a mosaic, or beside a map, lies in the folders.

        These are overviews, masks and metadata.

        Raises:
            DataError: It leads elsewhere, cannot be read, or is a mosaic that is not called so.
        """
        stamps = _stamps(path)
        if self._checked.get(path) == stamps:
            return
        if is_text_name(path.name) and not has_suffix(path, MOSAICS):
            raise DataError(f"{path}: is a text by which GDAL may read other files; name the mosaic itself to show it")
        if stamps[0] != _GONE:
            try:
                with opened(path) as file:
                    self._check_all(path, _files_read(file), set())
            except OSError as error:
                raise DataError(str(error)) from error
        self._checked[path] = stamps

    def _check_all(self, path: Path, files: Sequence[Path], seen: set[Path]) -> None:
        """See that files lie in the folders, and all that GDAL reads for them; those seen already need no look.

        Raises:
            DataError: One leads elsewhere, or is a text, which may.
        """
        self._check(path, files)
        for file in files:
            found = None if file in seen else taken_for(file)
            seen.add(file)
            if found is not None:
                driver, others = found
                if driver in REFERRING:
                    raise DataError(f"{path}: GDAL takes {file} for a text ({driver}) by which it may read other files")
                self._check_all(path, others, seen)

    def _check(self, path: Path, files: Iterable[Path]) -> None:
        for file in files:
            if not lies_within(file, self._roots):
                raise DataError(f"{path}: refers to {file}, which is in no folder that is served")


def _header(path: Path, file: Any, tiles: tuple[Path, ...]) -> Header:
    """What an open raster is.

    Raises:
        DataError: It has a palette but no class names, or complex numbers.
    """
    if has_suffix(path, _PLAIN):
        return Header("image")
    try:
        settings = class_header(path, file).settings
    except DataError:
        _check_image(file, path)
        return Header("image", tiles=tiles)
    try:
        state = parse_json(settings.get("source_state", "null"))
    except ValueError:
        state = None
    whole = isinstance(state, list) and len(state) == 2 and all(type(number) is int for number in state)
    return Header("map", settings.get("source"), (state[0], state[1]) if whole else None, tiles)


def _check_image(file: Any, path: Path) -> None:
    if ColorInterp.palette in file.colorinterp:
        raise DataError(f"{path}: has a palette but no class names, so it is neither a class map nor an image")
    if any("complex" in name for name in file.dtypes):
        raise DataError(f"{path}: holds complex numbers, which are no image")


def _rasters(members: Iterable[Member]) -> dict[Path, Stamps]:
    return {own.path: _stamps(own.path) for own in members if not own.is_index}


def _files_read(file: Any) -> list[Path]:
    """What GDAL reads for a raster: itself, its overviews, its mask and its metadata, wherever they are."""
    for band in file.indexes:
        file.overviews(band)  # only then are they looked for
    return [Path(name) for name in file.files]


def _is_simple(path: Path, stamps: Stamps) -> bool:
    """Whether a file is a picture without others beside it, which need not be opened before it is looked at."""
    return has_suffix(path, _PLAIN) and all(stamp == _GONE for stamp in stamps[1:])


def file_stamp(path: Path | str, follow: bool = True) -> Stamp:
    """Size and time of a file, by which a changed one is known; -1 for none.

    Args:
        path: The file.
        follow: Whether links are followed.
    """
    try:
        status = os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):
        return _GONE
    return status.st_size, status.st_mtime_ns


def _stamps(path: Path) -> Stamps:
    """Of a file, and of those beside it that GDAL may read."""
    return (file_stamp(path), *(file_stamp(f"{path}{end}", follow=False) for end in _BESIDE))
