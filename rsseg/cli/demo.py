"""The whole path on procedural scenes, on a CPU: scenes, labels, pre-training, fine-tuning, test, pictures.

    make demo        (or: rsseg demo [--iters N] [--few N])

Everything runs through the tools a user calls; each command is printed.  Writes data/scenes and work_dirs/demo.
"""

from __future__ import annotations

import functools

from rsseg.commands import at_least, make_parser
from rsseg.packaged import packaged_root
from rsseg.stack import require_stack


def main() -> None:
    """Run the stages."""
    parser = make_parser(__doc__)
    parser.add_argument("--iters", type=at_least(1), default=300, help="iterations of each training (default 300)")
    parser.add_argument("--few", type=at_least(1), default=12, help="labelled images for fine-tuning (default 12)")
    args = parser.parse_args()
    require_stack()
    from rsseg.reports.demo import Demo

    Demo(packaged_root(), functools.partial(print, flush=True), args.iters, args.few).run()
