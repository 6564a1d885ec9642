"""Train a model from a config: pre-training, fine-tuning or from scratch.

rsseg train CONFIG [--work-dir DIR] [--resume [CHECKPOINT]] [--amp] [--compile]
                      [--log tensorboard] [--cfg-options key=value ...] [--launcher pytorch]
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, options_of


def main() -> None:
    """Train."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.running import add_train_arguments

    parser = make_parser(__doc__)
    add_train_arguments(parser)
    args = parser.parse_args()
    from rsseg.running import train

    train(**options_of(args))
