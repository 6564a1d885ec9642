"""Weights of others: files are recognised by their keys and converted to the names of the models here."""

from rsseg.engine.weights.conversion import TARGETS, convert_state, convert_weights, name_layout
from rsseg.engine.weights.report import ConversionReport

__all__ = ["TARGETS", "ConversionReport", "convert_state", "convert_weights", "name_layout"]
