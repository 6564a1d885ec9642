"""Train a mask model of your own: a small network that turns boxes into masks, from a few images with masks.

rsseg train-boxmask CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--amp] [--log tensorboard]
                    [--cfg-options key=value ...]

DIR gets boxmask.pth; then: rsseg convert CONFIG --predictor boxmask --checkpoint DIR/boxmask.pth
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, options_of, write_result


def main() -> None:
    """Train, and say where the model is."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.running import add_train_arguments

    parser = make_parser(__doc__, results=True)
    add_train_arguments(parser)
    options = options_of(parser.parse_args())
    from rsseg.running import train_box_masks

    path = train_box_masks(options.pop("config"), **options)
    if path is not None:
        write_result(f"masks from boxes: rsseg convert CONFIG --predictor boxmask --checkpoint {path}", {"model": path})
