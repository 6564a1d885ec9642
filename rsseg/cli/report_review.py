"""How far reviewers of a labelled set agree, by the decisions that they made on the page of rsseg serve.

rsseg report review FILE [FILE ...] [--out DIR]

Prints what each reviewer decided, the share of equal decisions and Cohen's kappa of every two, Krippendorff's alpha of
all by class, and the objects about which they disagree; --out gets the same as CSV files.
"""

from __future__ import annotations

from pathlib import Path

from rsseg.commands import make_parser, write_result


def main() -> None:
    """Read the files, compare, write."""
    parser = make_parser(__doc__, results=True)
    parser.add_argument("files", type=Path, nargs="+", help="files of decisions, for example reviews/*.jsonl")
    parser.add_argument("--out", type=Path, help="folder of the CSV files")
    args = parser.parse_args()
    from rsseg.reports.reviewers import agreement_of_files, reviewers_text, write_reviewers

    agreement = agreement_of_files(args.files)
    if args.out is not None:
        write_reviewers(agreement, args.out)
    write_result(reviewers_text(agreement), agreement.as_dict())
