"""Compare two maps of one place: what has become of what, as tables, a raster, polygons and a page.

rsseg change BEFORE AFTER OUT [--vectors gpkg] [--merge landcover6]
rsseg change 2018.tif 2024.tif OUT --classes openearthmap --grid after

OUT gets change.html (maps, matrix, gains and losses), change.tif (a class for each pair of classes), transitions.csv,
matrix.csv, matrix_pixels.csv, classes.csv and change.json.  Maps of rsseg map name their classes; other rasters of one
band require --classes.  Classes meet by name.  Where the grids differ, the finer map is brought onto the coarser one by
the most frequent class; only ground that both maps cover is compared, and the rest is counted.
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, options_of, write_result


def main() -> None:
    """Compare, write, show the table."""
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from rsseg.mapping.change.options import add_arguments

    parser = make_parser(__doc__, results=True)
    add_arguments(parser)
    args = parser.parse_args()
    from rsseg.api import compare_maps

    found = compare_maps(**options_of(args))
    write_result(str(found), found.as_dict())
