"""What a script takes for the Python interpreter: its arguments are run by a fork of ``tool_server.py``.

    python -S -E tests/forked_python.py SOCKET ARGUMENTS OF PYTHON

Signals are passed on, and this process ends as the fork does.
"""

import json
import os
import signal
import socket
import sys


def main() -> None:
    """Ask, wait, and end in the same way."""
    server = socket.socket(socket.AF_UNIX)
    server.connect(sys.argv[1])
    request = {"arguments": sys.argv[2:], "cwd": os.getcwd(), "env": dict(os.environ)}
    data = json.dumps(request).encode() + b"\n"
    server.sendall(data[socket.send_fds(server, [data], [0, 1, 2]) :])
    answers = server.makefile()
    process = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: os.kill(process, number))
    status = int(answers.readline())
    if status < 0:
        if -status not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


main()
