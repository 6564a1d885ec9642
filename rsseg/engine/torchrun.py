"""torchrun as the scripts of ``tools`` call it: an interruption, or a process that fails, is one line.

``python -m rsseg.engine.torchrun ARGUMENTS OF TORCHRUN``
"""

from __future__ import annotations

import logging
import os
import signal

from rsseg.interruption import AGAIN, LAUNCHED, Watch, leave

__all__ = ["main"]


def main() -> None:
    """Run torchrun; the exit status is that of the first process that failed, or 128 and the number of a signal."""
    watch = Watch(f"{AGAIN} (a training: with --resume)")
    os.environ[LAUNCHED] = "1"
    try:
        _run(watch)
    except KeyboardInterrupt:
        watch.end()


def _run(watch: Watch) -> None:
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main as run

    logging.disable(logging.ERROR)  # what torchrun tells of its processes; they tell themselves
    try:
        run()
    except SignalException as error:
        watch.end(error.sigval)
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        status = failure.exitcode
        if status < 0:
            name = signal.Signals(-status).name
            leave(1, f"process {rank} of the job was killed ({name}); was there enough memory?\n")
        leave(status, f"process {rank} of the job ended with status {status}, see above\n")


if __name__ == "__main__":
    main()
