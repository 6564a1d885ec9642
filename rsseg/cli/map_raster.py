"""Map rasters of any size with a trained model: GeoTIFFs that GIS programs open.

rsseg map SRC DST --config CONFIG --checkpoint FILE [--bands 3,2,1] [--tta] [--probabilities top]

If it is interrupted, repeat the command to continue. Several processes: tools/dist_map.sh. Open-vocabulary models
take their classes from --vocabulary "runway, solar panel"; rsseg segment draws pictures too.
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser
from rsseg.stack import require_stack


def main() -> None:
    """Load the model, map every source."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.mapping.options import add_arguments

    parser = make_parser(__doc__)
    add_arguments(parser)
    args = parser.parse_args()
    require_stack()
    from rsseg.mapping.command import run

    run(args)
