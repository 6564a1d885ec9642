"""Make one layer of a folder of maps: a mosaic, a STAC collection, and the areas of all maps in one table.

rsseg collect FOLDER [--crs EPSG:3035]
rsseg collect s3://bucket/maps/

FOLDER is what rsseg map wrote for a folder of rasters, by one command or by many jobs.  It gets mosaic.gti.gpkg (a
raster for GDAL 3.9 and newer) and mosaic.vrt (for all others, where all maps share one grid of pixels), areas.csv and
collection.json.  Paths in them are relative.  rsseg map does the same at its end; repeat it as maps are added.
"""

from __future__ import annotations

from rsseg.commands import make_parser, write_result
from rsseg.io.storage import storage_or_path


def main() -> None:
    """Parse the arguments, collect, show the areas."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("folder", metavar="FOLDER", type=storage_or_path, help="maps with their items, also in "
                        "sub-folders; a folder or an address such as s3://bucket/maps/")  # fmt: skip
    parser.add_argument("--crs", help="CRS of the mosaic, such as EPSG:3035 (default: that of most maps)")
    args = parser.parse_args()
    from rsseg.io.storage import Storage
    from rsseg.mapping.collection import collect, read_crs

    crs = None if args.crs is None else read_crs(args.crs)
    found = collect(Storage(args.folder) if isinstance(args.folder, str) else args.folder, crs)
    columns, *rows = found.areas.rows()
    areas = [dict(zip(columns, row, strict=True)) for row in rows]
    write_result(str(found), {"maps": found.maps, "overlaps": found.overlaps, "areas": areas, "files": found.files})
