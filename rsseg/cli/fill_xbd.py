"""Put the images that OpenEarthMap's release leaves out where they belong, from your own xBD folder.

rsseg fill-xbd data/openearthmap XBD [--dry-run] [--account xbd.csv]

XBD holds xBD's parts as unpacked (train, tier3, test, hold), as PNGs or as the archive's GeoTIFFs.  Images become
GeoTIFFs with the georeferencing of their labels; where these are withheld, with that of xBD's GeoTIFF, or without any
from a PNG.  What is there stays; exit status 1 says what is missing.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import add_workers, make_parser


def main() -> int | str | None:
    """Parse the arguments, write the images, give account."""
    parser = make_parser(__doc__)
    parser.add_argument("root", type=Path, help="folder of the unpacked release, with xbd_files.csv")
    parser.add_argument("xbd", type=Path, help="folder of xBD's images, in any sub-folders")
    parser.add_argument("--dry-run", action="store_true", help="write no images; only report what would be done")
    parser.add_argument("--account", type=Path, help="CSV with the result for each image")
    add_workers(parser)
    args = parser.parse_args()
    from rsseg.datasets.openearthmap import fill_xbd, write_account

    filled = fill_xbd(args.root, args.xbd, args.workers, args.dry_run)
    if args.account:
        write_account(filled.rows, args.account)
    return filled.error_summary
