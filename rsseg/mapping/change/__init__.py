"""Two maps of one place: what has become of what, in numbers, as a raster and as polygons."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {"comparing": ["compare_maps"], "options": ["ChangeOptions"], "transitions": ["LeftOut", "Transitions"]},
)
