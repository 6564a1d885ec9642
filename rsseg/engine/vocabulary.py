"""Open-vocabulary models are asked for the classes of the set that they are tested on."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.runner import Runner
from mmseg.registry import HOOKS

__all__ = ["AskTestClasses"]


@HOOKS.register_module()
class AskTestClasses(Hook):
    """Before a test, set the model's vocabulary to the class table of the test set, where the config names another one.

    A vocabulary of words, and models with fixed classes, stay as they are.
    """

    priority = "VERY_HIGH"

    def before_test(self, runner: Runner) -> None:
        """Ask for the classes of the test set; the config says so afterwards."""
        model: Any = runner.model.module if is_model_wrapper(runner.model) else runner.model
        model = model.module if isinstance(model, BaseTTAModel) else model
        config = runner.cfg.get("model") or {}
        config = config.get("module") or config
        own, table = config.get("vocabulary"), (runner.test_dataloader.dataset.metainfo or {}).get("table")
        if hasattr(model, "set_vocabulary") and isinstance(own, str) and table not in (None, own):
            runner.logger.info("The model is asked for the classes of %s instead of %s", table, own)
            model.set_vocabulary(table)
            config["vocabulary"] = table
