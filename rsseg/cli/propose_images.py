"""Propose which images to label next: those for which a trained model is expected to have a high loss.

rsseg few-lists data/splits/openearthmap/train.txt LISTS --every 10        # label and train on every tenth image first
rsseg propose CONFIG CHECKPOINT POOL OUT.csv [--split val] [--count 100]

A regression learns the model's loss on CONFIG's --split,
which the model must not have been trained with, and predicts it for POOL.  OUT.csv has all images, highest predicted
loss first; OUT.txt the names of the first --count.  OpenEarthMap paper, section 2.1.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import at_least, make_parser, write_result
from rsseg.stack import require_stack


def main() -> None:
    """Parse the arguments, fit, rank, write."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("config", help="config that the checkpoint was trained with")
    parser.add_argument("checkpoint", type=Path, help="its weights")
    parser.add_argument("pool", type=Path, help="folder of images without labels, or a text file with a path per line")
    parser.add_argument("out", type=Path, help="CSV of the ranking")
    parser.add_argument("--split", choices=("train", "val", "test"), default="val", help="with labels (default: val)")
    parser.add_argument("--count", type=at_least(1), default=100, help="names in OUT.txt (default: 100)")
    parser.add_argument("--size", type=at_least(1), help="resize images to this side (default: no)")
    parser.add_argument("--device", default="cpu", help="where the model runs (default: cpu)")
    args = parser.parse_args()
    require_stack()
    from mmengine.registry import init_default_scope

    from rsseg.engine.features import load_encoder
    from rsseg.experiments.hard_images import propose_images
    from rsseg.io.configs import read_config
    from rsseg.io.listing import find_files
    from rsseg.io.names import read_names, write_names
    from rsseg.io.tables import write_csv

    init_default_scope("mmseg")
    config = read_config(args.config)
    pool = [Path(name) for name in read_names(args.pool)] if args.pool.is_file() else find_files(args.pool)
    model = load_encoder(config, args.checkpoint, args.device)
    ranked, fit = propose_images(model, config, pool, args.split, args.size)
    rows = [(i, row.image, round(row.predicted_loss, 6), round(row.entropy, 6)) for i, row in enumerate(ranked, 1)]
    write_csv(args.out, ("rank", "image", "predicted_loss", "entropy"), rows)
    write_names(args.out.with_suffix(".txt"), [row.image.stem for row in ranked[: args.count]])
    names = args.out.with_suffix(".txt")
    text = (
        f"{len(ranked)} images, {args.out}; the first {min(args.count, len(ranked))} in {names}\n"
        f"rank correlation with the loss of {fit.images} labelled images: "
        f"{fit.rank_correlation:.2f} by the regression, {fit.of_entropy:.2f} by the entropy alone"
    )
    write_result(text, {**vars(fit), "proposed": [str(row.image) for row in ranked[: args.count]]})
