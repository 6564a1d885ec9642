"""Files at addresses of fsspec: whole or not there, whatever fails; what is missing is said in one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from rsseg.errors import ConfigError, MissingPackageError
from rsseg.io import storage
from rsseg.io.storage import Storage, is_storage, storage_or_path
from tests.object_store import Store, forget, object_store


def test_addresses_are_no_paths() -> None:
    assert storage_or_path("s3://b/f") == "s3://b/f" and storage_or_path("a/b") == Path("a/b")
    assert not is_storage("C://maps") and not is_storage("/vsis3/b") and not is_storage(Path("s3://b"))


@pytest.mark.parametrize("scheme", ["memory", "file"])
def test_files_are_put_listed_read_and_removed(scheme: str, tmp_path: Path) -> None:
    place = Storage(f"{scheme}://{tmp_path}/maps/")
    assert str(place) == f"{scheme}://{tmp_path}/maps" and place.files() == {} and place.read("a.txt") is None
    local = tmp_path / "local.txt"
    local.write_bytes(b"one")
    place.put(local, "a.txt")
    place.put(local, "sub/b.txt")
    local.write_bytes(b"second")
    place.put(local, "a.txt")
    assert place.files() == {"a.txt": 6, "sub/b.txt": 3}
    assert place.read("a.txt") == b"second"
    place.get("sub/b.txt", tmp_path / "back.txt")
    assert (tmp_path / "back.txt").read_bytes() == b"one"
    place.remove("a.txt")
    place.remove("a.txt")
    assert place.files() == {"sub/b.txt": 3}
    with pytest.raises(OSError, match=rf"{scheme}://.*/none.txt: cannot be read .*repeat the command"):
        place.get("none.txt", tmp_path / "none.txt")
    assert not (tmp_path / "none.txt").exists()


@pytest.fixture
def store() -> Iterator[type[Store]]:
    with object_store() as store:
        yield store


def test_objects_in_parts_are_whole_or_taken_back(
    store: type[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_SMALL", 3)
    monkeypatch.setattr(storage, "_BLOCK", 4)
    local, place = tmp_path / "a.bin", Storage("s3://bucket/maps")
    local.write_bytes(b"0123456789ab")
    place.put(local, "a.bin")
    assert place.read("a.bin") == b"0123456789ab" and not store.unfinished
    local.write_bytes(b"ba9876543210")
    monkeypatch.setattr(store, "fails_at", 1)
    with pytest.raises(OSError, match=r"s3://bucket/maps/a.bin: cannot be written .ConnectionResetError: the line is"):
        place.put(local, "a.bin")
    assert place.read("a.bin") == b"0123456789ab" and not store.unfinished
    assert place.files() == {"a.bin": 12}


class Failing(MemoryFileSystem):
    """Writes half a file, and then fails or says nothing."""

    protocol, silent = "half", False
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]

    def put_file(self, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        data = Path(lpath).read_bytes()
        self.pipe_file(rpath, data[: len(data) // 2])
        if not self.silent:
            raise RuntimeError("the line is dead")

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return str(MemoryFileSystem._strip_protocol(path.removeprefix("half://")))


@pytest.mark.parametrize("silent, message", [(False, "RuntimeError: the line is dead"), (True, "3 of 6 bytes")])
def test_half_a_file_never_has_the_final_name(
    silent: bool, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.register_implementation("half", Failing, clobber=True)
    monkeypatch.setattr(Failing, "silent", silent)
    place, local = Storage("half://maps"), tmp_path / "a"
    local.write_bytes(b"old")
    Failing.store.clear()
    place._system.pipe_file("/maps/a", b"old")
    place._system.pipe_file("/maps/.a.01234567.part", b"left")
    place._system.pipe_file("/maps/.ab.01234567.part", b"another's")
    local.write_bytes(b"012345")
    with pytest.raises(OSError, match=message):
        place.put(local, "a")
    assert place.read("a") == b"old" and place.files() == {"a": 3}
    place.remove_abandoned(["a"])
    assert sorted(Failing.store) == ["/maps/.ab.01234567.part", "/maps/a"]


def test_two_uploads_of_the_same_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second one begins by removing what killed uploads of the file have left, while the first one writes."""
    place, local, put, others = Storage("memory://twice/maps"), tmp_path / "a", MemoryFileSystem.put_file, [1]
    local.write_bytes(b"012345")

    def meet(self: MemoryFileSystem, lpath: str, rpath: str, *args: Any, **kwargs: Any) -> None:
        put(self, lpath, rpath, *args, **kwargs)
        if others and others.pop():
            place.remove_abandoned(["a"])

    monkeypatch.setattr(MemoryFileSystem, "put_file", meet)
    place.put(local, "a")
    assert place.files() == {"a": 6} and not others


def test_many_jobs_may_ask_at_once_whether_a_place_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another job removes the file that this one has just written to see that it can."""
    copy = MemoryFileSystem.cp_file

    def lose(self: MemoryFileSystem, path1: str, path2: str, **kwargs: Any) -> None:
        copy(self, path1, path2, **kwargs)
        self.rm_file(path2)

    monkeypatch.setattr(MemoryFileSystem, "cp_file", lose)
    place = Storage("memory://many/maps")
    place.check_writable()
    assert place.files() == {}


@pytest.mark.parametrize("scheme, package", [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs"), ("abfs", "adlfs")])
def test_a_missing_package_is_named(scheme: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    forget(scheme)
    with pytest.raises(MissingPackageError, match=rf"{scheme}://: needs the package {package}. Run: .* {package}$"):
        Storage(f"{scheme}://bucket/maps")


def test_credentials_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise PermissionError("no access to memory://me:secret@host/maps?sig=secret")

    place = Storage("memory://me:secret@host/maps")
    monkeypatch.setattr(MemoryFileSystem, "cat_file", refuse)
    with pytest.raises(OSError, match=r"memory://host/maps/a: cannot be read .*repeat the command") as caught:
        place.read("a")
    assert "secret" not in f"{place} {caught.value}"


def test_what_is_no_folder_is_refused() -> None:
    with pytest.raises(ConfigError, match="nowhere://x: Protocol not known: nowhere; expected s3://"):
        Storage("nowhere://x")
    with pytest.raises(ConfigError, match="https://host/maps: https:// is for reading only; expected s3://"):
        Storage("https://host/maps")


def test_importing_it_imports_no_fsspec() -> None:
    code = "import sys, rsseg.io.storage; sys.exit('fsspec' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
