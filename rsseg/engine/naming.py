"""Names of the files that a test writes for each image; they never collide."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS

from rsseg.engine.pictures import SampleVisualizationHook, SavePictures
from rsseg.engine.pixels import leaf_datasets
from rsseg.io.output_names import output_names

__all__ = ["NameOutputs"]


@HOOKS.register_module()
class NameOutputs(Hook):
    """Name predictions and pictures before the first image is tested.

    They have the stems of their images; images of one stem in several folders get their folders' names before it.
    Images that only their suffix or case tells apart are an error, before the work.
    """

    priority = "VERY_HIGH"

    def before_test(self, runner: Runner) -> None:
        """Give the metrics and hooks that write files the name for each image.

        Raises:
            DataError: The files of two images would have one name.
        """
        metrics: list[Any] = list(getattr(runner.test_evaluator, "metrics", ()))
        writers = [metric for metric in metrics if getattr(metric, "output_dir", None)]
        writers += [hook for hook in runner.hooks if isinstance(hook, (SampleVisualizationHook, SavePictures))]
        if writers:
            names = _names(runner.test_dataloader.dataset)
            for writer in writers:
                writer.names = names


def _names(dataset: Any) -> dict[str, str]:
    """Name of each image of a test set, by its path; images of several sets lie in a folder each."""
    paths: dict[str, list[str]] = defaultdict(list)
    for leaf in leaf_datasets(dataset):
        if hasattr(leaf, "get_data_info"):
            for i in range(len(leaf)):
                row = leaf.get_data_info(i)
                if isinstance(row.get("img_path"), str):
                    paths[str(row.get("dataset_name", ""))].append(row["img_path"])
    return {str(path): name for own in paths.values() for path, name in output_names(map(Path, own)).items()}
