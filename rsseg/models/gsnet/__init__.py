"""GSNet: two image streams, a vocabulary of texts, and a score for each text at each pixel."""

from rsseg.models.gsnet.ablations import ConcatFusion, CostEmbedding, FusionQuery, SpecialistGSNet
from rsseg.models.gsnet.aggregator import Aggregator
from rsseg.models.gsnet.clip import CLIP
from rsseg.models.gsnet.decoder import ResidualDecoder
from rsseg.models.gsnet.dino import DINO
from rsseg.models.gsnet.dinov3 import DINOv3Specialist
from rsseg.models.gsnet.encoder import StreamProjections
from rsseg.models.gsnet.fusion import QueryGuidedFusion, cost_volume
from rsseg.models.gsnet.inference import AnySizePreprocessor, FiveViews
from rsseg.models.gsnet.segmentor import GSNet, vocabulary_loss
from rsseg.models.gsnet.text import Vocabulary

__all__ = [
    "CLIP",
    "DINO",
    "Aggregator",
    "AnySizePreprocessor",
    "ConcatFusion",
    "CostEmbedding",
    "DINOv3Specialist",
    "FiveViews",
    "FusionQuery",
    "GSNet",
    "QueryGuidedFusion",
    "ResidualDecoder",
    "SpecialistGSNet",
    "StreamProjections",
    "Vocabulary",
    "cost_volume",
    "vocabulary_loss",
]
