"""The benchmark entries by name, and how they are measured."""

from benchmarks.convert_image import CONVERT_IMAGE
from benchmarks.convert_overlap import CONVERT_OVERLAP
from benchmarks.entry import Entry, measure
from benchmarks.metric import METRIC

ENTRIES: dict[str, Entry] = {"convert_image": CONVERT_IMAGE, "convert_overlap": CONVERT_OVERLAP, "metric": METRIC}

__all__ = ["ENTRIES", "Entry", "measure"]
