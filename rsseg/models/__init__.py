"""Models: one module per method."""

from rsseg.stack import require_stack

require_stack()

from rsseg.models import (  # noqa: E402
    adaptation,
    backbones,
    ebseg,
    gsnet,
    mask2former,
    ovseg,
    regions,
    san,
    scan,
    search,
    sed,
)
from rsseg.models.boxmask import BoxMaskModel  # noqa: E402
from rsseg.models.cached import FeatureStore, cached  # noqa: E402
from rsseg.models.daformer_head import DAFormerHead  # noqa: E402
from rsseg.models.deeplab_v2 import DeepLabV2Head  # noqa: E402
from rsseg.models.dino_pretraining import DINOHead, DINOPretraining  # noqa: E402
from rsseg.models.eomt import EoMT, EoMTHead  # noqa: E402
from rsseg.models.gsnet.dino import DINO  # noqa: E402
from rsseg.models.inception_v2 import InceptionV2  # noqa: E402
from rsseg.models.multihead import MultiHeadSegmentor, set_loss  # noqa: E402
from rsseg.models.sam3 import SAM3  # noqa: E402
from rsseg.models.scnn import SCNN  # noqa: E402
from rsseg.models.segearth_ov import SegEarthOV  # noqa: E402
from rsseg.models.segearth_ov3 import SegEarthOV3  # noqa: E402
from rsseg.models.segmentor import Segmentor, slide_logits  # noqa: E402
from rsseg.models.simfeatup import SimFeatUp  # noqa: E402
from rsseg.models.tta import FlipsModel  # noqa: E402
from rsseg.models.tuning import tune_encoder, tuned  # noqa: E402
from rsseg.models.unet import UNetHead  # noqa: E402
from rsseg.models.unetformer import UNetFormerHead  # noqa: E402
from rsseg.models.uper_head import LowResUPerHead  # noqa: E402

__all__ = [
    "DINO",
    "SAM3",
    "SCNN",
    "BoxMaskModel",
    "DAFormerHead",
    "DINOHead",
    "DINOPretraining",
    "DeepLabV2Head",
    "EoMT",
    "EoMTHead",
    "FeatureStore",
    "FlipsModel",
    "InceptionV2",
    "LowResUPerHead",
    "MultiHeadSegmentor",
    "SegEarthOV",
    "SegEarthOV3",
    "Segmentor",
    "SimFeatUp",
    "UNetFormerHead",
    "UNetHead",
    "adaptation",
    "backbones",
    "cached",
    "ebseg",
    "gsnet",
    "mask2former",
    "ovseg",
    "regions",
    "san",
    "scan",
    "search",
    "sed",
    "set_loss",
    "slide_logits",
    "tune_encoder",
    "tuned",
]
