"""Count BigEarthNet: images per class, labels per image, seasons, dates, countries (paper, table 2 and fig. 2).

rsseg report bigearthnet data/bigearthnet_v1 OUT [--version v1] [--metadata FILE]

Reads each JSON file once, with progress; v2's tables at once.  Writes CSV tables, totals.json and figures/.
Countries of v1 come from FILE (v2's metadata.parquet, or the authors' s1_s2_name_country_season.csv.bz2) where that
knows a patch, else from its place (rough near borders). Independent jobs share the reading of v1 by --shard I/N.
Exit status 1 names patches that could not be read; all others are counted.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import make_parser
from rsseg.io.shards import add_shard, shard_of
from rsseg.messages import few


def main() -> int | str | None:
    """Parse the arguments, count, draw."""
    parser = make_parser(__doc__)
    parser.add_argument("root", type=Path, help="folder of the unpacked archive")
    parser.add_argument("out", type=Path, help="folder of the tables and figures")
    parser.add_argument("--version", choices=["v1", "v2"], default="v1", help="of BigEarthNet (default v1)")
    parser.add_argument("--metadata", type=Path, help="file with the countries of v1's patches")
    add_shard(parser, what="v1's patches")
    args = parser.parse_args()
    from rsseg.reports.bigearthnet.report import report_archive

    shard = shard_of(shard=args.shard)
    problems = report_archive(args.root, args.out, args.version, args.metadata, shard).problems
    return few(f"{len(problems)} patches could not be read:", problems) if problems else 0
