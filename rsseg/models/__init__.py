"""Models: one module per method."""

from rsseg.stack import require_stack

require_stack()

from rsseg.models import backbones, mask2former  # noqa: E402
from rsseg.models.multihead import MultiHeadSegmentor, set_loss  # noqa: E402
from rsseg.models.segmentor import Segmentor, slide_logits  # noqa: E402
from rsseg.models.unet import UNetHead  # noqa: E402
from rsseg.models.unetformer import UNetFormerHead  # noqa: E402

__all__ = [
    "MultiHeadSegmentor",
    "Segmentor",
    "UNetFormerHead",
    "UNetHead",
    "backbones",
    "mask2former",
    "set_loss",
    "slide_logits",
]
