"""Measure how fast models are: parameters, multiply-adds, latency, images per second and peak memory, as one table.

rsseg speed CONFIG.py|CHECKPOINT.pth|TABLE.csv ... [--size 1024] [--device cuda:0] [--batch 1] [--runs 20]
                      [--bf16] [--compile] [--onnx] [--predict] [--trust]

A table names configs of its folder and a paper's figures, see configs/openearthmap/table3.csv and table4.csv.
"""

from __future__ import annotations

import argparse
import logging
import warnings

from rsseg.commands import at_least, make_parser, write_result
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("targets", nargs="+", metavar="CONFIG.py|CHECKPOINT.pth|TABLE.csv", help="what to measure")
    parser.add_argument("--size", type=at_least(32), default=1024, help="side of the square images (default: 1024)")
    parser.add_argument("--device", default=None, help="such as cpu or cuda:0 (default: a GPU if there is one)")
    parser.add_argument("--batch", type=at_least(1), default=1, help="images at a time (default: 1)")
    parser.add_argument("--runs", type=at_least(1), default=20, help="measured runs (default: 20)")
    parser.add_argument("--warmup", type=at_least(0), default=3, help="runs before (default: 3)")
    parser.add_argument("--bf16", action="store_true", help="bfloat16 autocast")
    parser.add_argument("--compile", action="store_true", help="torch.compile the model")
    parser.add_argument("--onnx", action="store_true", help="with ONNX Runtime on the CPU; needs onnx and onnxruntime")
    parser.add_argument("--predict", action="store_true", help="whole predictions, as tests make them")
    parser.add_argument("--trust", action="store_true", help="run the configs that checkpoints hold: they are programs")
    return parser.parse_args()


def main() -> None:
    """Measure and show."""
    args = parse_args()
    require_stack()
    warnings.filterwarnings("ignore", category=UserWarning)  # of mmseg about the losses it builds; none is used
    import torch

    from rsseg.evaluation.speed import COUNTED, SpeedOptions, describe, measure_rows, read_targets, speed_table

    device = args.device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    wanted = {
        key: getattr(args, key) for key in ("size", "batch", "runs", "warmup", "bf16", "compile", "onnx", "predict")
    }
    options = SpeedOptions(device=device, **wanted)
    rows = []
    for row in measure_rows(read_targets(args.targets, args.trust), options):
        rows.append(row)
        logging.getLogger("rsseg").info("%s: %.1f ms", row.name, 1e3 * row.latency)
    text = "\n".join([*speed_table(rows), "", describe(options), "", COUNTED])
    write_result(text, {"how": describe(options), "counted": COUNTED, "rows": [vars(row) for row in rows]})
