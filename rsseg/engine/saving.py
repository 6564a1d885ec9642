"""What a run writes: whole or not at all, and an error that names the file or the folder where the disk is full."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mmengine.fileio import LocalBackend, register_backend

from rsseg.io.files import replacing

__all__ = ["WholeFiles", "naming_full_disk"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_WRITERS = ("PytorchStreamWriter", "file write failed", "inline_container")
"""What torch says where it cannot write, without saying why."""


class WholeFiles(LocalBackend):
    """mmengine's local files; those that are written, such as checkpoints, take their place when they are whole."""

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes to a file, whose folder is made."""
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(obj)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text to a file, whose folder is made."""
        self.put(obj.encode(encoding), filepath)


register_backend("local", WholeFiles, force=True, prefixes="")


@contextmanager
def naming_full_disk(folder: Path | str) -> Iterator[None]:
    """Let the errors of a full disk that do not say where, of logs for example, name the folder that is written to.

    A log that cannot be written ends the run; by default Python shows a traceback for each line of it and goes on.

    Raises:
        OSError: Writing failed.
    """
    before = logging.FileHandler.handleError
    logging.FileHandler.handleError = _fail  # type: ignore[assignment, method-assign]
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL or error.filename is not None or "cannot write" in str(error):
            raise
        raise OSError(error.errno, f"cannot write into {folder}: {error.strerror}") from error
    except RuntimeError as error:
        if not any(word in str(error) for word in _WRITERS):
            raise
        reason = str(error).splitlines()[0]
        raise OSError(errno.EIO, f"cannot write into {folder}, perhaps since the disk is full ({reason})") from error
    finally:
        logging.FileHandler.handleError = before  # type: ignore[method-assign]


def _fail(_: logging.Handler, __: Any) -> None:
    raise
