"""Measure a speed or memory claim: ours and the reference in turn on the same work.

    python tools/benchmark.py NAME [--json FILE] [--runs N]
    python tools/benchmark.py --quick            # a set that ends in five minutes on two cores
    python tools/benchmark.py --suite gpu        # one table, in under eight minutes on one card
    python tools/benchmark.py --suite serve      # tiles of a large map for 1, 10 and 50 clients of rsseg serve
    python tools/benchmark.py --suite areas --runs 2    # square kilometres in an hour, by shards and by Ray
    python tools/benchmark.py --list

Prints ``NAME ours=... reference=... ratio=... cpu_ratio=...`` (medians; ratio = reference / ours, so above 1 is better;
cpu_ratio is that of CPU seconds, for machines with other work on them).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from benchmarks import ENTRIES, QUICK, measure, run_areas, run_suite, table

from rsseg.commands import make_parser, run_tool, write_result
from rsseg.errors import ConfigError


def main() -> int:
    """Run the entries named on the command line."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="entries to measure (see --list)")
    parser.add_argument("--list", action="store_true", help="list the entries")
    parser.add_argument("--runs", type=int, default=5, help="measured runs of each side (default 5)")
    parser.add_argument("--json", type=Path, help="also write the results to this file")
    parser.add_argument("--quick", action="store_true", help=f"measure {', '.join(QUICK)}, one run of each side")
    parser.add_argument("--suite", choices=["gpu", "serve", "areas"], help="measure rates and print them as one table")
    parser.add_argument(
        "--device", choices=["cuda", "cpu"], default="cuda", help="of the suite gpu (default: %(default)s)"
    )
    parser.add_argument("--toy", action="store_true", help="the suite with tiny models and images, to try it out")
    args = parser.parse_args()
    if args.suite == "serve":
        return _serve(args.toy)
    if args.suite:
        return _suite(args)
    if args.quick:
        args.names, args.runs = [*args.names, *QUICK], 1
    if args.list or not args.names:
        write_result("\n".join(f"{name:20} {entry.about}" for name, entry in sorted(ENTRIES.items())), None)
        return 0 if args.list else 2
    unknown = [name for name in args.names if name not in ENTRIES]
    if unknown:
        parser.error(f"unknown entry {unknown[0]!r}; expected one of: {', '.join(sorted(ENTRIES))}")
    results = {}
    for name in args.names:
        results[name] = row = measure(ENTRIES[name], args.runs)
        unit = row["unit"]
        sides = f"ours={row['ours']:.4g}{unit} reference={row['reference']:.4g}{unit}"
        cpu = f" cpu_ratio={row['cpu_ratio']:.2f}" if "cpu_ratio" in row else ""
        write_result(f"{name} {sides} ratio={row['ratio']:.2f}{cpu}", None)
    if args.json:
        args.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def _suite(args: argparse.Namespace) -> int:
    import torch

    device = "cpu" if args.suite == "areas" else args.device
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--suite gpu: there is no GPU; --device cpu --toy tries the suite out")
    rows = list(run_areas(args.runs, args.toy) if args.suite == "areas" else run_suite(device, args.toy))
    write_result(table(rows, device), [row._asdict() for row in rows])
    return int(any(row.rate is None for row in rows))


def _serve(toy: bool) -> int:
    from benchmarks.serving import load_table, measure_load

    loads = measure_load(toy)
    write_result(load_table(loads), [load.row() for load in loads])
    return int(any(load.errors for load in loads))


if __name__ == "__main__":
    run_tool(main, "run the same command again")
