"""The benchmark entries by name, and how they are measured."""

from benchmarks.areas import run_areas
from benchmarks.bigearthnet import BEN_PACKED, BEN_SAMPLE, BEN_TIF
from benchmarks.cached_features import CACHED_FEATURES
from benchmarks.clicks import CLICKS
from benchmarks.convert_image import CONVERT_IMAGE
from benchmarks.convert_many import CONVERT_MANY
from benchmarks.convert_memory import CONVERT_MEMORY, CONVERT_MEMORY_BOXES
from benchmarks.convert_overlap import CONVERT_OVERLAP
from benchmarks.convert_postprocess import CONVERT_POSTPROCESS
from benchmarks.encode import ENCODE
from benchmarks.entry import Entry, measure
from benchmarks.export import EXPORT
from benchmarks.gsnet import GSNET
from benchmarks.loading import LOADING
from benchmarks.map_area import MAP_AREA
from benchmarks.map_memory import MAP_MEMORY
from benchmarks.map_precision import MAP_PRECISION
from benchmarks.map_throughput import MAP_THROUGHPUT
from benchmarks.metric import METRIC
from benchmarks.nas_step import NAS_STEP
from benchmarks.polygons import POLYGONS
from benchmarks.precision import PRECISION
from benchmarks.review import REVIEW
from benchmarks.sep_step import SEP_MEMORY, SEP_STEP
from benchmarks.slide import SLIDE, SLIDE_MEMORY
from benchmarks.startup import STARTUP
from benchmarks.suite import QUICK, run_suite, table
from benchmarks.tiling import TILING
from benchmarks.uda_step import UDA
from benchmarks.upernet_step import UPERNET

ENTRIES: dict[str, Entry] = {
    "ben_packed": BEN_PACKED,
    "ben_sample": BEN_SAMPLE,
    "ben_tif": BEN_TIF,
    "cached_features": CACHED_FEATURES,
    **CLICKS,
    "convert_image": CONVERT_IMAGE,
    "convert_many": CONVERT_MANY,
    "convert_memory": CONVERT_MEMORY,
    "convert_memory_boxes": CONVERT_MEMORY_BOXES,
    "convert_overlap": CONVERT_OVERLAP,
    "convert_postprocess": CONVERT_POSTPROCESS,
    "encode_labels": ENCODE,
    **EXPORT,
    **GSNET,
    **LOADING,
    "map_area": MAP_AREA,
    "map_memory": MAP_MEMORY,
    "map_unet_bf16": MAP_PRECISION,
    "map_throughput": MAP_THROUGHPUT,
    "metric": METRIC,
    "nas_step": NAS_STEP,
    **POLYGONS,
    **PRECISION,
    **REVIEW,
    "sep_memory": SEP_MEMORY,
    "sep_step": SEP_STEP,
    "slide": SLIDE,
    "slide_memory": SLIDE_MEMORY,
    **STARTUP,
    "tiling": TILING,
    **UDA,
    **UPERNET,
}

__all__ = ["ENTRIES", "QUICK", "Entry", "measure", "run_areas", "run_suite", "table"]
