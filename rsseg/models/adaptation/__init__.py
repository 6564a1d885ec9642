"""Unsupervised domain adaptation: a segmentor learns from a labelled source and an unlabelled target."""

from rsseg.models.adaptation.method import (
    AdaptationMethod,
    DomainBatch,
    SourceOnly,
    Student,
    copy_network,
    frozen,
    upsample,
)
from rsseg.models.adaptation.segmentor import AdaptationSegmentor, SteppedDataParallel

__all__ = [
    "AdaptationMethod",
    "AdaptationSegmentor",
    "DomainBatch",
    "SourceOnly",
    "SteppedDataParallel",
    "Student",
    "copy_network",
    "frozen",
    "upsample",
]
