"""Fuzzing: files that are changed at random give a result or an error that names the file, soon and in little memory.

Input number i of a target depends on the target and i alone.  ``RSSEG_FUZZ_SECONDS`` says how long each target is tried
(1 by default), ``RSSEG_FUZZ_START`` from which number on; ``make fuzz SECONDS=600 START=100000`` sets them.
"""

from __future__ import annotations

import hashlib
import os
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rsseg.errors import UserError

SECONDS = float(os.environ.get("RSSEG_FUZZ_SECONDS", "1"))
START = int(os.environ.get("RSSEG_FUZZ_START", "0"))
LEAST = 30
"""Inputs that are tried however slow the machine is."""
SLOWEST, MEMORY = 20.0, 512
"""Seconds of processor time that one input may take, and MiB by which a target may grow the process."""
NUMBERS = [b"0", b"-1", b"1", b"65536", b"2147483648", b"18446744073709551616", b"1e309", b"nan", b"-inf", b"0.5",
           b"1e-320", b"9" * 5000, b"0x10", "²".encode(), b"1_000"]  # fmt: skip
WORDS = [b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"..", b"../../x", b"/etc/passwd", b"\r", b"\n\n", b'"', b"<"]
WORDS += [
    b"&lt;",
    b"<!DOCTYPE a>",
    b"]]>",
    b"null",
    b"true",
    b"[]",
    b"{}",
    b"%s%n",
    b"\\u0000",
    b"\\ud800",
    b"a" * 70000,
]
EDGES = [0, 1, 127, 128, 254, 255]

Change = Callable[[random.Random, bytes], bytes]
Read = Callable[[Path], Any]


def _flip(rng: random.Random, data: bytes) -> bytes:
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        at = rng.randrange(len(out))
        out[at] = rng.choice((out[at] ^ 1 << rng.randrange(8), rng.choice(EDGES), rng.randrange(256)))
    return bytes(out)


def _word(rng: random.Random, data: bytes) -> bytes:
    """A number of 2, 4 or 8 bytes that is an edge."""
    size = rng.choice((2, 4, 8))
    value = rng.choice((0, 1, 1 << (8 * size - 1), (1 << 8 * size) - 1, (1 << 8 * size) - 2, rng.randrange(1 << 16)))
    at = rng.randrange(len(data))
    return data[:at] + (value % (1 << 8 * size)).to_bytes(size, rng.choice(("little", "big"))) + data[at + size :]


def _cut(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))]


def _remove(rng: random.Random, data: bytes) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + data[at + rng.choice((1, 2, 16, 200)) :]


def _repeat(rng: random.Random, data: bytes) -> bytes:
    at, size = rng.randrange(len(data)), rng.choice((1, 4, 30, 200))
    return data[:at] + data[at : at + size] * rng.choice((2, 3, 200)) + data[at + size :]


def _move(rng: random.Random, data: bytes) -> bytes:
    at, size, to = rng.randrange(len(data)), rng.choice((1, 4, 30, 200)), rng.randrange(len(data))
    part, rest = data[at : at + size], data[:at] + data[at + size :]
    return rest[:to] + part + rest[to:]


def _number(rng: random.Random, data: bytes) -> bytes:
    found = [*re.finditer(rb"-?\d+(\.\d+)?", data)]
    if not found:
        return _word(rng, data)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice(NUMBERS) + data[one.end() :]


def _token(rng: random.Random, data: bytes) -> bytes:
    found = [*re.finditer(rb"\w+|[^\w\s]", data)]
    if not found:
        return _flip(rng, data)
    one = rng.choice(found)
    return data[: one.start()] + rng.choice((*WORDS, rng.choice(found)[0])) + data[one.end() :]


BYTES: list[Change] = [_flip, _flip, _word, _word, _cut, _remove, _repeat, _move]
TEXT: list[Change] = [*BYTES, _number, _number, _number, _token, _token, _token]


def _memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10


class Fuzzer:
    """Changes files and reads them.

    Args:
        name: Of the target.
        folder: Where the files are; nothing else may be written.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.folder = name, folder
        self.counts: Counter[str] = Counter()

    def run(
        self,
        seeds: Sequence[bytes],
        reads: Sequence[Read],
        suffix: str,
        changes: Sequence[Change],
        refused: bool = False,
    ) -> None:
        """Try inputs for ``SECONDS``.

        Args:
            seeds: Good files.
            reads: What reads them.
            suffix: Of the files.
            changes: Ways to change them.
            refused: Some of the readers refuse some of the good files.
        """
        end, number, before = time.monotonic() + SECONDS, START, _memory()
        path = self.folder / f"input{suffix}"
        for seed in seeds:
            path.write_bytes(seed)
            for read in reads:
                assert self._try(read, path, -1) == "read" or refused, f"{self.name}: a good file is refused"
        self.counts.clear()
        while time.monotonic() < end or number < START + LEAST:
            rng = random.Random(int(hashlib.sha256(f"{self.name} {number}".encode()).hexdigest()[:16], 16))
            data = rng.choice(seeds)
            for _ in range(rng.choice((1, 1, 1, 2, 4))):
                data = rng.choice(changes)(rng, data or b"\0")
            path.write_bytes(data)
            for read in reads:
                self.counts[self._try(read, path, number)] += 1
            number += 1
        self.counts["inputs"] = number - START
        assert _memory() - before < MEMORY, f"{self.name}: inputs {START} to {number} took {_memory() - before} MiB"
        assert [found.name for found in self.folder.iterdir()] == [path.name], f"{self.name}: files were written"

    def _try(self, read: Read, path: Path, number: int) -> str:
        start = time.process_time()
        try:
            read(path)
            outcome = "read"
        except UserError as error:
            assert path.name in str(error), f"{self.name}: error of input {number} does not name the file: {error}"
            outcome = "refused"
        except Exception as error:
            raise AssertionError(
                f"{self.name}: input {number} ({path}) gives {type(error).__name__}: {error}"
            ) from error
        took = time.process_time() - start
        assert took < SLOWEST, f"{self.name}: input {number} ({path}) takes {took:.1f} s"
        return outcome


@pytest.fixture
def fuzzer(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Any
) -> Any:
    """A :class:`Fuzzer` for this test, in a working directory of its own; its counts are printed at the end."""
    (tmp_path / "files").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.delenv("RSSEG_TRUST", raising=False)
    out = Fuzzer(request.node.name.removeprefix("test_"), tmp_path / "files")
    yield out
    counts = ", ".join(f"{out.counts[kind]} {kind}" for kind in ("inputs", "read", "refused"))
    record_property("fuzz", f"{out.name}: {counts}")
    assert not list((tmp_path / "here").iterdir()), "files were written to the working directory"


@pytest.fixture(scope="session")
def text_changes() -> list[Change]:
    """Ways to change files of text."""
    return TEXT


@pytest.fixture(scope="session")
def byte_changes() -> list[Change]:
    """Ways to change other files."""
    return BYTES
