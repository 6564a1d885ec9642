"""Test a checkpoint: per-class IoU, F1 and accuracy, OA, mF1, mIoU, and pictures; P, R, F1, F2 and mAP of image labels.

rsseg test CONFIG CHECKPOINT [--out DIR] [--show-dir DIR] [--tta] [--launcher pytorch]
rsseg test CONFIG CHECKPOINT --on configs/_base_/datasets/loveda.py --merge landcover6
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, options_of, write_result


def main() -> None:
    """Test, then give the scores."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    from rsseg.running import add_test_arguments

    parser = make_parser(__doc__, results=True)
    add_test_arguments(parser)
    args = parser.parse_args()
    from rsseg.running import evaluate

    scores = evaluate(**options_of(args), log_tables=False)
    if scores is not None:
        write_result(scores.text, dict(scores))
