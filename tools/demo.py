"""The whole path on procedural scenes, on a CPU: scenes, labels, pre-training, fine-tuning, test, pictures.

    make demo        (or: python tools/demo.py [--iters N] [--few N])

Everything runs through the tools a user calls; each command is printed.  Writes data/scenes and work_dirs/demo.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

from rsseg.stack import require_stack_or_exit


def main() -> None:
    """Run the stages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--iters", type=int, default=300, help="iterations of each training (default 300)")
    parser.add_argument("--few", type=int, default=12, help="labelled land-cover images for fine-tuning (default 12)")
    args = parser.parse_args()
    require_stack_or_exit()
    from rsseg.reports.demo import Demo

    try:
        Demo(Path(__file__).parents[1], functools.partial(print, flush=True), args.iters, args.few).run()
    except (RuntimeError, ValueError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
