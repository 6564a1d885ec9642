"""Unsupervised domain adaptation: a segmentor learns from a labelled source and an unlabelled target."""

from rsseg.models.adaptation.adversarial import AdaptSeg
from rsseg.models.adaptation.cbst import CBST
from rsseg.models.adaptation.clan import CLAN
from rsseg.models.adaptation.daformer import DAFormer
from rsseg.models.adaptation.discriminators import FCDiscriminator, PixelDiscriminator
from rsseg.models.adaptation.fada import FADA
from rsseg.models.adaptation.iast import IAST
from rsseg.models.adaptation.method import (
    AdaptationMethod,
    DomainBatch,
    SourceOnly,
    Student,
    copy_network,
    frozen,
    upsample,
)
from rsseg.models.adaptation.mic import MIC
from rsseg.models.adaptation.mmd import MMD
from rsseg.models.adaptation.pseudo_labels import SelfTrainingMethod, TargetImages
from rsseg.models.adaptation.pycda import PyCDA
from rsseg.models.adaptation.segmentor import AdaptationSegmentor, SteppedDataParallel
from rsseg.models.adaptation.transnorm import TransNorm, TransNormAdaptation

__all__ = [
    "CBST",
    "CLAN",
    "FADA",
    "IAST",
    "MIC",
    "MMD",
    "AdaptSeg",
    "AdaptationMethod",
    "AdaptationSegmentor",
    "DAFormer",
    "DomainBatch",
    "FCDiscriminator",
    "PixelDiscriminator",
    "PyCDA",
    "SelfTrainingMethod",
    "SourceOnly",
    "SteppedDataParallel",
    "Student",
    "TargetImages",
    "TransNorm",
    "TransNormAdaptation",
    "copy_network",
    "frozen",
    "upsample",
]
