"""Where maps go whose place is a storage, and the work folder in which they are made before they are uploaded."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from rsseg.errors import ConfigError, DataError
from rsseg.io.addresses import Address, hide_secrets, opened_name
from rsseg.io.listing import has_suffix
from rsseg.io.storage import Storage
from rsseg.io.sums import sum_of
from rsseg.mapping.layers import FORMATS
from rsseg.mapping.stored import Listing, StoredMap

__all__ = ["Delivery", "begin_delivery"]

_PASSWORD = re.compile(r"(?<=//)([^/:@]*):[^/@]*(?=@)")
_MAPS = (".tif", ".tiff", ".png")
_log = logging.getLogger("rsseg")


@dataclass(frozen=True)
class Delivery:
    """Where maps go, and where they are made.

    Attributes:
        address: Folder in the storage.
        folder: The work folder; its files are called as in the storage.
    """

    address: str
    folder: Path

    @functools.cached_property
    def storage(self) -> Storage:
        """The folder in the storage."""
        return Storage(self.address)

    @functools.cached_property
    def _listing(self) -> Listing:
        return Listing(self.storage)

    def __repr__(self) -> str:
        return f"Delivery({hide_secrets(self.address)!r}, {self.folder!r})"

    def __reduce__(self) -> Any:
        return Delivery, (self.address, self.folder)

    def stored(self, target: Path) -> StoredMap:
        """A map, by its place in the work folder."""
        return StoredMap(self.storage, target.relative_to(self.folder).as_posix(), target, self._listing)

    def check_sources(self, jobs: Sequence[tuple[str, Path]]) -> None:
        """See before the work that no map takes the place of a raster that is mapped.

        Args:
            jobs: Rasters, and their maps in the work folder.

        Raises:
            DataError: One would.
        """
        for source, target in jobs:
            final = opened_name(f"{self.address}/{target.relative_to(self.folder).as_posix()}")
            if isinstance(source, Address):
                same = final in (source.gdal, *map(opened_name, source.parts))
            else:
                same = Path(source).exists() and Path(final).exists() and Path(source).samefile(final)
            if same:
                raise DataError(f"{source}: its map would replace it; choose another folder than {self.storage}")

    def upload_after(self, finished: Callable[[str, Path], None]) -> Callable[[str, Path], None]:
        """What to call once a map is there: ``finished``, then its upload; nothing for one that was uploaded before.

        Args:
            finished: Called with source and map.
        """

        def upload(source: str, target: Path) -> None:
            if target.exists():
                finished(source, target)
                self.stored(target).upload()

        return upload

    def close(self) -> None:
        """Remove the work folder and those in it, if they are empty."""
        folders = [path for path in self.folder.rglob("*") if path.is_dir()]
        for path in [*sorted(folders, reverse=True), self.folder]:
            with suppress(OSError):
                path.rmdir()


def begin_delivery(address: str, work: Path, vectors: str | None) -> tuple[Delivery, Path]:
    """See that a storage can be written to, and make a work folder, which the same address finds again.

    Args:
        address: A folder; or a map, by its suffix.
        work: Where to make the work folder.
        vectors: As for :class:`rsseg.mapping.products.Products`; a suffix only.

    Returns:
        The delivery, and the local target in the place of the address.

    Raises:
        ConfigError: fsspec knows no such address, or polygons are to be a local file.
        MissingPackageError: The package for the storage is not installed.
        OSError: The storage cannot be written to.
    """
    if vectors is not None and vectors not in FORMATS:
        raise ConfigError(f"--vectors {vectors}: polygons go to the storage beside the map, so name a suffix only: "
                          f"{', '.join(FORMATS)}")  # fmt: skip
    scheme, _, path = address.partition("://")
    path = path.rstrip("/")
    single = has_suffix(path, _MAPS)
    folder, _, name = path.rpartition("/") if single else (path, "", "")
    if not folder:
        raise ConfigError(f"{hide_secrets(address)}: names no folder; expected {scheme}://FOLDER/MAP.tif, or "
                          f"{scheme}://FOLDER/ for several maps")  # fmt: skip
    folder = f"{scheme}://{folder}"
    delivery = Delivery(folder, _work_folder(folder, work))
    delivery.storage.check_writable()
    delivery.folder.mkdir(parents=True, exist_ok=True)
    _log.info("%s: maps are made in %s, and removed there once they are uploaded", delivery.storage, delivery.folder)
    return delivery, delivery.folder / name if single else delivery.folder


def _work_folder(address: str, work: Path) -> Path:
    name = re.sub(r"[^\w.-]+", "_", PurePosixPath(hide_secrets(address)).name).strip("._") or "maps"
    place = _PASSWORD.sub(r"\1", address)  # users remain: abfs://CONTAINER@ACCOUNT
    return work / f"{name}-{sum_of(place.encode())[:12]}"
