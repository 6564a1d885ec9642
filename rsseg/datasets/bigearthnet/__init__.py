"""BigEarthNet v1.0 and v2.0: layout, labels, lists, bands from GeoTIFFs or one packed file."""

from rsseg.datasets.bigearthnet.archive import PatchInfo, find_patches, read_infos, season_of
from rsseg.datasets.bigearthnet.bands import read_bands, read_tif, stack_bands
from rsseg.datasets.bigearthnet.dataset import BigEarthNet, LoadBands
from rsseg.datasets.bigearthnet.lists import draw_split, read_list, split_names
from rsseg.datasets.bigearthnet.maps import BigEarthNetMaps, LoadReferenceMap, read_reference_map
from rsseg.datasets.bigearthnet.packed import pack_archive, read_packed, verify_packed
from rsseg.datasets.bigearthnet.preprocessing import BandPreprocessor, SegBandPreprocessor

__all__ = [
    "BandPreprocessor",
    "BigEarthNet",
    "BigEarthNetMaps",
    "LoadBands",
    "LoadReferenceMap",
    "PatchInfo",
    "SegBandPreprocessor",
    "draw_split",
    "find_patches",
    "pack_archive",
    "read_bands",
    "read_infos",
    "read_list",
    "read_packed",
    "read_reference_map",
    "read_tif",
    "season_of",
    "split_names",
    "stack_bands",
    "verify_packed",
]
