"""Unsupervised domain adaptation: a segmentor learns from a labelled source and an unlabelled target."""

from rsseg.models.adaptation.discriminators import FCDiscriminator, PixelDiscriminator
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
from rsseg.models.adaptation.transnorm import TransNorm

__all__ = [
    "AdaptationMethod",
    "AdaptationSegmentor",
    "DomainBatch",
    "FCDiscriminator",
    "PixelDiscriminator",
    "SourceOnly",
    "SteppedDataParallel",
    "Student",
    "TransNorm",
    "copy_network",
    "frozen",
    "upsample",
]
