"""Class tables: one JSON per label set, a row per class, so name, id and colour cannot drift apart; regions; bands."""

from rsseg.metainfo.bands import Band, band_statistics, load_bands
from rsseg.metainfo.corine import LABEL_SETS, LabelSet, load_label_set
from rsseg.metainfo.countries import countries_at
from rsseg.metainfo.merging import merged_ids, unmatched_ids
from rsseg.metainfo.regions import CONTINENTS, Region, load_regions, region_of
from rsseg.metainfo.table import IGNORE, ClassTable, list_metainfo, load_metainfo, table_path

__all__ = [
    "CONTINENTS",
    "IGNORE",
    "LABEL_SETS",
    "Band",
    "ClassTable",
    "LabelSet",
    "Region",
    "band_statistics",
    "countries_at",
    "list_metainfo",
    "load_bands",
    "load_label_set",
    "load_metainfo",
    "load_regions",
    "merged_ids",
    "region_of",
    "table_path",
    "unmatched_ids",
]
