"""LandDiscover50K: five sets with one vocabulary, built from where they were unpacked or converted."""

from rsseg.datasets.landdiscover.building import Built, build_landdiscover
from rsseg.datasets.landdiscover.lists import list_pairs, write_subsets
from rsseg.datasets.landdiscover.sources import SOURCES, Item, Source, find_items

__all__ = [
    "SOURCES",
    "Built",
    "Item",
    "Source",
    "build_landdiscover",
    "find_items",
    "list_pairs",
    "write_subsets",
]
