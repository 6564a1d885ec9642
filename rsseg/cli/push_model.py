"""Share a trained model on the Hugging Face hub: weights, config, model card and checksums.

rsseg push CONFIG CHECKPOINT hf://OWNER/NAME --license apache-2.0 [--scores scores.json] [--private] [--folder DIR]

The card names classes, bands, normalisation and training sets, from config and checkpoint; the last scores of its
validation, and those of rsseg test --json > scores.json. The weights are safetensors: a training is resumed from the
.pth, which stays with you. --dry-run writes the files, into --folder, and uploads nothing. Log in first: hf auth login.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from rsseg.commands import make_parser, write_result
from rsseg.stack import require_stack


def main() -> None:
    """Write the files, upload them."""
    parser = make_parser(__doc__, results=True)
    add = parser.add_argument
    add("config", help="the model's config file")
    add("checkpoint", help="its weights")
    add("address", metavar="hf://OWNER/NAME[@BRANCH]", help="where to; it is made if need be")
    add(
        "--license", required=True, help="licence of the weights, as the hub names it: apache-2.0, cc-by-4.0, other ..."
    )
    add("--license-name", help="name of a licence that is 'other'")
    add("--license-link", help="where that licence is to be read")
    add("--scores", type=Path, help="JSON file of scores, what rsseg test --json printed")
    add("--folder", type=Path, help="keep the files here, too")
    add("--dry-run", action="store_true", help="upload nothing; requires --folder")
    add("--private", action="store_true", help="make a new repository private")
    add("--trust", action="store_true", help="allow the checkpoint to run code while it loads")
    args = parser.parse_args()
    if args.dry_run and args.folder is None:
        parser.error("--dry-run requires --folder")
    require_stack()
    from rsseg.engine.model_card import Description
    from rsseg.engine.sharing import push_model, read_scores, write_model
    from rsseg.io.hub import HubAddress

    scores = read_scores(args.scores) if args.scores else {}
    about = Description(args.license, args.license_name, args.license_link, scores)
    repo = HubAddress.parse(args.address).repo
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        files = write_model(folder, args.config, args.checkpoint, repo, about, args.trust)
        names = [file.name for file in files]
        if args.dry_run:
            write_result(f"{', '.join(names)} written to {folder}; nothing was uploaded", dict(files=names))
            return
        address = push_model(folder, files, args.address, args.private)
    write_result(f"{', '.join(names)} are at {address}", dict(files=names, address=address))
