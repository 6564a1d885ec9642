"""Class tables: one JSON per label set, a row per class, so name, id and colour cannot drift apart."""

from rsseg.metainfo.heads import class_names, explain_difference, head_errors, head_settings, trained_names
from rsseg.metainfo.matching import ClassMatch, match_classes
from rsseg.metainfo.merging import ids_of_map, merged_ids, unmatched_ids
from rsseg.metainfo.table import BACKGROUND, IGNORE, ClassTable, base_table, list_metainfo, load_metainfo, table_path
from rsseg.metainfo.words import word_table

__all__ = [
    "BACKGROUND",
    "IGNORE",
    "ClassMatch",
    "ClassTable",
    "base_table",
    "class_names",
    "explain_difference",
    "head_errors",
    "head_settings",
    "ids_of_map",
    "list_metainfo",
    "load_metainfo",
    "match_classes",
    "merged_ids",
    "table_path",
    "trained_names",
    "unmatched_ids",
    "word_table",
]
