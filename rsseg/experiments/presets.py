"""Grids that are made from options of a command: few labels, methods."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rsseg.datasets.preparation import few_path, read_few
from rsseg.experiments.grid import Entry, Grid

__all__ = ["SCENES", "few_labels", "methods"]

_NAMES = {
    "source only": "source_only", "oracle": "oracle", "MMD": "mmd", "AdaptSeg": "adaptseg", "FADA": "fada",
    "CLAN": "clan", "TransNorm": "transnorm", "PyCDA": "pycda", "CBST": "cbst", "IAST": "iast", "DAFormer": "daformer",
    "MIC": "mic",
}  # fmt: skip
SCENES = tuple((name, f"configs/scenes/deeplab_v2_lite0_{stem}_scenes.py") for name, stem in _NAMES.items())
"""Name and config of each method on procedural scenes."""

Rows = Sequence[Sequence[str]]


def few_labels(
    lists: Path, rows: Rows, percents: Sequence[float], seeds: Sequence[int], metric: str, tta: bool,
    options: Sequence[str] = (),
) -> Grid:  # fmt: skip
    """Initialisations x shares of the labels (SAMRS paper, tables 5 and 6).

    Args:
        lists: Folder of what ``rsseg few-lists`` wrote.
        rows: Name, config and settings of each.  One that begins with another's name and a plus, as ``IMP+SEP`` with
            ``IMP``, is compared with it.
        percents: Shares.
        seeds: Each is a choice of tiles and the seed of a run.
        metric: Score of the table.
        tta: Test with the config's flips, as the SAMRS release does.
        options: Settings of all runs.

    Raises:
        FileNotFoundError: A list is missing.
        ValueError: A list differs from its checksum.
    """
    names = [row[0] for row in rows]
    columns = []
    for percent in percents:
        tiles = sorted({len(read_few(few_path(lists, percent, seed))) for seed in seeds})
        title = f"{percent:g} % ({'/'.join(map(str, tiles))} tiles)"
        columns.append(Entry(f"{percent:g}", words={"percent": f"{percent:g}"}, title=title))
    subset = f"train_dataloader.dataset.subset={lists}/few_{{percent}}_seed{{seed}}.txt"
    bases = {name: max((n for n in names if name.startswith(f"{n}+")), key=len, default=None) for name in names}
    entries = tuple(Entry(name, config, tuple(own), minus=bases[name]) for name, config, *own in rows)
    figure = dict(kind="lines", x=list(percents), xlabel="share of the labels, %")
    return Grid("few labels", entries, tuple(columns), tuple(seeds), metric, options=(*options, subset),
                test=("--tta",) if tta else (), figures=(figure,))  # fmt: skip


def methods(rows: Rows, seeds: Sequence[int], metric: str, options: Sequence[str] = ()) -> Grid:
    """Methods of domain adaptation, or any others, on the same data (OpenEarthMap paper, table 6).

    Args:
        rows: Name, config and settings of each; ``source only`` and ``oracle`` are what the others are compared with.
        seeds: Seeds.
        metric: Score that is compared.
        options: Settings of all runs.
    """
    names = {row[0] for row in rows}
    base, oracle = (name if name in names else None for name in ("source only", "oracle"))
    entries = tuple(
        Entry(name, config, tuple(own), minus=None if name == base else base) for name, config, *own in rows
    )
    scores = {"IoU/*": "IoU/*", metric: metric}
    return Grid("methods", entries, seeds=tuple(seeds), metric=metric, scores=scores, options=tuple(options),
                test=("--out", "{folder}/maps"), oracle=oracle, figures=(dict(kind="maps"),))  # fmt: skip
