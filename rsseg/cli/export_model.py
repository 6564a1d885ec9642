"""Export a trained model to ONNX or OpenVINO: for faster maps on CPUs, for other programs, for QGIS.

    rsseg export-model CONFIG CHECKPOINT --to onnx|openvino [--out FILE] [--head NAME]
    rsseg map SRC DST --model FILE.onnx [--runtime openvino]

The file takes images of any size and batch, in the values that the model was trained on, and gives its scores at the
image's size; the normalisation is in it, and class names, colours, bands and windows are in its metadata. Before it is
written, its scores are compared with the checkpoint's. --profile qgis writes a file for the plugins Deepness and
GeoDeep: tiles of one size, 8-bit colours divided by 255 in, probabilities out.
rsseg export with --to onnx or openvino is this command, too. Needs the extra: python -m pip install "rsseg[export]".
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rsseg.commands import above, at_least, make_parser, write_result
from rsseg.engine.launch import ConfigOptions
from rsseg.io.checkpoint_options import add_checkpoint_options
from rsseg.stack import require_stack


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    add = parser.add_argument
    add("config", help="the model's config file")
    add("checkpoint", help="the model's weights")
    add("--to", required=True, choices=("onnx", "openvino"), help="a .onnx file, or OpenVINO's .xml and .bin")
    add("--out", type=Path, metavar="FILE", help="the file (default: work_dirs/export/CONFIG.onnx, or .xml)")
    add("--head", help="label set, for models with several heads")
    add("--classes", help="class table (a name or a .json), if the config does not name one")
    add("--size", type=at_least(32), help="side of the only images that it shall take, one at a time (default: any)")
    add("--profile", choices=["qgis"], help="for the plugins Deepness and GeoDeep; requires --size")
    add("--gsd", type=above(0), help="metres per pixel that the model was trained with, for the plugins of QGIS")
    add("--int8", type=at_least(1), metavar="N", help="convolutions in 8-bit integers, calibrated on N images of the "
        "config's validation set; says what that costs on the others")  # fmt: skip
    add("--overwrite", action="store_true", help="replace the file")
    add_checkpoint_options(parser)
    add("--cfg-options", nargs="+", action=ConfigOptions, help="override settings of the config: key=value ...")
    return parser.parse_args()


def main() -> None:
    """Export, then say what was written."""
    args = parse_args()
    require_stack()
    from rsseg.mapping.exporting import export_model, export_summary

    made = export_model(args)
    write_result(export_summary(made), made._asdict())
