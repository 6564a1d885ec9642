"""Maps: rasters of any size in, maps for GIS programs out."""

from rsseg.stack import require_stack

require_stack()

from rsseg.mapping.grid import BLENDS, Grid  # noqa: E402
from rsseg.mapping.model import SegmentorScorer, class_table, load_model, table_name, views_of, window_of  # noqa: E402
from rsseg.mapping.products import Products  # noqa: E402
from rsseg.mapping.results import Reference  # noqa: E402
from rsseg.mapping.runner import MapOptions, map_raster  # noqa: E402
from rsseg.mapping.source import RasterSource  # noqa: E402

__all__ = [
    "BLENDS",
    "Grid",
    "MapOptions",
    "Products",
    "RasterSource",
    "Reference",
    "SegmentorScorer",
    "class_table",
    "load_model",
    "map_raster",
    "table_name",
    "views_of",
    "window_of",
]
