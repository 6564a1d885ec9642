"""Networks that are searched for: SparseMask and FasterSeg."""

from rsseg.models.search.sparsemask import SparseMaskHead, SparseMaskSearchHead
from rsseg.models.search.sparsemask_backbone import SparseMaskMobileNet

__all__ = ["SparseMaskHead", "SparseMaskMobileNet", "SparseMaskSearchHead"]
