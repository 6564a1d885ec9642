"""A map whose place is a storage: whether it is there, and its upload, whole and with its item as the last file.

Where the item is, the map is whole: it lists the files with their bytes and SHA-256, and the settings.  Before a file
that it lists is replaced, the item is removed.  What has been uploaded already is noted in the work folder, so that a
command which is repeated after a failure uploads only what is missing; a finished map is then removed there.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rsseg.errors import DataError, UserError
from rsseg.io.files import locked, sha256_of
from rsseg.io.storage import Storage
from rsseg.io.tables import read_json, write_json
from rsseg.mapping.item import MapItem, StoredFile, href_of, item_path, path_of
from rsseg.mapping.plan import TAG, may_keep, plan_texts
from rsseg.mapping.products import Products

__all__ = ["Listing", "StoredMap"]

_log = logging.getLogger("rsseg")
_BEGINNING = 16 << 20
"""Bytes of a raster in which its metadata lie."""


class Listing:
    """Bytes of the files of a storage: who asks for those of several maps gets them by one listing.

    The listing may be older than a map's item, so it is believed only where it says what is expected; whatever else it
    says is asked for anew.

    Args:
        storage: The storage.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage, self._maps = storage, 0
        self._sizes: dict[str, int] = {}

    def differing(self, expected: Mapping[str, int]) -> list[str]:
        """Names of the files of a map that are missing, or have another size.

        Args:
            expected: Bytes by name.

        Raises:
            OSError: The storage cannot be read.
        """
        self._maps += 1
        if self._maps == 2:  # a command for a single map does not list what may be a million files
            with suppress(OSError):  # each map can be asked for instead
                self._sizes = self._storage.files()
        others = [name for name, size in expected.items() if self._sizes.get(name) != size]
        return [name for name in others if self._storage.size(name) != expected[name]]


