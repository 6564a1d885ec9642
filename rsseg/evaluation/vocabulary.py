"""Testing an open-vocabulary model on sets whose classes it is asked for: the row of GSNet's table 2."""

from __future__ import annotations

import csv
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io.configs import read_config
from rsseg.io.files import locked
from rsseg.io.hub import local_file
from rsseg.io.jobs import Input, Job
from rsseg.io.pixel_settings import share_pixels
from rsseg.io.sums import sum_of
from rsseg.io.tables import markdown_table, write_csv
from rsseg.metainfo.datasets import table_of

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = [
    "BENCHMARKS",
    "VOCABULARY_SETS",
    "check_sets",
    "keep_scores",
    "score_table",
    "use_vocabulary",
    "vocabulary_configs",
]

_log = logging.getLogger("rsseg")
VOCABULARY_SETS: dict[str, tuple[str, float | None]] = {
    "flair": ("flair.py", 20.00),
    "fast": ("fast_vocabulary.py", 16.61),
    "potsdam": ("potsdam_vocabulary.py", 45.75),
    "floodnet": ("floodnet.py", 42.63),
}
"""Sets of the table: file in ``configs/_base_/datasets``, and GSNet's mIoU.

Source: GSNet paper, table 2.
"""
_OVRSIS: dict[str, tuple[str, float | None]] = {
    "dlrsd": ("dlrsd.py", None),
    "isaid": ("isaid_vocabulary.py", None),
    "potsdam": ("potsdam_vocabulary.py", None),
    "vaihingen": ("vaihingen_vocabulary.py", None),
    "loveda": ("loveda_vocabulary.py", None),
    "uavid": ("uavid.py", None),
    "udd5": ("udd5.py", None),
    "vdd": ("vdd.py", None),
}
_TITLES = {
    "potsdam": "Potsdam",
    "floodnet": "FloodNet",
    "isaid": "iSAID",
    "vaihingen": "Vaihingen",
    "loveda": "LoveDA",
    "uavid": "UAVid",
}
BENCHMARKS = {"table2": VOCABULARY_SETS, "ovrsis": _OVRSIS}
"""Sets that are tested together: those of GSNet's table 2, and those of OVRSISBench's release (arXiv 2509.12040)."""


def use_vocabulary(cfg: Config, path: Path | str, data_root: str | None = None) -> None:
    """Test on another config's set, with its classes as vocabulary, in place.

    Args:
        cfg: Config of the model.
        path: Config of the dataset.
        data_root: Its folder, where that is not the config's.

    Raises:
        ConfigError: The model has no vocabulary, or the dataset's config no test set of one class table.
    """

    if "vocabulary" not in cfg.model:
        raise ConfigError(f"{cfg.model.type} has fixed classes; expected a model with 'vocabulary'")
    other = read_config(path)
    share_pixels(other._cfg_dict)
    dataset = (other.get("test_dataloader") or {}).get("dataset", {})
    table = table_of(dataset)
    if table is None:
        raise ConfigError(f"{path}: expected a test set with one class table")
    if data_root is not None:
        dataset.data_root = data_root
    own = [step for step in cfg.get("test_pipeline") or () if step["type"] == "Resize"]
    if own:  # images are brought to the size that this model is tested at
        dataset.pipeline = [own[0] if step["type"] == "Resize" else step for step in dataset.pipeline]
    cfg.model.vocabulary = table
    cfg.test_dataloader = other.test_dataloader
    cfg.test_cfg = dict(type="TestLoop")
    # means over the classes that occur, as in detectron2's evaluator
    cfg.test_evaluator = dict(type="SegmentationMetric", only_true=True)


def vocabulary_configs(
    config: str, folder: Path, sets: Sequence[str], roots: Sequence[str] = (), benchmark: str = "table2"
) -> dict[str, Config]:
    """A model's config for each set.

    Args:
        config: The model's config.
        folder: That of the sets' configs, ``configs/_base_/datasets``.
        sets: Of the benchmark.
        roots: Folders of sets, each ``set=folder``, that are not where the configs look.
        benchmark: One of ``BENCHMARKS``.

    Raises:
        ConfigError: A set is not of the benchmark, a folder is given for no set, or as for :func:`use_vocabulary`.
    """

    where = {name: root for name, _, root in (text.partition("=") for text in roots)}
    known = BENCHMARKS[benchmark]
    if other := sorted(set(sets) - known.keys()):
        raise ConfigError(f"{', '.join(other)}: --benchmark {benchmark} has {', '.join(known)}")
    wrong = sorted(name for name, root in where.items() if name not in known or not root)
    if wrong:
        raise ConfigError(f"{', '.join(wrong)}: expected SET=DIR, where SET is one of: {', '.join(known)}")
    out = {}
    for name in sets:
        out[name] = read_config(config)
        use_vocabulary(out[name], folder / known[name][0], where.get(name))
    return out


