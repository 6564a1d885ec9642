"""Map rasters of any size with a trained model: GeoTIFFs that GIS programs open.

python tools/map_raster.py SRC DST --config CONFIG --checkpoint FILE [--bands 3,2,1] [--tta] [--probabilities top]

Interrupt it when you like: the same command goes on where it stopped.  Several processes: tools/dist_map.sh.
Open-vocabulary models take their classes from --vocabulary "runway, solar panel"; tools/segment.py draws pictures too.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys

from rsseg.stack import require_stack_or_exit


def main() -> None:
    """Load the model, map every source."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.mapping.options import add_arguments

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    args = parser.parse_args()
    require_stack_or_exit()
    from rsseg.mapping.command import run

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(args)
    except (ValueError, OSError, ImportError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
