"""Count the parameters and multiply-adds of models, as a Markdown table, without their weights and in a second each.

rsseg parameters CONFIG.py|TABLE.csv ... [--sizes 512 1024]

A table names configs of its folder and a paper's figures for them, see configs/openearthmap/table3.csv.
"""

from __future__ import annotations

import argparse
import warnings

from rsseg.commands import at_least, make_parser, write_result
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("targets", nargs="+", metavar="CONFIG.py|TABLE.csv", help="what to count")
    parser.add_argument(
        "--sizes",
        nargs="+",
        type=at_least(32),
        default=[512, 1024],
        help="sides of the square images (default: 512 1024)",
    )
    return parser.parse_args()


def main() -> None:
    """Count and show."""
    args = parse_args()
    require_stack()
    warnings.filterwarnings("ignore", category=UserWarning)  # of mmseg about the losses it builds; none is used
    from rsseg.evaluation.complexity import read_rows, table_lines

    lines = list(table_lines(read_rows(args.targets), args.sizes))
    write_result("\n".join(lines), lines)
