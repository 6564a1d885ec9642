"""SED: an encoder of convolutions, and a decoder of the similarities of every place with every text."""

from rsseg.models.sed.clip import ConvNeXtCLIP
from rsseg.models.sed.decoder import CostDecoder
from rsseg.models.sed.segmentor import SED, PromptChannels

__all__ = ["SED", "ConvNeXtCLIP", "CostDecoder", "PromptChannels"]
