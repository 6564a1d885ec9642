"""Bands, range, mean and standard deviation of a model: checked before training, kept in checkpoints, used in tests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS, TRANSFORMS

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError
from rsseg.io.bands import PixelSpec
from rsseg.io.pixel_settings import (
    check_bands,
    check_raster,
    declared_spec,
    merge_specs,
    record_pixels,
    same_numbers,
    share_pixels,
    spec_of,
    transform_errors,
)

__all__ = ["KeepPixels", "check_statistics", "leaf_datasets", "statistics_of", "use_pixels"]


def statistics_of(model: Any) -> tuple[list[float] | None, list[float] | None]:
    """Mean and standard deviation of a model's preprocessor, one number for each band; None where it has none."""
    found = (getattr(getattr(model, "data_preprocessor", None), name, None) for name in ("mean", "std"))
    mean, std = (value.flatten().tolist() if isinstance(value, torch.Tensor) else None for value in found)
    return mean, std


def _band_names(model: Any) -> list[str] | None:
    """Names of the bands that a model's preprocessor expects; None where they have none."""
    bands = getattr(getattr(model, "data_preprocessor", None), "bands", None)
    return None if bands is None else [str(band) for band in bands]


def check_statistics(model: Any, kept: Mapping[str, Any], checkpoint: str) -> None:
    """Refuse a model with other bands, mean or standard deviation than its checkpoint was trained with.

    Args:
        model: With ``data_preprocessor``.
        kept: ``meta["pixels"]`` of the checkpoint.
        checkpoint: The file, for errors.

    Raises:
        ConfigError: They differ.
    """
    bands = _band_names(model)
    if bands and kept.get("band_names") and bands != list(kept["band_names"]):
        raise ConfigError(
            f"the config's data_preprocessor has bands {', '.join(bands)}, but {checkpoint} was trained with "
            f"{', '.join(kept['band_names'])}; set data_preprocessor.bands and the data sets' bands to the latter"
        )
    for name, own in zip(("mean", "std"), statistics_of(model), strict=True):
        if name in kept and not same_numbers(own, kept[name]):
            raise ConfigError(
                f"the config's model.data_preprocessor has {name} {own}, but {checkpoint} was trained with "
                f"{kept[name]}; set model.data_preprocessor.{name} to the latter"
            )


def leaf_datasets(dataset: Any) -> Iterator[Any]:
    """Datasets inside of those that join or repeat others."""
    inner = getattr(dataset, "datasets", None) or [getattr(dataset, "dataset", None)]
    if inner == [None]:
        yield dataset
    else:
        for part in inner:
            yield from leaf_datasets(part)


def _image_loaders(dataset: Any) -> Iterator[Any]:
    """The ``LoadImage`` of a dataset's pipeline; None where it loads images otherwise."""
    kind = TRANSFORMS.get("LoadImage")
    for transform in getattr(getattr(dataset, "pipeline", None), "transforms", ()):
        if kind is not None and isinstance(transform, kind):
            yield transform


def use_pixels(runner: Runner, model: Any, kept: Mapping[str, Any], checkpoint: str, other_set: bool = False) -> None:
    """Let the test set read images as the checkpoint was trained, where the config does not say how.

    Args:
        runner: Of the test; what its dataset has built is changed.
        model: With ``data_preprocessor``.
        kept: ``meta["pixels"]`` of the checkpoint; empty for one that says nothing.
        checkpoint: The file, for errors.
        other_set: The data set is another one than the model's: what it declares holds.

    Raises:
        ConfigError: Config and checkpoint contradict each other, or a transform cannot work on such images.
        DataError: An image cannot be what the checkpoint was trained on.
    """
    check_statistics(model, kept, checkpoint)
    for dataset in leaf_datasets(runner.test_dataloader.dataset):
        for loader in _image_loaders(dataset):
            known = {} if other_set and loader.spec != PixelSpec() else kept
            loader.spec = merge_specs(loader.spec, known, "the config", checkpoint)
            check_bands(loader.spec, statistics_of(model)[0], "the test set")
            _refuse(transform_errors(runner.cfg.get("test_dataloader"), loader.spec))
            if len(dataset) and known:
                check_raster(dataset.get_data_info(0)["img_path"], known, checkpoint)


def _refuse(errors: list[str]) -> None:
    if errors:
        raise ConfigError("; ".join(errors))


def _declare(runner: Runner, *loaders: Any) -> None:
    """Give what the config's variables say to every ``LoadImage`` that is built already; processes start later."""
    share_pixels(runner.cfg._cfg_dict)
    for loader in loaders:
        for dataset in leaf_datasets(loader.dataset):
            for transform in _image_loaders(dataset):
                shared, own = spec_of({key: runner.cfg.get(key) for key in ("bands", "value_range")}), transform.spec
                ends = shared.value_range if own.value_range is None else own.value_range
                transform.spec = PixelSpec(own.bands or shared.bands, ends, own.repeat_grey)


@HOOKS.register_module()
class KeepPixels(Hook):
    """Keep bands, range of values, mean and standard deviation in ``meta["pixels"]`` of every checkpoint.

    What the config's variables ``bands`` and ``value_range`` declare reaches every ``LoadImage``, whoever starts the
    run.  Before the first iteration the config's own are compared: as many means as bands, and only transforms that
    work on such images.

    Raises:
        ConfigError: They do not fit, or are declared twice, and differently.
    """

    priority = "VERY_HIGH"

    def before_test(self, runner: Runner) -> None:
        """Let the test set read what the config declares."""
        _declare(runner, runner.test_dataloader)

    def before_train(self, runner: Runner) -> None:
        """Let the sets read what the config declares; compare bands, means and transforms."""
        _declare(runner, runner.train_dataloader, *([] if runner.val_loop is None else [runner.val_dataloader]))
        mean = statistics_of(bare_model(runner.model))[0]
        for name in ("train_dataloader", "val_dataloader"):
            loader = runner.cfg.get(name)
            spec = declared_spec(loader)
            if spec is not None:
                check_bands(spec, mean, name)
                _refuse(transform_errors(loader, spec))

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Add ``meta["pixels"]``; ``band_names`` is in it where bands have names, as BigEarthNet's do."""
        model = bare_model(runner.model)
        named = _band_names(model)
        pixels = record_pixels(runner.cfg, *statistics_of(model))
        checkpoint["meta"]["pixels"] = {**pixels, "band_names": named} if named else pixels
