"""Maps: rasters of any size in, maps for GIS programs out."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "grid": ["BLENDS", "Grid"],
        "model": ["SegmentorScorer", "class_table", "load_model", "table_name", "views_of", "window_of"],
        "products": ["Products"],
        "results": ["Reference"],
        "runner": ["MapOptions", "map_raster"],
        "source": ["RasterSource"],
    },
    stack=["model", "runner"],
)