def check_sets(configs: Mapping[str, Config]) -> tuple[dict[str, Config], str | None]:
    """See which sets are there before the first is tested.

    Args:
        configs: Configs after :func:`use_vocabulary`, by the name of the set.

    Returns:
        Configs of the sets that are there; and which of the others are missing or not whole, and why, None where all
        are there.

    Raises:
        FileNotFoundError: None is there.
    """
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    there, missing = {}, []
    for name, cfg in configs.items():
        init_default_scope(cfg.get("default_scope", "mmseg"))
        try:
            DATASETS.build(cfg.test_dataloader.dataset)
            there[name] = cfg
        except (FileNotFoundError, UserError) as error:
            missing.append(f"{name}: {error}")
    if not missing:
        return there, None
    error_summary = "\n".join(
        [*missing, "choose sets with --sets, or name the folder of a set with --data-root SET=DIR"]
    )
    if not there:
        raise FileNotFoundError(error_summary)
    error_summary = f"not tested on {len(missing)} of {len(configs)} sets:\n{error_summary}"
    MMLogger.get_current_instance().warning(error_summary)
    return there, error_summary


def keep_scores(
    path: Path | str, config: str, checkpoint: str | None, scores: Mapping[str, float], benchmark: str = "table2"
) -> dict[str, float]:
    """Enter scores into a CSV file with one row for each config and checkpoint; what is there already stays.

    Where the content of config or checkpoint has changed since, the row begins anew: scores of two checkpoints never
    stand in one row.  Several processes may write to one file.

    Args:
        path: The file; made where it is missing.
        config: The config.
        checkpoint: The checkpoint; None for a model that is not trained.
        scores: mIoU in percent, by the name of the set.
        benchmark: Whose sets are the columns.

    Returns:
        All scores of that row.

    Raises:
        UserError: The file has other columns.
        OSError: It cannot be written; the message names it.
    """
    path = Path(path)
    job, name = Job(path.parent, "scores", f".{path.name}.json"), f"{config} {checkpoint}"
    # the config with all that it inherits: a changed base is another config
    digest = sum_of(read_config(config).pretty_text.encode()) if Path(config).is_file() else None
    inputs = {"config": Input(Path(config), config, digest)}
    if checkpoint is not None:
        inputs["checkpoint"] = Input(local_file(checkpoint), checkpoint)
    job.claim({}, {name: inputs}, update=True, own=lambda item: item == name)
    with locked(path.parent):
        return _enter(path, config, checkpoint or "", scores, bool(job.redone), benchmark)


def _enter(
    path: Path, config: str, checkpoint: str, scores: Mapping[str, float], anew: bool, benchmark: str
) -> dict[str, float]:
    columns = ["config", "checkpoint", *BENCHMARKS[benchmark], "average"]
    rows: dict[tuple[str, str], dict[str, str]] = {}
    if path.is_file():
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            if reader.fieldnames != columns:
                raise DataError(f"{path}: has the columns {reader.fieldnames}, expected {columns}; name another file")
            rows = {(row["config"], row["checkpoint"]): row for row in reader}
    if anew and rows.pop((config, checkpoint), {}):
        said = "%s: %s or %s has changed since its other scores were written; they are left out"
        _log.warning(said, path, config, checkpoint)
    row = rows.setdefault((config, checkpoint), {**dict.fromkeys(columns, ""), "config": config})
    row |= {"checkpoint": checkpoint, **{name: f"{value:.2f}" for name, value in scores.items()}}
    out = {name: float(row[name]) for name in BENCHMARKS[benchmark] if row[name]}
    row["average"] = _average(out, benchmark)
    write_csv(path, columns, ([own[name] for name in columns] for own in rows.values()))
    return out


def _average(scores: Mapping[str, float], benchmark: str) -> str:
    return f"{sum(scores.values()) / len(scores):.2f}" if scores.keys() == BENCHMARKS[benchmark].keys() else ""


def score_table(name: str, scores: Mapping[str, float], benchmark: str = "table2") -> str:
    """The row of a benchmark in Markdown, for table 2 with GSNet's of the paper; sets without a test stay empty."""
    sets = BENCHMARKS[benchmark]
    published = {key: value for key, (_, value) in sets.items() if value is not None}
    rows = []
    for label, own in ((name, scores), *([("GSNet (paper)", published)] if published else [])):
        rows.append([label, *(f"{own[key]:.2f}" if key in own else "" for key in sets), _average(own, benchmark)])
    return markdown_table(["mIoU", *(_TITLES.get(key, key.upper()) for key in sets), "average"], rows)
