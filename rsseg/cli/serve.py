r"""A page in the browser: look at maps, ask for classes in your own words, click and box objects, review labels.

    rsseg serve MAP.tif IMAGE.tif FOLDER CONVERTED_SET ... [--config CONFIG --checkpoint FILE] [--predictor sam]

Only what is named is shown. Without --config the tool "Words" says how to name a model; clicks and boxes work without
weights (GrabCut), and better with --predictor sam --predictor-weights FILE. Saved maps, polygons and reviews go to
--out. The page is for this machine only; --host 0.0.0.0 --token auto opens it to others. /docs describes the interface
for programs.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from rsseg.commands import at_least, make_parser
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    from rsseg.engine.launch import ConfigOptions, add_precision
    from rsseg.mapping.options import add_pixels

    parser = make_parser(__doc__)
    add = parser.add_argument
    add("path", nargs="+", type=Path, metavar="PATH", help="maps, images, folders of them, converted sets")
    add("--out", type=Path, default=Path("work_dirs/serve"), help="folder of results (default: %(default)s)")
    add("--host", default="127.0.0.1", help="address to listen at (default: %(default)s, this machine only)")
    add("--port", type=at_least(0), default=8000, help="port to listen at; 0: a free one (default: %(default)s)")
    add("--token", help="what requests must know; auto: a new one (default: $RSSEG_TOKEN); required with other hosts")
    add("--config", help="config of the model for own words, for example configs/landdiscover/gsnet_vitb16.py")
    add("--checkpoint", help="its weights: a file, or hf://OWNER/NAME on the hub")
    add("--head", help="label set, for models with several heads")
    add("--classes", help="class table (a name or a .json), if the config does not name one")
    add("--template", help="text with {} where a class goes (default: the config's)")
    add("--mode", choices=["slide", "five_view", "whole", "config"], help="as of rsseg map")
    add("--trust", action="store_true", help="load files that may run code; only your own")
    add("--cfg-options", nargs="+", action=ConfigOptions, help="override settings of the config: key=value ...")
    add("--predictor", default="grabcut", help="mask model of clicks and boxes: sam, sam2 ... (default: %(default)s)")
    add("--predictor-weights", metavar="FILE", help="its weights")
    add("--device", help="cpu, cuda, cuda:1 ... (default: a GPU where there is one)")
    add("--reviewer", default="me", metavar="NAME", help="who reviews labels (default: %(default)s)")
    add("--not-blind", action="store_true", help="reviewers see what others decided before they have finished")
    add_pixels(parser)
    add_precision(parser)
    return parser.parse_args()


def main() -> None:
    """Serve until Ctrl-C."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    args = parse_args()
    require_stack()
    from rsseg.serving.command import serve

    serve(args)
