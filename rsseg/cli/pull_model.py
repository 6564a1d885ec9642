"""Download a model from the Hugging Face hub, compare it with its checksums, and say where it is.

rsseg pull hf://OWNER/NAME[@REVISION] [--out DIR]

A branch moves; REVISION may be a tag, or the 40 digits of a commit, which never changes. Other commands download by
themselves: --checkpoint hf://OWNER/NAME. HF_HUB_OFFLINE=1 reads the cache alone.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import make_parser, write_result
from rsseg.stack import require_stack


def main() -> None:
    """Download, check, copy."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("address", metavar="hf://OWNER/NAME[@REVISION][/FILE]", help="the model, or one file")
    parser.add_argument("--out", type=Path, metavar="DIR", help="copy the files here (default: only the hub's cache)")
    args = parser.parse_args()
    require_stack()
    from rsseg.engine.sharing import pull_model

    files = [str(file) for file in pull_model(args.address, args.out)]
    write_result("\n".join(files), dict(files=files))
