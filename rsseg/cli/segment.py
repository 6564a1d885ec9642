r"""Segment pictures and rasters: a map, a picture with a legend and the area of each class, for one image or many.

    rsseg segment IMAGE_OR_TIF --config CONFIG --checkpoint FILE [--head sota|all] [--out DIR]
    rsseg segment IMAGE_OR_TIF --vocabulary "runway, solar panel, flooded road" \
        --config configs/landdiscover/gsnet_vitb16.py --checkpoint FILE [--threshold 0.3] [--out DIR]

Any segmentation model will do; --head chooses the label set of one with several, --head all makes maps of every one,
in folders DIR/HEAD, and DIR/NAME_heads.png with all overlays. With an open-vocabulary model, the classes are
--vocabulary, your own words. Put a class name with a comma in double quotes: 'runway, "road, paved"'; of names that are
separated by a comma and a blank within one class the model reads the first. Such a model sees plain pictures as its
config tests (by the published five views, for GSNet), all others through sliding windows at their own resolution;
--mode chooses.

Writes into DIR for each image: NAME.tif, a GeoTIFF with the image's georeference; for a PNG or JPEG without one
NAME.png, whose pixels are class ids (255 for none); NAME_overlay.png to look at; and NAME_areas.csv. In the image's own
folder they are NAME_map.tif and so on. Memory does not grow with the image. If it is interrupted, repeat the command to
continue.
"""

from __future__ import annotations

import os

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
    from rsseg.api import segment_files

    segment_files(args)
