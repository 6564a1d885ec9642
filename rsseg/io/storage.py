"""Files in object storage and wherever else fsspec leads: read, listed, and written whole or not at all.

An object of a store takes its place when its last byte is there; in all other places a file is written under a
temporary name and moved.  Addresses are those of fsspec (``s3://``, ``gs://``, ``az://``, ``sftp://``, ``memory://``
...), and so are the credentials: environment, configuration files, roles of the machine.  rsseg asks for none.
"""

from __future__ import annotations

import re
import secrets
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from rsseg.errors import ConfigError, MissingPackageError, UserError
from rsseg.io.addresses import hide_secrets
from rsseg.io.files import replacing

__all__ = ["Storage", "is_storage", "storage_or_path"]

_PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs",
             "abfss": "adlfs"}  # fmt: skip
_STORES = {*_PACKAGES, "oss", "oci", "tos"}
"""Schemes of stores in which an object is there once it is whole."""
_IN_PARTS = {"s3", "s3a"}
"""Those that keep, and charge for, the parts of an object that never became whole, until somebody takes them back."""
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # two letters at least: one is a drive of Windows
_PATTERN = re.compile(r"[*?\[]")
_PART = re.compile(r"(?:.*/)?\.([^/]+)\.[0-9a-f]{8}\.part")
_SMALL = 8 << 20
_BLOCK = 16 << 20
_MANY = 500


def is_storage(target: object) -> bool:
    """Whether a target is an address, ``scheme://...``, and no local path."""
    return isinstance(target, str) and _ADDRESS.match(target) is not None


def storage_or_path(text: str) -> Path | str:
    """The type of an option that names a local path, or an address, which ``Path`` would spoil."""
    return text if is_storage(text) else Path(text)


storage_or_path.__name__ = "path or address"


