"""BigEarthNet v1.0 and v2.0: layout, labels, lists, bands from GeoTIFFs or one packed file."""

from rsseg.datasets.bigearthnet.archive import PatchInfo, find_patches, read_infos, season_of
from rsseg.datasets.bigearthnet.bands import read_bands, read_tif, stack_bands
from rsseg.datasets.bigearthnet.dataset import BigEarthNet, LoadBands
from rsseg.datasets.bigearthnet.lists import draw_split, read_list, split_names

__all__ = [
    "BigEarthNet",
    "LoadBands",
    "PatchInfo",
    "draw_split",
    "find_patches",
    "read_bands",
    "read_infos",
    "read_list",
    "read_tif",
    "season_of",
    "split_names",
    "stack_bands",
]
