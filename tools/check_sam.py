"""Check that our SAM gives the same masks, bit by bit, as segment_anything's own predictor, prompt by prompt.

    python tools/check_sam.py --model vit_b --random-seed 0
    python tools/check_sam.py --model vit_h --checkpoint data/weights/sam_vit_h_4b8939.pth --sizes 600 1024x700

Prints a table; ends with exit status 1 where any pixel differs.
"""

from __future__ import annotations

import os

from rsseg.commands import make_parser, run_tool


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def main() -> int:
    """Compare masks on random images."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__)
    parser.add_argument("--model", default="vit_b", help="vit_h, vit_l, vit_b or vit_t (default vit_b)")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--checkpoint", help="weights of that model")
    weights.add_argument("--random-seed", type=int, help="seed for random weights instead")
    sizes = [(600, 600), (800, 800), (1024, 700), (1500, 1500)]
    parser.add_argument("--sizes", nargs="+", type=_size, default=sizes, metavar="HxW", help="image sizes in pixels")
    parser.add_argument("--objects", type=int, default=4, help="objects per image and kind of prompt (default 4)")
    parser.add_argument("--box-batch", type=int, help="objects decoded together (default: by device)")
    args = parser.parse_args()

    from rsseg.conversion.predictors.sam import SAMPredictor
    from rsseg.conversion.predictors.sam_check import check_sam

    predictor = SAMPredictor(args.model, args.checkpoint, args.random_seed, args.box_batch)
    differing = 0
    print(f"{'size':>10}  {'prompt':16} {'masks':>6} {'pixels set':>12} {'differing':>10}")
    for row in check_sam(predictor, args.sizes, args.objects):
        size = f"{row.size[0]}x{row.size[1]}"
        print(f"{size:>10}  {row.what:16} {row.masks:6} {row.set_pixels:12} {row.differing:10}", flush=True)
        differing += row.differing
    return 1 if differing else 0


if __name__ == "__main__":
    run_tool(main)
