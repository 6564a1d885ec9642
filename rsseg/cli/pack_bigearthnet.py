"""Pack BigEarthNet into one file (LMDB of safetensors, as rico-hdl writes it), many times faster to read than GeoTIFFs.

rsseg pack-bigearthnet data/bigearthnet_v1 OUT [--version v1] [--s1] [--workers 8] [--verify]

If it is interrupted, repeat the command to continue. OUT also gets patches.csv with labels and dates. Training reads
it with train_dataloader.dataset.packed=OUT. About 157 KB a patch: 93 GB for the 590,326 of v1. --verify compares
every band with its GeoTIFF afterwards, and removes what differs; repeat the command to pack it again. Independent jobs
share the work by --shard I/N. Exit status 1 names what could not be read or differs.
"""

from __future__ import annotations

import os
from pathlib import Path

from rsseg.commands import add_workers, make_parser
from rsseg.errors import ConfigError
from rsseg.io.shards import add_shard, shard_of
from rsseg.messages import few


def main() -> int | str | None:
    """Parse the arguments, pack, verify."""
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    parser = make_parser(__doc__)
    parser.add_argument("root", type=Path, help="folder of the unpacked archive")
    parser.add_argument("out", type=Path, help="folder of the packed file")
    parser.add_argument("--version", choices=["v1", "v2"], default="v1", help="of BigEarthNet (default v1)")
    parser.add_argument("--s1", action="store_true", help="pack Sentinel-1 as well")
    add_workers(parser)
    parser.add_argument("--verify", action="store_true", help="compare the packed file with the GeoTIFFs")
    parser.add_argument("--update", action="store_true", help="pack again what differs from the GeoTIFFs or is missing")
    add_shard(parser, what="the patches")
    args = parser.parse_args()
    shard = shard_of(shard=args.shard)
    if args.verify and shard.world > 1:
        raise ConfigError(
            "--verify requires a single process; repeat the command with it and without --shard afterwards"
        )
    from rsseg.datasets.bigearthnet import pack_archive, verify_packed

    options = args.version, args.s1, args.workers
    problems = pack_archive(args.root, args.out, *options, args.update, shard).problems
    if args.verify:
        problems += verify_packed(args.root, args.out, *options)
    what = f"{len(problems)} problems; the other patches are packed; repeat the command to retry these:"
    return few(what, problems) if problems else 0
