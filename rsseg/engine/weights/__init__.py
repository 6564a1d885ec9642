"""Weights of others: files are recognised by their keys and converted to the names of the models here."""

from rsseg.engine.weights.conversion import TARGETS, convert_state, convert_weights, name_layout
from rsseg.engine.weights.verdict import Verdict

__all__ = ["TARGETS", "Verdict", "convert_state", "convert_weights", "name_layout"]
