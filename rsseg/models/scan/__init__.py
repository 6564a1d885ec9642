"""SCAN: masks whose queries and regions know what CLIP makes of the whole image."""

from rsseg.models.scan.prior import FrequencyFilter, QueryCalibration, SemanticPrior
from rsseg.models.scan.segmentor import SCAN, draw_outside

__all__ = ["SCAN", "FrequencyFilter", "QueryCalibration", "SemanticPrior", "draw_outside"]
