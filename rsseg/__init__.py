"""rsseg: remote-sensing segmentation on MMSegmentation.

What a script needs is here by name, and imported when it is asked for: ``import rsseg`` loads neither torch nor the MM
stack nor rasterio.  The packages below offer more.  It watches for mmengine, whose readers of weight files it
replaces by its own, see :mod:`rsseg.io.guards`.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036  (older ones cannot even read the modules below)
    message = "rsseg needs Python 3.10 or newer; {} is {}.{}".format(sys.executable, *sys.version_info[:2])
    sys.exit(message) if sys.argv[:1] == ["-m"] else None
    raise ImportError(message)

from rsseg.imports import watch_mmengine
from rsseg.io.guards import guard
from rsseg.stack import lazy_package

__version__ = "0.2.0"

# For type checkers and editors they stand in __init__.pyi as well; a test compares both.
_NAMES = {
    "api": ["Model", "check_dataset", "compare_maps", "load_model", "map_raster", "read_labels", "segment"],
    "errors": ["AnnotationError", "ConfigError", "DataError", "JobError", "MissingPackageError", "UserError"],
    "metainfo": ["ClassTable", "list_metainfo", "load_metainfo"],
    "io.configs": ["read_config"],
    "io.georeference": ["GeoReference"],
    "io.rasters": ["Raster", "read_image"],
    "datasets.checking.check": ["check_config"],
    "datasets.detection": ["open_source"],
    "datasets.labels": ["open_labels"],
    "engine.weights": ["convert_weights"],
    "evaluation.agreement": ["LabelFolder", "compare_folders"],
    "conversion": ["convert_labels", "load_conversion_config"],
    "conversion.exports": ["export_labels"],
    "conversion.tiling": ["cut_images"],
    "mapping": ["MapOptions", "SegmentorScorer"],
    "running": ["Scores", "evaluate", "train"],
    "reports.bigearthnet.report": ["report_archive"],
    "reports.labels.report": ["report_labels"],
    "reports.land_cover.report": ["report_sets"],
    "reports.maps.page": ["report_map"],
    "scenes": ["make_scene", "write_scenes"],
}

guard()
__all__, __getattr__, __dir__ = lazy_package(
    __name__, _NAMES, stack=["datasets.checking.check", "engine.weights", "reports.land_cover.report"]
)
watch_mmengine()
