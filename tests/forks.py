"""Ask the processes of ``tool_server.py`` for forks: the tests' side."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent


class ToolServer:
    """Starts ``tool_server.py`` when it is asked for the first time; any thread may ask.

    Attributes:
        libraries: Address of forks that have imported torch and other libraries; asking for it starts the server.
        stack: Address of forks that have imported rsseg and the MM stack, too.
    """

    def __init__(self, env: dict[str, str]) -> None:
        self._lock, self._env = threading.Lock(), env
        self._process: subprocess.Popen[str] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def libraries(self) -> str:
        with self._lock:
            if self._folder is None:
                self._folder = tempfile.TemporaryDirectory(prefix="forks")
                command = [sys.executable, str(HERE / "tool_server.py"), f"{self._folder.name}/s"]
                self._process = subprocess.Popen(
                    command, env=self._env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
                )
                assert self._process.stdout and self._process.stdout.readline() == "ready\n", "it does not start"
            return f"{self._folder.name}/s"

    @property
    def stack(self) -> str:
        return f"{self.libraries}.stack"

    def close(self) -> None:
        """End the server and all that it has started."""
        if self._process and self._process.stdin and self._folder:
            self._process.stdin.write("end\n")  # closing alone says nothing while a fork of ours holds the pipe, too
            self._process.stdin.close()
            self._process.wait(timeout=600)
            self._folder.cleanup()


class ToolProcess:
    """Python with these arguments, as a fork.

    Attributes:
        pid: Its process id; it leads a process group of the same number.
    """

    def __init__(self, address: str, args: Sequence[str], cwd: Path, env: dict[str, str], folder: Path) -> None:
        self.args, self._answers = list(args), b""
        self._files = folder / "stdout", folder / "stderr"
        self._server = socket.socket(socket.AF_UNIX)
        self._server.connect(address)
        request = json.dumps({"arguments": self.args, "cwd": str(cwd), "env": env}).encode() + b"\n"
        with open(os.devnull) as nothing, self._files[0].open("wb") as out, self._files[1].open("wb") as error:
            files = [file.fileno() for file in (nothing, out, error)]
            self._server.sendall(request[socket.send_fds(self._server, [request], files) :])
            while b"\n" not in self._answers:
                self._receive(60)
        self.pid = int(self._answers.split(b"\n")[0])

    def _receive(self, seconds: float) -> None:
        if select.select([self._server], [], [], seconds)[0]:
            answer = self._server.recv(64)
            assert answer, "the tool server has ended"
            self._answers += answer

    def poll(self) -> int | None:
        """Exit status, None while it runs."""
        return self._status(0)

    def _status(self, seconds: float) -> int | None:
        if self._answers.count(b"\n") < 2:
            self._receive(seconds)
        return int(self._answers.split(b"\n")[1]) if self._answers.count(b"\n") == 2 else None

    def kill(self) -> None:
        """End it, and what it has started, at once."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def wait(self, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        """Exit status and what was printed."""
        end = time.monotonic() + timeout
        while (status := self._status(1)) is None:
            if time.monotonic() > end:
                self.kill()
                raise subprocess.TimeoutExpired(self.args, timeout)
        self._server.close()
        return subprocess.CompletedProcess(self.args, status, *(file.read_text("utf-8") for file in self._files))
