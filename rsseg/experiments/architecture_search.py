"""A search for an architecture, and what comes after it: the architecture as a file, and a config that trains it."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmseg.registry import MODELS

from rsseg.engine.architecture import ARCHITECTURE, searched_part
from rsseg.engine.checkpoint import load_pretrained
from rsseg.engine.launch import build_runner
from rsseg.errors import ConfigError
from rsseg.io.configs import config_path, read_config
from rsseg.io.files import replacing
from rsseg.io.tables import write_json
from rsseg.models.search.derivation import retrain_models
from rsseg.structures.architectures import RETRAIN, TEACHER

__all__ = ["derive", "search", "write_retraining"]

_log = logging.getLogger("rsseg")
_TEXT = '''"""Train the architecture that {config} has found.

    rsseg train {path}
"""

_base_ = ["{base}"]

work_dir = {work_dir!r}
model = {model}
'''


def search(cfg: Config) -> Path | None:
    """Run a search and write what it has found.

    Args:
        cfg: Config of the search, fitted to this machine; ``search`` has ``retrain``, the config that trains what is
            found.

    Returns:
        The config written, see :func:`write_retraining`; None on other processes than the first.

    Raises:
        ConfigError: The config is not one of a search.
        DataError: Nothing was found that a network can be made of; the message says what to do.
    """
    _retrain_config(cfg)
    runner = build_runner(cfg)
    runner.train()
    _choose_branches(runner)
    if not is_main_process():
        return None
    return write_retraining(cfg, searched_part(runner.model).architecture())


def derive(cfg: Config, checkpoint: Path | str) -> Path:
    """Write what a search has found until one of its checkpoints.

    Args:
        cfg: As for :func:`search`.
        checkpoint: The file.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ConfigError: The config is not one of a search.
        DataError: The checkpoint is another model's, or see :func:`search`.
    """
    _retrain_config(cfg)
    init_default_scope(cfg.get("default_scope") or "mmseg")
    settings = copy.deepcopy(cfg.model)
    if "backbone" in settings:
        settings.backbone.init_cfg = None
    model = MODELS.build(settings)
    load_pretrained(model, checkpoint)
    if getattr(searched_part(model), "pairs_to_compare", ()):  # that takes the validation images
        runner = build_runner(cfg)
        load_pretrained(runner.model, checkpoint)
        _choose_branches(runner)
        model = runner.model
    return write_retraining(cfg, searched_part(model).architecture())


def _choose_branches(runner: Runner) -> None:
    """Score what a search leaves to validation, with the same random numbers each time, and let it choose."""
    part: Any = searched_part(runner.model)
    scores = {}
    for pair in getattr(part, "pairs_to_compare", ()):
        part.pair = pair
        with torch.random.fork_rng():
            torch.manual_seed(0)
            scores[pair] = float(runner.val_loop.run()["mIoU"]) / 100
        _log.info("branches %s: mIoU %.2f of the validation images", pair, 100 * scores[pair])
    if scores:
        part.choose_pair(scores)


def _retrain_config(cfg: Config) -> Path:
    """The config that trains what is found."""
    settings = cfg.get("search")
    if not isinstance(settings, Mapping) or not settings.get("retrain"):
        raise ConfigError(
            f"{cfg.filename}: is no search, since it lacks search=dict(retrain=CONFIG); searches are, for example, "
            "configs/openearthmap/sparsemask_trial1_openearthmap.py"
        )
    return config_path(settings["retrain"])


def write_retraining(cfg: Config, architecture: Mapping[str, Any]) -> Path:
    """Write ``architecture.json`` and ``retrain.py`` into the work dir of a search; of FasterSeg also its teacher's.

    Args:
        cfg: As for :func:`search`.
        architecture: What was found.

    Returns:
        ``retrain.py``, whose base is the config that ``search.retrain`` names.

    Raises:
        DataError: No network can be made of it; ``architecture.json`` is there all the same.
    """
    folder, base = Path(cfg.work_dir), _retrain_config(cfg)
    folder.mkdir(parents=True, exist_ok=True)
    for name in (RETRAIN, TEACHER):  # of an earlier architecture
        (folder / name).unlink(missing_ok=True)
    write_json(folder / ARCHITECTURE, dict(architecture))
    models = retrain_models(architecture, str(folder / ARCHITECTURE), read_config(base), folder)
    where = Path(os.path.relpath(base.resolve(), folder.resolve())).as_posix()
    for name, model in models.items():
        path = folder / name
        settings = dict(base=where, work_dir=path.with_suffix("").as_posix(), model=repr(model))
        text = _TEXT.format(config=Path(cfg.filename).name, path=path.as_posix(), **settings)
        with replacing(path) as file:
            file.write(text.encode())
        read_config(path)
    order = ", then ".join(f"rsseg train {folder / name}" for name in models)
    _log.info("found: %s; to train it: %s", folder / ARCHITECTURE, order)
    return folder / RETRAIN
