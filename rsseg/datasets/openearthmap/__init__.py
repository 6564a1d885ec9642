"""OpenEarthMap's splits, lists and missing images."""

from rsseg.datasets.openearthmap.lists import derived_lists, labelled_images, official_lists, write_lists
from rsseg.datasets.openearthmap.making import make_lists, new_split
from rsseg.datasets.openearthmap.splits import Split, choose_split, count_labels, part_sizes, split_regions
from rsseg.datasets.openearthmap.submission import Submission, pack_submission
from rsseg.datasets.openearthmap.xbd import Filled, fill_xbd, read_pairs, write_account

__all__ = [
    "Filled",
    "Split",
    "Submission",
    "choose_split",
    "count_labels",
    "derived_lists",
    "fill_xbd",
    "labelled_images",
    "make_lists",
    "new_split",
    "official_lists",
    "pack_submission",
    "part_sizes",
    "read_pairs",
    "split_regions",
    "write_account",
    "write_lists",
]
