"""Class tables: one JSON per label set, one class per row, so name, id and colour cannot drift apart."""

from rsseg.metainfo.table import IGNORE, ClassTable, list_metainfo, load_metainfo

__all__ = ["IGNORE", "ClassTable", "list_metainfo", "load_metainfo"]
