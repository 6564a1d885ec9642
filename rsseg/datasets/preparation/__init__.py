"""Published archives to the tiles and lists that fine-tuning reads."""

from rsseg.datasets.preparation.sets import SETS, PreparedSet, isaid_pairs, potsdam_pairs, prepare
from rsseg.datasets.preparation.tiles import Colour, ColourCode, Layout, Pair, Report, cut_pairs, tile_names

__all__ = [
    "SETS",
    "Colour",
    "ColourCode",
    "Layout",
    "Pair",
    "PreparedSet",
    "Report",
    "cut_pairs",
    "isaid_pairs",
    "potsdam_pairs",
    "prepare",
    "tile_names",
]