class Storage:
    """A folder at an address of fsspec; names in it have slashes.

    Args:
        address: ``s3://bucket/folder``, ``memory://folder`` ...; one of a local file system needs a whole path.

    Attributes:
        address: As it may be shown: without credentials, and without a slash at the end.

    Raises:
        ConfigError: fsspec knows no such scheme, or the address names no folder.
        MissingPackageError: The package for it is not installed; the message has the command that installs it.
    """

    def __init__(self, address: str) -> None:
        self.address = hide_secrets(address).rstrip("/")
        self._scheme = address.partition("://")[0].lower()
        self._files, root = _file_system(address, self._scheme)
        self._root = root.rstrip("/")
        if self._scheme in _STORES and not self._root:
            raise ConfigError(f"{address}: names no bucket; expected {self._scheme}://BUCKET/FOLDER")

    def __str__(self) -> str:
        return self.address

    @property
    def _system(self) -> Any:
        """The file system, without what it remembers of listings: other processes write, too."""
        self._files.invalidate_cache()
        return self._files

    def at(self, name: str) -> str:
        """The address of a file, for messages."""
        return f"{self.address}/{name}"

    def files(self) -> dict[str, int]:
        """Bytes of all files below the folder by their names; nothing where there is none.

        Raises:
            OSError: It cannot be listed.
        """
        found = self._ask("", "listed", partial(self._system.find, detail=True)) or {}
        start = len(self._root) + 1 if self._root else 0
        whole = [path for path in found if path != self._root and not _PART.fullmatch(path)]
        return {path[start:]: int(found[path].get("size") or 0) for path in whole}

    def size(self, name: str) -> int | None:
        """Bytes of a file, or None where there is no such file.

        Raises:
            OSError: It cannot be asked for.
        """
        info = self._ask(name, "read", self._system.info)
        return None if info is None else int(info["size"])

    def check_writable(self) -> None:
        """See that files can be written, before the work that makes them.

        Raises:
            OSError: They cannot.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ".rsseg-write-test"
            path.write_bytes(b"rsseg writes maps here\n")
            with _explained(self.at(path.name), "written"):
                self._write(path, self._path(path.name))  # which another job may remove at once
        with suppress(OSError):  # who may write may not always delete
            self.remove(path.name)

    def read(self, name: str, most: int | None = None) -> bytes | None:
        """The content of a small file, or None where there is no such file.

        Args:
            name: The file.
            most: Bytes from its beginning; None for all.

        Raises:
            OSError: It cannot be read.
        """
        data = self._ask(name, "read", partial(self._system.cat_file, end=most))
        return None if data is None else bytes(data)

    def read_all(self, names: Sequence[str]) -> Iterator[tuple[str, bytes]]:
        """Names and contents of many small files, some hundred requests at a time.

        Raises:
            OSError: One cannot be read.
        """
        for start in range(0, len(names), _MANY):
            paths = {self._path(name): name for name in names[start : start + _MANY]}
            plain = [path for path in paths if not _PATTERN.search(path)]  # others would be taken for patterns of names
            with _explained(self.at(names[start]), "read"):
                found = self._system.cat(plain) if plain else {}
                found |= {path: self._system.cat_file(path) for path in paths.keys() - set(plain)}
            yield from ((name, bytes(found[path])) for path, name in paths.items())

    def get(self, name: str, path: Path) -> None:
        """Copy a file to the local disk, where it is whole or not there.

        Raises:
            OSError: It cannot be read or written.
        """
        where = _explained(self.at(name), "read")
        with replacing(path, "storage") as out, where, self._system.open(self._path(name), "rb") as file:
            shutil.copyfileobj(file, out, _BLOCK)

    def put(self, path: Path, name: str) -> None:
        """Copy a local file to the storage; under its name it is whole or not there, whatever ends this process.

        Raises:
            OSError: It cannot be written, or has another size there.
        """
        with _explained(self.at(name), "written"):
            self._write(path, self._path(name))
            self._check_size(path, self._path(name))

    def remove(self, name: str) -> None:
        """Delete a file, if it is there.

        Raises:
            OSError: It cannot be deleted.
        """
        self._ask(name, "deleted", self._system.rm_file)

    def remove_abandoned(self, names: Collection[str]) -> None:
        """Delete what killed uploads of some files have left under temporary names; stores of objects have none.

        Args:
            names: Files of one folder.

        Raises:
            OSError: The folder cannot be listed.
        """
        if self._scheme in _STORES or not names:
            return
        folder = self._path(next(iter(names))).rpartition("/")[0]
        own = {name.rpartition("/")[2] for name in names}
        with _explained(folder, "listed"), suppress(FileNotFoundError):
            for path in self._system.ls(folder, detail=False):
                found = _PART.fullmatch(path)
                if found is not None and found[1] in own:
                    self._system.rm_file(path)

    def _ask(self, name: str, what: str, request: Callable[[str], Any]) -> Any:
        """What the file system answers for a file, or None where there is no such file."""
        with _explained(self.at(name), what), suppress(FileNotFoundError, NotADirectoryError):
            return request(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _write(self, path: Path, final: str) -> None:
        if self._scheme not in _STORES:
            with suppress(FileNotFoundError):  # another upload of the same file took the temporary one for abandoned
                return self._put_and_move(path, final)
            self._put_and_move(path, final)
        elif self._scheme in _IN_PARTS and path.stat().st_size > _SMALL:
            self._put_in_parts(path, final)
        else:
            self._system.put_file(str(path), final)

    def _put_and_move(self, path: Path, final: str) -> None:
        folder, _, name = final.rpartition("/")
        temporary = f"{folder}/.{name}.{secrets.token_hex(4)}.part"
        self._system.makedirs(folder, exist_ok=True)
        try:
            self._system.put_file(str(path), temporary)
            self._check_size(path, temporary)
            try:
                self._move(temporary, final)
            except FileExistsError:  # as Windows' shares do
                self._system.rm_file(final)
                self._move(temporary, final)
        except BaseException:
            with suppress(Exception):
                self._system.rm_file(temporary)
            raise

    def _move(self, path: str, final: str) -> None:
        from fsspec import AbstractFileSystem

        if type(self._system).mv is AbstractFileSystem.mv:  # it would take names with *, ? or [ for patterns
            self._system.cp_file(path, final)
            self._system.rm_file(path)
        else:
            self._system.mv(path, final)

    def _put_in_parts(self, path: Path, final: str) -> None:
        """Send parts, which are joined at the end; a failure takes them back."""
        out = self._system.open(final, "wb", autocommit=False)
        try:
            with path.open("rb") as file:
                shutil.copyfileobj(file, out, _BLOCK)
            out.close()
            out.commit()
        except BaseException:
            with suppress(Exception):
                out.discard()
            out.closed = True  # or the end of the object would close it, and so join what there is
            raise

    def _check_size(self, path: Path, there: str) -> None:
        size, expected = self._system.info(there)["size"], path.stat().st_size
        if size != expected:
            raise OSError(f"{size} of {expected} bytes are there")


def _file_system(address: str, scheme: str) -> tuple[Any, str]:
    """A file system of fsspec, and the path in it."""
    known = "s3://, gs://, az:// or another scheme of fsspec"
    if scheme in ("http", "https"):
        raise ConfigError(f"{hide_secrets(address)}: {scheme}:// is for reading only; expected {known}")
    try:
        import fsspec
    except ImportError as error:
        raise MissingPackageError(
            f'{scheme}:// needs the package fsspec. Run: python -m pip install "rsseg[remote]"'
        ) from error
    try:
        return tuple(fsspec.url_to_fs(address))
    except ImportError as error:
        package = _PACKAGES.get(scheme)
        reason = f"needs the package {package}" if package else str(error).splitlines()[0]
        install = f"Run: python -m pip install {package}" if package else "Install it by: python -m pip install ..."
        raise MissingPackageError(f"{scheme}://: {reason}. {install}") from error
    except ValueError as error:
        raise ConfigError(f"{hide_secrets(address)}: {error}; expected {known}") from error


@contextmanager
def _explained(address: str, what: str) -> Iterator[None]:
    """Errors of whatever library is below as those of files; each has its own, and not all are OSErrors.

    Raises:
        OSError: Something failed.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        text = hide_secrets(str(error)).strip().splitlines()
        reason = f"{type(error).__name__}{f': {text[0][:200]}' if text else ''}"
        raise OSError(
            f"{address}: cannot be {what} ({reason}); check the address, the credentials and the network, then repeat "
            "the command to continue"
        ) from error
