"""The whole path on procedural scenes, on a CPU: scenes, labels, pre-training, fine-tuning, tests, a map, one page.

    make demo        (or: rsseg demo [--iters N] [--seeds N] [--tiny])

Everything runs through the commands a user types.  Writes data/scenes, data/weights and work_dirs/demo; open
work_dirs/demo/index.html.  Interrupt it when you like: the same command goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
from collections.abc import Iterator

from rsseg.commands import at_least, make_parser, write_result
from rsseg.packaged import packaged_root
from rsseg.stack import require_stack


@contextlib.contextmanager
def _saying(log: logging.Logger, text: str, every: float = 15.0) -> Iterator[None]:
    """Log a text every few seconds; its thread has ended when the demo forks."""
    done = threading.Event()

    def say() -> None:
        while not done.wait(every):
            log.info(text)

    thread = threading.Thread(target=say, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def main() -> None:
    """Run the stages."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__, results=True)
    parser.add_argument("--iters", type=at_least(1), nargs=2, help="iterations: with all labels, and with few")
    parser.add_argument("--seeds", type=at_least(1), help="repetitions of each fine-tuning")
    parser.add_argument("--jobs", type=at_least(1), default=2, help="processes at a time (default: %(default)s)")
    parser.add_argument("--tiny", action="store_true", help="a handful of scenes, two iterations: does all run?")
    args = parser.parse_args()
    log = logging.getLogger("rsseg")
    log.info("Loading torch and the MM stack ...")
    with _saying(log, "still loading; the first time takes longest"):
        require_stack()
        from rsseg.demo.plan import TINY, Scale
        from rsseg.demo.run import Demo
    scale = TINY if args.tiny else Scale()
    scale = dataclasses.replace(scale, seeds=args.seeds or scale.seeds, iters=tuple(args.iters or scale.iters))
    write_result(*Demo(packaged_root(), log.info, scale, args.jobs).run())
