"""Interpreters that have done the slow imports; each command that they are asked for runs in a fork of one of them.

    python tests/tool_server.py SOCKET

Starting the MM stack costs about ten seconds, nine of them for torch and other libraries.  There are two of them:

- ``libraries``, at SOCKET, has imported torch and such libraries, but neither the MM stack nor rsseg;
- ``stack``, at SOCKET.stack, is a fork of it that has imported both.  It starts when something connects to it.

What a command does, prints and leaves behind is that of a process of its own: it can be killed, has its own working
folder, environment and exit status, and whatever it changes in memory is gone with it.

A client sends one line of JSON, ``arguments`` (of Python), ``cwd`` and ``env``, with the descriptors of standard input,
output and error; it is told the process id and, in the end, the exit status, each in a line.  A command whose client
is gone is killed.  The servers end when their standard input does.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import sys
import traceback
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
TOLD = list(filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep)))
OWN = [entry for entry in sys.path[1:] if entry not in TOLD]  # of this Python


def load_libraries() -> None:
    """Import what the MM stack and most tools need; nothing here may start a thread."""
    import matplotlib.figure
    import rasterio
    import scipy.optimize
    import scipy.stats
    import sklearn.metrics
    import torch.distributed.run
    import torchvision

    with contextlib.suppress(ImportError):
        import timm  # noqa: F401
    assert matplotlib.figure and rasterio and scipy.optimize and scipy.stats and sklearn.metrics
    assert torch.distributed.run and torchvision
    set_up_libraries()


def set_up_libraries() -> None:
    """One thread for torch; and without yapf, which takes a second for each config that is printed."""
    import torch
    import yapf.yapflib.yapf_api

    torch.set_num_threads(1)
    yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)


def load_stack() -> None:
    """Import rsseg and the MM stack, and what every training imports."""
    sys.path[:] = [*TOLD, *OWN]
    import mmengine.runner
    import setuptools

    import rsseg.models
    from rsseg.stack import require_stack

    require_stack()
    import mmseg.apis

    import rsseg.datasets
    import rsseg.engine
    import rsseg.evaluation
    import rsseg.running

    assert mmengine.runner and mmseg.apis and setuptools and rsseg.models
    assert rsseg.datasets and rsseg.engine and rsseg.evaluation and rsseg.running


def become(arguments: list[str], cwd: str, env: dict[str, str], files: list[int]) -> int:
    """Do in this process what ``python ARGUMENTS`` would; its exit status.

    Nothing of rsseg may help here: commands of ``libraries`` have not imported it.
    """
    os.setsid()
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[attr-defined]
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.path[:] = [*filter(None, env.get("PYTHONPATH", "").split(os.pathsep)), *OWN]
    try:
        with contextlib.suppress(ModuleNotFoundError):  # of a folder in PYTHONPATH
            import sitecustomize  # noqa: F401
        _run([word for word in arguments if word != "-u"])
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _run(arguments: list[str]) -> None:
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path.insert(0, "")
        sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(arguments[1], "<string>", "exec"), vars(sys.modules["__main__"]))
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).absolute().parent))
        runpy.run_path(arguments[0], run_name="__main__")


def end(status: int) -> None:
    """Leave as an interpreter does that has run to its end, without the parts that belong to the server."""
    import atexit

    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status)


def _receive(client: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """A request and its files; None of a client that was killed before it had sent all of it."""
    with contextlib.suppress(OSError):
        data, files, _, _ = socket.recv_fds(client, 1 << 16, 3)
        while not data.endswith(b"\n") and (more := client.recv(1 << 16)):
            data += more
        if data.endswith(b"\n"):
            return json.loads(data), files
    return None


def _kill(process: int) -> None:
    for kill in (os.killpg, os.kill):
        with contextlib.suppress(ProcessLookupError):
            kill(process, signal.SIGKILL)
    os.waitpid(process, 0)


def serve(listener: socket.socket) -> None:
    """Start what clients ask for until standard input ends."""
    gc.freeze()
    running: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([0, listener, *running.values()], [], [], 0.01 if running else None)
        if listener in ready:
            client, _ = listener.accept()
            if (received := _receive(client)) is None:
                client.close()
                continue
            request, files = received
            process = os.fork()
            if not process:
                for connection in (listener, client, *running.values()):
                    connection.close()
                end(become(**request, files=files))
            for file in files:
                os.close(file)
            running[process] = client
            with contextlib.suppress(OSError):
                client.sendall(b"%d\n" % process)
        for process, client in list(running.items()):
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                with contextlib.suppress(OSError):
                    client.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
            elif client in ready or 0 in ready:  # it never sends anything else
                _kill(process)
            else:
                continue
            client.close()
            del running[process]
        if 0 in ready:
            return


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(64)
    return listener


def _fork(work: Callable[[], None]) -> int:
    process = os.fork()
    if not process:
        status = 1
        try:
            work()
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    return process


def main(path: str) -> None:
    """Serve at ``path``, and at ``path`` + ``.stack`` once something connects there."""
    listeners = [_listen(path), _listen(f"{path}.stack")]
    print("ready", flush=True)
    os.dup2(2, 1)  # what a library prints is no answer
    load_libraries()

    def stack() -> None:
        listeners[0].close()
        if listeners[1] in select.select([0, listeners[1]], [], [])[0]:
            load_stack()
            serve(listeners[1])

    process = _fork(stack)
    listeners[1].close()
    serve(listeners[0])
    os.waitpid(process, 0)


if __name__ == "__main__":
    main(sys.argv[1])
