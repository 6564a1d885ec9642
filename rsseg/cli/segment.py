r"""Segment pictures and rasters by classes in your own words, with an open-vocabulary model.

    rsseg segment IMAGE_OR_TIF --vocabulary "runway, solar panel, flooded road" \
        --config configs/landdiscover/gsnet_vitb16.py --checkpoint FILE [--threshold 0.3] [--out DIR]

Writes into DIR for each image: NAME.tif, a GeoTIFF with the image's georeference; for a PNG or JPEG without one
NAME.png, whose pixels are class ids (255 for none); NAME_overlay.png to look at, with a legend; and NAME_areas.csv.
In the image's own folder they are NAME_map.tif and so on. Put a class name with a comma in double quotes: 'runway,
"road, paved"'; of names that are separated by a comma and a blank within one class the model reads the first. Plain
pictures are seen as the config tests (by the published five views, for GSNet), all others through sliding windows at
their own resolution, in memory that does not grow with them; --mode chooses. If it is interrupted, repeat the command
to continue.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from rsseg.commands import make_parser
from rsseg.stack import require_stack


def main() -> None:
    """Load the model, segment every image, draw every overlay."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.mapping.options import add_segment_arguments

    parser = make_parser(__doc__)
    add_segment_arguments(parser)
    args = parser.parse_args()
    require_stack()
    from rsseg.mapping.segmenting import run_segmentation
    from rsseg.reports.maps.overlay import write_overlay

    logging.basicConfig(level=logging.INFO, format="%(message)s")

    def show(image: str, target: Path) -> None:
        path = target.with_name(f"{target.stem}_overlay.png")
        write_overlay(target, image, path)
        logging.getLogger("rsseg").info("%s", path)

    run_segmentation(args, show)
