"""Convert a file with weights for the models here, and say what became of every key.

rsseg weights FILE OUT [--to backbone|model|teacher|merged] [--backbone NAME] [--set img_size=512] [--trust]

FILE: SAMRS checkpoints; ImageNet weights of torchvision, timm, mmpretrain or the models' authors; RSP; MAE; BEiT; DINO
(its teacher); SegFormer's MiT; GSNet, CAT-Seg, SED, EBSeg, OV-Seg, SCAN, mmseg's SAN and DAFormer (whole models; of
DAFormer the student, or with --backbone daformer_teacher the teacher); Inception-v2 of pretrained-models or TF-slim.
--set in_channels=12 inflates a ResNet's first convolution, take=[3,2,1] makes it of those for these old channels.
--to teacher writes the teacher of a checkpoint of domain adaptation (DAFormer, MIC; trained here) as a plain one.
--to merged --config CONFIG writes a checkpoint with adapters (tune="lora"; trained here) as one of a plain model.
OUT goes into model.backbone.init_cfg (a backbone) or the hook LoadPretrained (a model).  If a key is left unexplained,
nothing is written.
"""

from __future__ import annotations

import argparse
import ast
from functools import partial

from rsseg.commands import make_parser, write_result
from rsseg.stack import require_stack


def _setting(text: str) -> tuple[str, object]:
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: must be name=number or name='text'") from error


def parse_args() -> argparse.Namespace:
    """Command line."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("file", help="file with weights, .pth, .safetensors or .npz")
    parser.add_argument("out", help="file to write")
    parser.add_argument("--to", choices=("backbone", "model", "teacher", "merged"), help="what to make (default: all)")
    parser.add_argument("--backbone", help="target of ViT weights: vit (default), rvsa, vit_adapter; DAFormer's: above")
    parser.add_argument("--config", help="config of the training (--to merged)")
    parser.add_argument("--set", nargs="+", type=_setting, default=[], help="other settings of the backbone, see above")
    parser.add_argument("--trust", action="store_true", help="allow the file to run code while it loads")
    return parser.parse_args()


def main() -> None:
    """Convert, then give the report."""
    args = parse_args()
    require_stack()
    from rsseg.engine.weights import convert_weights

    if args.to in ("teacher", "merged"):
        from rsseg.engine import save_merged, save_teacher

        save = save_teacher if args.to == "teacher" else partial(save_merged, args.config)
        count = save(args.file, args.out, args.trust)
        write_result(f"{count} tensors ({args.to}) written to {args.out}", dict(file=args.file, tensors=count))
        return
    report = convert_weights(args.file, args.out, args.to, args.backbone, dict(args.set), args.trust)
    write_result(f"{report}\nwritten to {args.out}", vars(report))
