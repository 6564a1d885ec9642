"""The benchmark entries by name, and how they are measured."""

from benchmarks.convert_image import CONVERT_IMAGE
from benchmarks.convert_memory import CONVERT_MEMORY, CONVERT_MEMORY_BOXES
from benchmarks.convert_overlap import CONVERT_OVERLAP
from benchmarks.convert_postprocess import CONVERT_POSTPROCESS
from benchmarks.entry import Entry, measure
from benchmarks.metric import METRIC
from benchmarks.sep_step import SEP_MEMORY, SEP_STEP
from benchmarks.tiling import TILING

ENTRIES: dict[str, Entry] = {
    "convert_image": CONVERT_IMAGE,
    "convert_memory": CONVERT_MEMORY,
    "convert_memory_boxes": CONVERT_MEMORY_BOXES,
    "convert_overlap": CONVERT_OVERLAP,
    "convert_postprocess": CONVERT_POSTPROCESS,
    "metric": METRIC,
    "sep_memory": SEP_MEMORY,
    "sep_step": SEP_STEP,
    "tiling": TILING,
}

__all__ = ["ENTRIES", "Entry", "measure"]