class StoredMap:
    """A map in a storage.

    Args:
        storage: Where it goes.
        name: Its path there.
        target: The map in the work folder.
        listing: What is known of the storage.
    """

    def __init__(self, storage: Storage, name: str, target: Path, listing: Listing) -> None:
        self._storage, self.target, self._listing = storage, target, listing
        self._parent = name.rpartition("/")[0]

    def __str__(self) -> str:
        return self._storage.at(self._name(self.target.name))

    @functools.cached_property
    def item(self) -> MapItem | None:
        """The item in the storage, or None where the map is not there, or not whole.

        Raises:
            DataError: The file is no item.
            OSError: It cannot be read.
        """
        name = self._name(item_path(self.target).name)
        data = self._storage.read(name)
        return None if data is None else MapItem.parse(data, self._storage.at(name))

    def is_there(
        self, plan: Mapping[str, Any], code: str, products: Products, update: bool, overwrite: bool
    ) -> bool:  # fmt: skip
        """Whether the map is in the storage with all that is requested; else what there is of it is fetched.

        Args:
            plan: What the map is to be made with.
            code: Of the plan.
            products: What to make from it.
            update: As for :func:`rsseg.mapping.plan.may_keep`.
            overwrite: As there.

        Raises:
            JobError: It was made with other settings.
            DataError: A file is not what its item says, or the item is of a map with another suffix, or what lies in
                the map's place is of somebody else.
            OSError: The storage cannot be read.
        """
        item = self._before() if overwrite else self.item
        if item is None:
            if not overwrite:
                self._refuse_others()
            return False
        if item.name != self.target.name and not overwrite:
            raise DataError(f"{self}: what lies beside it under this name is of the map {item.name}; choose "
                            "another name, or add --overwrite to replace that map")  # fmt: skip
        what, now = "exists and was made with another", plan_texts(plan)
        if item.name != self.target.name:
            return False
        if item.code != code and not may_keep(item.settings, now, what, str(self), update, overwrite):
            return False
        lost = self._lost(item, self._listing)
        if lost:
            _log.warning("%s: %s is missing or not what its item says, and is made again", self, lost[0])
        elif _has_products(item, products, self.target):
            _log.info("%s: exists already", self)
            self._remove_local(item)
            return True
        if not self.target.exists() and not set(lost) & _rasters(item):
            self._fetch(item, lost, overwrite)
        return False

    def _refuse_others(self) -> None:
        """See that nobody else's file has the map's name; what a killed upload has left there may be replaced."""
        if self.target.name not in self._record():
            beginning = self._storage.read(self._name(self.target.name), _BEGINNING)
            if beginning is not None and TAG.encode() not in beginning:
                raise DataError(f"{self}: exists, and is no map of rsseg; choose another name, or add --overwrite to "
                                "replace it")  # fmt: skip

    def is_whole(self, code: str) -> bool:
        """Whether the map is in the storage by now, made with the settings of this code.

        Raises:
            OSError: The storage cannot be read.
        """
        item = self._read_again()
        if item is None or (item.name, item.code) != (self.target.name, code):
            return False
        return not self._lost(item, Listing(self._storage))

    def _lost(self, item: MapItem, listing: Listing) -> list[str]:
        """Files of an item that are missing, or have another size."""
        files = _files(item)
        names = {self._name(name): name for name in files}
        return [names[at] for at in listing.differing({at: files[name].size for at, name in names.items()})]

    def upload(self) -> None:
        """Upload the files of the map that are not there yet, the item last, and remove them in the work folder.

        Raises:
            OSError: Something cannot be read or uploaded; what has been uploaded stays.
        """
        lock = self._beside("lock")
        with locked(lock):
            if self.target.exists():  # else another process has done it
                item = MapItem.read(item_path(self.target))
                files = _files(item)
                overlay = self._overlay
                if overlay.exists():  # of rsseg segment
                    files[overlay.name] = StoredFile.of(overlay)
                self._upload(item, files)
                self._remove_local(item)
            lock.unlink(missing_ok=True)

    def _upload(self, item: MapItem, files: Mapping[str, StoredFile]) -> None:
        before = self._read_again()
        known = _files(before) if before else {}
        there = {**known, **self._record()}
        todo = [name for name, file in files.items() if not self._has(name, file, there.get(name))]
        last, others = item_path(self.target), there.keys() - files.keys()
        if before is not None and (others or set(todo) & known.keys() or before.code != item.code):
            self._note(there)  # a killed run knows by it what else is there
            self._storage.remove(self._name(last.name))  # it would describe other files
        self._storage.remove_abandoned([self._name(name) for name in (*files, last.name)])
        for name in todo:
            if there.pop(name, None) is not None:
                self._note(there)
            self._storage.put(self.target.parent / name, self._name(name))
            there[name] = files[name]
            self._note(there)
        for name in others:
            self._storage.remove(self._name(name))
        if before is None or todo or before != item:
            self._storage.put(last, self._name(last.name))
        size = sum(files[name].size for name in todo) / 1e6
        _log.info("%s: %d of %d files uploaded, %.1f MB", self, len(todo), len(files), size)

    def _note(self, there: Mapping[str, StoredFile]) -> None:
        write_json(self._beside("uploaded.json"), {name: [f.size, f.sha256] for name, f in there.items()})

    @property
    def settings(self) -> dict[str, str]:
        """What the map was made with; nothing where it is not there."""
        item = self._before()
        return {} if item is None else item.settings

    def _before(self) -> MapItem | None:
        """The item, or None where the file is none; is_there says so, and ``--overwrite`` replaces it."""
        try:
            return self.item
        except DataError:
            return None

    def _read_again(self) -> MapItem | None:
        """The item, which another process may have written since."""
        self.__dict__.pop("item", None)
        return self._before()

    def _has(self, name: str, file: StoredFile, known: StoredFile | None) -> bool:
        return known == file and self._storage.size(self._name(name)) == file.size

    def _fetch(self, item: MapItem, lost: Sequence[str], overwrite: bool) -> None:
        """Copy the files of the map to the work folder, the map itself last; those that are lost stay away.

        Where one is not what it was, ``overwrite`` removes it and fetches nothing, so that the map is made again.
        """
        self.target.parent.mkdir(parents=True, exist_ok=True)
        files = _files(item)
        for name in sorted(files.keys() - set(lost), key=lambda name: name == item.name):
            path = self.target.parent / name
            self._storage.get(self._name(name), path)
            if sha256_of(path) != files[name].sha256:
                self._remove_local(item)
                at = self._storage.at(self._name(name))
                if overwrite:
                    _log.warning("%s: is not what the map's item says, and is made again", at)
                    self._storage.remove(self._name(name))
                    return
                raise DataError(f"{at}: is not what the map's item says; add --overwrite to make the map again")
        write_json(item_path(self.target), item.document)

    def _record(self) -> dict[str, StoredFile]:
        """What an earlier run knew to be there of this map, or of the one that it replaces."""
        path = self._beside("uploaded.json")
        if not path.exists():
            return {}
        try:
            return {name: StoredFile(int(size), str(digest)) for name, (size, digest) in read_json(path).items()}
        except (UserError, ValueError, TypeError):
            return {}

    def _remove_local(self, item: MapItem) -> None:
        """Remove what has been uploaded, the map itself first, so that nothing takes the rest for a map."""
        names = sorted(_files(item), key=lambda name: name != item.name)
        files = [self.target.parent / name for name in names]
        beside = [self._beside("uploaded.json"), self._beside("lock")]
        for path in [*files, item_path(self.target), self._overlay, *beside]:
            path.unlink(missing_ok=True)

    @property
    def _overlay(self) -> Path:
        return self.target.with_name(f"{self.target.stem}_overlay.png")

    def _beside(self, end: str) -> Path:
        return self.target.with_name(f".{self.target.name}.{end}")

    def _name(self, name: str) -> str:
        return f"{self._parent}/{name}" if self._parent else name


def _files(item: MapItem) -> dict[str, StoredFile]:
    """The files of an item that lie beside it; what others have added from elsewhere is no part of the map."""
    return {name: file for name, file in item.files.items() if "/" not in name and name not in ("", ".", "..")}


def _rasters(item: MapItem) -> set[str]:
    """Files that only the model can make again."""
    return {path_of(asset["href"]) for key, asset in item.assets.items() if key in ("map", "probabilities")}


def _has_products(item: MapItem, products: Products, target: Path) -> bool:
    """Whether a map has what is requested; agreement with reference labels is always measured anew."""
    layer = products.layer(target)
    if products.reference is not None or layer is None:
        return products.reference is None
    wanted = href_of(layer.name), products.min_area, products.tolerance
    told = [(asset["href"], asset.get("rsseg:min_area"), asset.get("rsseg:simplify")) for asset in item.assets.values()]
    return wanted in told
