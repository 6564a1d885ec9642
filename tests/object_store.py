"""An object store of fsspec in memory at ``s3://``, which notes the requests, and can fail at any of them."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from fsspec.spec import AbstractBufferedFile

Method = Callable[..., Any]


class Parts(AbstractBufferedFile):
    """A file that is sent in parts and becomes an object by ``commit``, as those of s3fs."""

    def _initiate_upload(self) -> None:
        self.parts: list[bytes] = []
        self.fs.unfinished.append(self.path)

    def _upload_chunk(self, final: bool = False) -> bool:
        if len(self.parts) == self.fs.fails_at:
            raise ConnectionResetError("the line is dead")
        self.buffer.seek(0)
        self.parts.append(self.buffer.read())
        if final and self.autocommit:
            self.commit()
        return not final

    def commit(self) -> None:
        """Join the parts."""
        self.fs.pipe_file(self.path, b"".join(self.parts))
        self.fs.unfinished.remove(self.path)

    def discard(self) -> None:
        """Take the parts back."""
        self.fs.unfinished.remove(self.path)


def _request(method: Method) -> Method:
    """A method as a request: it is noted, and may fail; those that it makes itself are not counted."""

    @functools.wraps(method)
    def call(self: Store, path: Any, *args: Any, **kwargs: Any) -> Any:
        if not Store.depth:
            at = args[0] if method.__name__ == "put_file" else path
            request = f"{method.__name__} {'...' if isinstance(at, list) else self._strip_protocol(at)}"
            Store.requests.append(request)
            Store.before(request)
        Store.depth += 1
        try:
            return method(self, path, *args, **kwargs)
        finally:
            Store.depth -= 1

    return call


class Store(MemoryFileSystem):
    """An object store.

    Attributes:
        requests: What was asked for, such as ``info /bucket/a.tif``.
        before: Is called with each of them first.
        unfinished: Objects of which there are parts only.
        fails_at: The part of an object that cannot be sent.
    """

    protocol = "s3"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    unfinished: ClassVar[list[str]] = []
    requests: ClassVar[list[str]] = []
    depth: ClassVar[int] = 0
    before: ClassVar[Callable[[str], None]] = staticmethod(lambda request: None)
    fails_at = -1

    def _open(self, path: str, mode: str = "rb", autocommit: bool = True, **kwargs: Any) -> Any:
        if mode == "wb" and not autocommit:
            return Parts(self, self._strip_protocol(path), mode, block_size=4, autocommit=False)
        return super()._open(path, mode, **kwargs)

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.removeprefix("s3://")))

    find, ls, info = (_request(getattr(MemoryFileSystem, name)) for name in ("find", "ls", "info"))
    cat, cat_file, open = (_request(getattr(MemoryFileSystem, name)) for name in ("cat", "cat_file", "open"))
    put_file, rm_file = (_request(getattr(MemoryFileSystem, name)) for name in ("put_file", "rm_file"))


def forget(scheme: str) -> None:
    """Let fsspec look again for what is behind a scheme."""
    sys.modules["fsspec.registry"]._registry.pop(scheme, None)


@contextmanager
def object_store() -> Iterator[type[Store]]:
    """An empty store at ``s3://``."""
    fsspec.register_implementation("s3", Store, clobber=True)
    try:
        yield Store
    finally:
        forget("s3")
        for held in (Store.store, Store.unfinished, Store.requests):
            held.clear()
        Store.clear_instance_cache()
