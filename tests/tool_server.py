"""A process that has imported torch and the MM stack once, and forks a fresh process for each command it is asked for.

Starting a tool costs about ten seconds of imports; a fork of this process has them done.  What a command does, prints
and leaves behind is that of a process of its own: it can be killed, has its own working folder, environment and exit
status, and whatever it changes in memory is gone with it.

Requests come as JSON, one a line, on standard input; answers go out the same way.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from rsseg.demo.processes import run_as_main


def load() -> None:
    """Import what most tools need; nothing here may start a thread."""
    import matplotlib.figure
    import mmengine.runner
    import rasterio
    import torch
    import yapf.yapflib.yapf_api

    import rsseg.models
    from rsseg.stack import require_stack

    require_stack()
    torch.set_num_threads(1)
    yapf.yapflib.yapf_api.FormatCode = lambda text, **_: (text, True)  # yapf takes a second for each config it prints
    assert matplotlib.figure and mmengine.runner and rasterio and rsseg.models
    gc.freeze()


def become(request: dict[str, Any]) -> int:
    """Run a tool in this process as ``python TOOL ARGUMENTS`` would; its exit status."""
    os.setsid()
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        file = os.open(request[name], os.O_RDONLY if name == "stdin" else os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (open(number, mode) for number, mode in enumerate("rww"))  # noqa: SIM115
    sys.stderr.reconfigure(line_buffering=True)  # type: ignore[attr-defined]
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    own = request["env"].get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:] = [str(Path(request["argv"][0]).parent), *own, *(entry for entry in sys.path[1:] if entry not in own)]
    return run_as_main(request["argv"])


def end(status: int) -> None:
    """Leave as an interpreter does that has run to its end, without the parts that belong to the server."""
    import atexit

    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(BaseException):
            stream.flush()
    os._exit(status)


def serve() -> None:
    """Answer ``start`` with a process id, and ``poll`` with that process's exit status, None while it runs."""
    load()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        if "poll" in request:
            process, status = os.waitpid(request["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if process else None
        else:
            answer = os.fork()
            if not answer:
                answers.close()
                end(become(request))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
