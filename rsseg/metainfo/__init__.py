"""Class tables: one JSON per label set, a row per class, so name, id and colour cannot drift apart."""

from rsseg.metainfo.merging import merged_ids, unmatched_ids
from rsseg.metainfo.table import IGNORE, ClassTable, list_metainfo, load_metainfo, table_path

__all__ = [
    "IGNORE",
    "ClassTable",
    "list_metainfo",
    "load_metainfo",
    "merged_ids",
    "table_path",
    "unmatched_ids",
]
