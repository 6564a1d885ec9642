"""One HTML page for a map of rsseg map: the map, the image beside it, legend, areas, accuracy, provenance.

rsseg report map MAP.tif [--image SRC] [--bands 3,2,1] [--out map.html]
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rsseg.commands import make_parser, numbers


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__)
    parser.add_argument("map", type=Path, help="the map, with its CSV files in the same folder")
    parser.add_argument("--image", metavar="SRC", help="image to show (default: the map's source in the same folder)")
    parser.add_argument(
        "--bands", type=numbers(int), help="bands as red,green,blue (default: those that the map was made from)"
    )
    parser.add_argument("--out", type=Path, help="the page (default: the map's name with .html)")
    return parser.parse_args()


def main() -> None:
    """Write the page."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    args = parse_args()
    from rsseg.reports.maps.page import report_map

    report_map(args.map, args.out or args.map.with_suffix(".html"), args.image, args.bands)
