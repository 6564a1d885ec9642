"""Running: launch on any machine, checkpoints, hooks, optimizer wrappers."""

from rsseg.stack import require_stack

require_stack()

from rsseg.engine.checkpoint import load_file, load_pretrained  # noqa: E402
from rsseg.engine.checks import CheckClasses, CheckScores, check_finite, check_names  # noqa: E402
from rsseg.engine.hooks import (  # noqa: E402
    CompileBackbone,
    LoadPretrained,
    LoadTested,
    SavePictures,
    SeedEachIter,
    ShareBuffers,
)
from rsseg.engine.launch import prepare_config, start_processes  # noqa: E402
from rsseg.engine.layer_decay import LayerDecayConstructor  # noqa: E402
from rsseg.engine.optim import AutocastOptimWrapper  # noqa: E402
from rsseg.engine.self_distillation import SelfDistillation  # noqa: E402
from rsseg.engine.validation_hooks import ResumableBestCheckpoint, ValidationLoss  # noqa: E402

__all__ = [
    "AutocastOptimWrapper",
    "CheckClasses",
    "CheckScores",
    "CompileBackbone",
    "LayerDecayConstructor",
    "LoadPretrained",
    "LoadTested",
    "ResumableBestCheckpoint",
    "SavePictures",
    "SeedEachIter",
    "SelfDistillation",
    "ShareBuffers",
    "ValidationLoss",
    "check_finite",
    "check_names",
    "load_file",
    "load_pretrained",
    "prepare_config",
    "start_processes",
]
