"""Check that our SAM gives the same masks, bit by bit, as segment_anything's own predictor, prompt by prompt.

    rsseg check-sam --model vit_b --random-seed 0
    rsseg check-sam --model vit_h --checkpoint data/weights/sam_vit_h_4b8939.pth --sizes 600 1024x700

Prints a table; ends with exit status 1 where any pixel differs.
"""

from __future__ import annotations

import logging
import os

from rsseg.commands import at_least, make_parser, write_result


def _size(text: str) -> tuple[int, int]:
    height, _, width = text.partition("x")
    return int(height), int(width or height)


def main() -> int:
    """Compare masks on random images."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__, results=True)
    parser.add_argument("--model", default="vit_b", help="vit_h, vit_l, vit_b or vit_t (default vit_b)")
    weights = parser.add_mutually_exclusive_group(required=True)
    weights.add_argument("--checkpoint", help="weights of that model")
    weights.add_argument("--random-seed", type=at_least(0), help="seed for random weights instead")
    sizes = [(600, 600), (800, 800), (1024, 700), (1500, 1500)]
    parser.add_argument("--sizes", nargs="+", type=_size, default=sizes, metavar="HxW", help="image sizes in pixels")
    parser.add_argument("--objects", type=at_least(1), default=4, help="objects per image and prompt (default 4)")
    parser.add_argument("--box-batch", type=at_least(1), help="objects decoded together (default: by device)")
    args = parser.parse_args()

    from rsseg.conversion.predictors.sam import SAMPredictor
    from rsseg.conversion.predictors.sam_check import check_sam
    from rsseg.io.tables import aligned

    predictor = SAMPredictor(args.model, args.checkpoint, args.random_seed, args.box_batch)
    lines: list[tuple[object, ...]] = [("size", "prompt", "masks", "pixels set", "differing")]
    rows = []
    for row in check_sam(predictor, args.sizes, args.objects):
        size = f"{row.size[0]}x{row.size[1]}"
        lines.append((size, row.what, row.masks, row.set_pixels, row.differing))
        rows.append(row._asdict())
        logging.getLogger("rsseg").info("%s, %s: %d of %d pixels differ", size, row.what, row.differing, row.set_pixels)
    write_result(aligned(lines, left=(0, 1)), rows)
    return 1 if any(row["differing"] for row in rows) else 0
