"""The benchmark entries by name, and how they are measured."""

from benchmarks.entry import Entry, measure
from benchmarks.metric import METRIC

ENTRIES: dict[str, Entry] = {"metric": METRIC}

__all__ = ["ENTRIES", "Entry", "measure"]
