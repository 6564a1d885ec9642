"""Networks that are searched for: SparseMask and FasterSeg."""

from rsseg.models.search.fasterseg import FasterSeg, FasterSegBackbone, FasterSegHead
from rsseg.models.search.fasterseg_search import FasterSegSearch, FasterSegSearchHead
from rsseg.models.search.fasterseg_supernet import FasterSegSupernet
from rsseg.models.search.sparsemask import SparseMaskHead, SparseMaskSearchHead
from rsseg.models.search.sparsemask_backbone import SparseMaskMobileNet

__all__ = [
    "FasterSeg",
    "FasterSegBackbone",
    "FasterSegHead",
    "FasterSegSearch",
    "FasterSegSearchHead",
    "FasterSegSupernet",
    "SparseMaskHead",
    "SparseMaskMobileNet",
    "SparseMaskSearchHead",
]
