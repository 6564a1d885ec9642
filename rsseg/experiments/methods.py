"""Methods on the same data, of domain adaptation or others: each trained and tested with several seeds, and one table.

The cells are those of :class:`rsseg.experiments.few_labels.FewLabels`, in ``<out>/<method>/seed<seed>/``; ``maps/`` in
each has what was predicted.  Where a row's config is a search, each of its cells searches, then trains what was found.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from rsseg.experiments.few_labels import NO_VALIDATION, FewLabels, Init
from rsseg.experiments.few_labels_table import Row
from rsseg.io.configs import config_path, read_config
from rsseg.io.files import replacing
from rsseg.io.sums import sum_of
from rsseg.io.tables import markdown_table, write_csv
from rsseg.structures.architectures import RETRAIN, TEACHER

__all__ = ["SCENES", "MethodGrid", "closed_gap", "method_table"]

_NAMES = {
    "source only": "source_only", "oracle": "oracle", "MMD": "mmd", "AdaptSeg": "adaptseg", "FADA": "fada",
    "CLAN": "clan", "TransNorm": "transnorm", "PyCDA": "pycda", "CBST": "cbst", "IAST": "iast", "DAFormer": "daformer",
    "MIC": "mic",
}  # fmt: skip
SCENES = tuple((name, f"configs/scenes/deeplab_v2_lite0_{stem}_scenes.py") for name, stem in _NAMES.items())
"""Name and config of each method on procedural scenes."""


@dataclass
class MethodGrid(FewLabels):
    """A grid of methods and seeds; rows are configs of their own.

    In a row that is a search, the row's settings are those of the search, those of all runs also of what is trained
    after it.

    Attributes:
        launch: Runs a tool, as :func:`rsseg.commands.call_tool`; None is that function.
        source_only: Name of the row that the gain is measured from.
        oracle: Name of the row that learns from the target's labels.
    """

    title: ClassVar[str] = "methods"
    launch: Callable[..., int] | None = None
    source_only: str = "source only"
    oracle: str = "oracle"

    def folder(self, init: Init, percent: float, seed: int) -> Path:
        """Where a cell's files go."""
        return self.out / init.name.replace(" ", "_") / f"seed{seed}"

    def _data(self, percent: float, seed: int) -> dict[str, Any]:
        return {}

    def _fixed(self, percent: float, seed: int) -> list[str]:
        return []

    def _test_options(self, folder: Path) -> list[str]:
        return ["--out", str(folder / "maps")]

    def _settings(self, init: Init, percent: float, seed: int) -> dict[str, Any]:
        settings = super()._settings(init, percent, seed)
        if "search" not in (config := read_config(init.config)):
            return settings
        base = read_config(config_path(config.search["retrain"])).to_dict()
        return {**settings, "retrain_sha256": sum_of(json.dumps(base, sort_keys=True, default=str).encode())}

    def _train(self, cell: tuple[Init, float, int], run: Callable[..., None]) -> tuple[Path, str, list[str]]:
        init, _, seed = cell
        if "search" not in read_config(init.config):
            return super()._train(cell, run)
        folder, shared = self.folder(*cell), [*self.options, f"randomness.seed={seed}"]
        found, checkpoint = folder / "search", ""
        if not (found / RETRAIN).is_file():  # written last
            own = [*self.options, *init.options, f"randomness.seed={seed}"]
            run("search", init.config, "--work-dir", found, "--resume", "--cfg-options", *own, NO_VALIDATION)
        for path in (found / TEACHER, found / RETRAIN):
            if path.is_file():
                checkpoint = self._train_one(path, folder / path.stem, shared, run)
                if path.name == TEACHER:
                    shared.append(f"model.teacher.checkpoint={checkpoint}")
        return found / RETRAIN, checkpoint, shared

    def _tool(self, folder: Path, lock: int, place: Mapping[str, str], name: str, *args: object) -> None:
        if self.launch is None:
            super()._tool(folder, lock, place, name, *args)
        else:
            self.launch(self.root, name, args, folder / f"{name}.log")

    def _write(self, rows: Sequence[Row], names: Sequence[str]) -> str:
        table = method_table(rows, names, self.seeds, self.metric, self.source_only, self.oracle)
        scores = list(dict.fromkeys(name for row in rows for name in row["scores"]))
        runs = [[row["init"], row["seed"], *(row["scores"].get(name, "") for name in scores)] for row in rows]
        write_csv(self.out / "runs.csv", ["method", "seed", *scores], runs)
        with replacing(self.out / "table.md") as file:
            file.write(f"{table}\n".encode())
        return table


def closed_gap(value: float, source_only: float, oracle: float) -> float | None:
    """Share of the gap between source only and oracle that a method closes; None where there is no gap."""
    return (value - source_only) / (oracle - source_only) if oracle > source_only else None


def method_table(
    rows: Sequence[Row], names: Sequence[str], seeds: Sequence[int], metric: str, source_only: str, oracle: str
) -> str:
    """Markdown table like table 6 of OpenEarthMap's paper, with the gain over source only.

    Args:
        rows: The runs that are done: ``init``, ``seed`` and ``scores`` (name -> percent; those of classes, where
            there are any, as ``IoU/<class>``).
        names: Methods, in the table's order.
        seeds: Seeds asked for; a figure from fewer of them says so.
        metric: The score that is compared.
        source_only: Row that the gain is measured from.
        oracle: Row that bounds it.

    Returns:
        Means over seeds: of each class, of the metric with its sample standard deviation, and of the metric's
        difference to source only, seed by seed where both are there, with the share of the gap to the oracle.
        Without both rows, the last two columns are left out.
    """
    by_method: dict[str, dict[int, Mapping[str, float]]] = {name: {} for name in names}
    for row in rows:
        by_method[row["init"]][row["seed"]] = row["scores"]
    classes = list(dict.fromkeys(key for row in rows for key in row["scores"] if key.startswith("IoU/")))
    means = {
        name: statistics.fmean(scores[metric] for scores in found.values())
        for name, found in by_method.items()
        if found
    }
    lines = []
    for name in names:
        found = by_method[name]
        if not found:
            lines.append([name, *["–"] * (len(classes) + 3)])
            continue
        values = [scores[metric] for scores in found.values()]
        spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
        few = "" if len(values) == len(seeds) else f" ({len(values)} of {len(seeds)} seeds)"
        base = by_method.get(source_only, {})
        gains = [scores[metric] - base[seed][metric] for seed, scores in found.items() if seed in base]
        gain = f"{statistics.fmean(gains):+.2f}" if gains and name != source_only else "–"
        share = None
        if name not in (source_only, oracle) and {source_only, oracle} <= means.keys():
            share = closed_gap(means[name], means[source_only], means[oracle])
        per_class = [_mean([scores.get(key) for scores in found.values()]) for key in classes]
        closed = "–" if share is None else f"{100 * share:.0f} %"
        lines.append([name, *per_class, f"{values and statistics.fmean(values):.2f}{spread}{few}", gain, closed])
    heads = ["", *(key.removeprefix("IoU/") for key in classes), metric, "against source only", "of the gap"]
    if not {source_only, oracle} & set(names):
        heads, lines = heads[:-2], [line[:-2] for line in lines]
    return markdown_table(heads, lines)


def _mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None and value == value]
    return f"{statistics.fmean(known):.1f}" if known else "–"
