"""A file system of fsspec on a local disk that counts what is written, and stops in the middle of a file."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.local import LocalFileSystem

STOPPED = "half a file is there"


class SlowFiles(LocalFileSystem):
    """``slow:///folder``: at the file whose name ends in ``stop_at`` it writes a half, says so, and waits."""

    protocol = "slow"
    stop_at: ClassVar[str | None] = None
    puts: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path: Any) -> str:
        return str(LocalFileSystem._strip_protocol(str(path).removeprefix("slow://")))

    def put_file(self, path1: str, path2: str, *args: Any, **kwargs: Any) -> None:
        """Copy a file, or half of it."""
        name = Path(path1).name
        if self.stop_at is not None and name.endswith(self.stop_at):
            data = Path(path1).read_bytes()
            Path(path2).write_bytes(data[: len(data) // 2])
            sys.stdout.write(f"{STOPPED}\n")
            sys.stdout.flush()
            time.sleep(600)
        self.puts.append(name)
        super().put_file(path1, path2, *args, **kwargs)


fsspec.register_implementation("slow", SlowFiles, clobber=True)
