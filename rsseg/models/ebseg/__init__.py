"""EBSeg: masks from the features of two frozen towers, named in three ways that are weighed against each other."""

from rsseg.models.ebseg.proposals import EmbeddedProposals
from rsseg.models.ebseg.sam import SAMEncoder
from rsseg.models.ebseg.scores import Exponents, fuse_scores, seen_classes, structure_loss
from rsseg.models.ebseg.segmentor import EBSeg

__all__ = [
    "EBSeg",
    "EmbeddedProposals",
    "Exponents",
    "SAMEncoder",
    "fuse_scores",
    "seen_classes",
    "structure_loss",
]
