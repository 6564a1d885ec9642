"""Cut a folder of images into tiles, without labels.

rsseg tile IMAGES OUT [--size 1024] [--overlap 200] [--pad] [--format tif] [--bands 3,2,1] [--range 0,3000]

Tiles are named <stem>__<x>_<y>.png (or .tif); where several images have one stem, their folders come first. If it is
interrupted, repeat the command to continue. Images that have changed since are an error; --update cuts only these
again. Exit status 1 names the images that could not be cut; all others are.
"""

from __future__ import annotations

import os

from rsseg.commands import add_workers, at_least, make_parser, numbers
from rsseg.io.tile_formats import add_tile_format


def main() -> int | str | None:
    """Parse the arguments, cut."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    parser = make_parser(__doc__)
    parser.add_argument("images", help="folder of images (PNG, JPEG, BMP, TIFF; sub-folders too)")
    parser.add_argument("out", help="folder of tiles")
    parser.add_argument("--size", type=at_least(1), default=1024, help="side of a tile in pixels (default 1024)")
    parser.add_argument("--overlap", type=at_least(0), default=200, help="overlap of tiles in pixels (default 200)")
    parser.add_argument("--pad", action="store_true", help="pad tiles of smaller images with zeros")
    add_workers(parser)
    add_tile_format(parser)
    parser.add_argument("--update", action="store_true", help="cut again the images that have changed")
    parser.add_argument("--bands", type=numbers(int), help="red,green,blue (default: as marked in the file)")
    parser.add_argument(
        "--range", type=numbers(float, 2), help="values that become 0 and 255, for example 0,3000; writes 8 bits"
    )
    args = parser.parse_args()
    from rsseg.conversion.tiling import cut_images
    from rsseg.io.bands import PixelSpec

    options = args.size, args.overlap, args.pad, args.workers
    spec = PixelSpec(args.bands, args.range)
    how = dict(update=args.update, spec=spec, tile_format=args.format)
    return cut_images(args.images, args.out, *options, **how).error_summary
