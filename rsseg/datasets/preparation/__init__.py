"""Published archives to the tiles and lists that fine-tuning reads."""

from rsseg.datasets.preparation.few import choose_few, few_path, read_few, training_tiles, write_every, write_few
from rsseg.datasets.preparation.sets import BANDS, SETS, PreparedSet, isaid_pairs, potsdam_pairs, prepare
from rsseg.datasets.preparation.tiles import Colour, ColourCode, Layout, Pair, cut_pairs, tile_names

__all__ = [
    "BANDS",
    "SETS",
    "Colour",
    "ColourCode",
    "Layout",
    "Pair",
    "PreparedSet",
    "choose_few",
    "cut_pairs",
    "few_path",
    "isaid_pairs",
    "potsdam_pairs",
    "prepare",
    "read_few",
    "tile_names",
    "training_tiles",
    "write_every",
    "write_few",
]
