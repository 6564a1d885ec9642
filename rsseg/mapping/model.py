"""A trained segmentor as a function from windows to scores."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from numpy.typing import NDArray

from rsseg.engine import Precision, check_finite, check_statistics, load_pretrained
from rsseg.errors import ConfigError
from rsseg.io.bands import PixelSpec
from rsseg.io.checkpoint_options import ClassOptions
from rsseg.io.pixel_settings import declared_spec, merge_specs, share_pixels, spec_of
from rsseg.metainfo import ClassTable, base_table, load_metainfo
from rsseg.metainfo.datasets import table_of
from rsseg.metainfo.heads import head_errors

__all__ = [
    "SegmentorScorer",
    "check_heads",
    "class_table",
    "load_model",
    "pixel_spec",
    "table_name",
    "views_of",
    "window_of",
]

_AXES = {"horizontal": 3, "vertical": 2}

_DEFAULT_WINDOW = 1024
_SMALLEST = 64
"""Windows with a smaller side that a model cannot take are enlarged to this by repeating their last pixels."""


def load_model(
    config: Config,
    checkpoint: str | None,
    device: str,
    trust: bool = False,
    classes: Mapping[str, Sequence[str]] | None = None,
    class_options: ClassOptions | None = None,
) -> tuple[Any, dict[str, Any]]:
    """Model of a config in eval mode, with every weight of the checkpoint accounted for, and the checkpoint's ``meta``.

    Args:
        config: The model's config.
        checkpoint: Its weights; None for a model that is not trained.
        device: Such as ``cpu`` or ``cuda:0``.
        trust: Whether the file may run code while it loads.
        classes: Class names that the model shall predict, by label set (``""`` where it has one head): heads are put
            into their order.  None leaves the checkpoint's own.
        class_options: What to do where the checkpoint has other classes; by default what the environment says.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: The checkpoint does not fit the model, or has other classes.
    """
    init_default_scope(config.get("default_scope", "mmseg"))
    settings = copy.deepcopy(config.model)
    settings.pop("pretrained", None)
    model = MODELS.build(settings)
    meta = load_pretrained(model, checkpoint, trust=trust, classes=classes, class_options=class_options)
    return model.to(device).eval(), meta


def pixel_spec(requested: PixelSpec, config: Config, model: Any, meta: dict[str, Any], checkpoint: str) -> PixelSpec:
    """Bands and range of values that a map is made from: as requested, else as the model was trained.

    What the model was trained with is kept in its checkpoint; where it is not, the config says it: by its training set,
    else by its test set, else by its variables ``bands`` and ``value_range``.

    Args:
        requested: What the user says.
        config: The model's config.
        model: With ``data_preprocessor``.
        meta: Of the checkpoint.
        checkpoint: The file, for errors.

    Raises:
        ConfigError: The user, or the config's mean and standard deviation, contradict the checkpoint.
    """
    kept = meta.get("pixels") or {}
    check_statistics(model, kept, checkpoint)
    if kept:
        return merge_specs(requested, kept, "the command (--bands, --range)", checkpoint)
    share_pixels(config._cfg_dict)
    loaders = (declared_spec(config.get(f"{split}_dataloader")) for split in ("train", "test"))
    declared = next((spec for spec in loaders if spec is not None), None) or spec_of(config)
    return PixelSpec(requested.bands or declared.bands, requested.value_range or declared.value_range)


def _datasets(config: Config) -> list[Any]:
    dataset = (config.get("test_dataloader") or config.get("train_dataloader") or {}).get("dataset") or {}
    return list(dataset.get("datasets", [dataset]))


def class_table(config: Config, head: str | None = None, override: str | None = None) -> ClassTable:
    """Names and colours of the classes that a model predicts; arguments and errors as in :func:`table_name`."""
    return load_metainfo(table_name(config, head, override))


def table_name(config: Config, head: str | None = None, override: str | None = None) -> str:
    """Name or path of the table of the classes that a model predicts.

    Args:
        config: The model's config; the table is its dataset's, or the head's of a model with several.
        head: Name of the label set, for models with several.
        override: Name or path of a table that is used instead.

    Raises:
        ConfigError: There is no such head, none was named, or the config's dataset has no table.
    """
    heads = config.model.get("heads")
    if heads is not None and head not in heads:
        raise ConfigError(f"the model has the heads {', '.join(heads)}; choose one with --head, got {head!r}")
    if heads is None and head is not None:
        raise ConfigError(f"--head {head}: the model of this config has only one head; remove --head")
    if override is not None:
        return override
    for dataset in _datasets(config):
        table = table_of(dataset)
        if table and (heads is None or head in (dataset.get("name"), Path(base_table(table)).stem)):
            return table
    raise ConfigError(
        "the dataset of the config has no class table; name one with --classes (a name or the path of a .json file)"
    )


def check_heads(config: Config, name: str, table: ClassTable) -> None:
    """Before the model is loaded and anything begun: does what it predicts have as many classes as the table?

    Args:
        config: The model's config.
        name: Label set.
        table: Its classes.

    Raises:
        ConfigError: It has not.
    """
    wrong = [text for text in head_errors(config.model, {name: table.classes}) if "auxiliary_head" not in text]
    if wrong:
        raise ConfigError(f"{wrong[0]}, or name the class table of the model with --classes")


def window_of(config: Config) -> tuple[int, int]:
    """(height, width) of windows: those of slide inference, else the training crop's, else 1024."""
    test = config.model.get("test_cfg") or {}
    size = test.get("crop_size") if test.get("mode") == "slide" else None
    if size is None:
        for step in ((config.get("train_dataloader") or {}).get("dataset") or {}).get("pipeline", ()):
            size = step.get("crop_size", size) if "Crop" in step.get("type", "") else size
    height, width = (size, size) if isinstance(size, int) or size is None else size
    return int(height or _DEFAULT_WINDOW), int(width or _DEFAULT_WINDOW)


def views_of(config: Config) -> tuple[tuple[int, ...], ...]:
    """Test-time augmentation of a config: for each view the axes of (N, C, H, W) that it is flipped along.

    Raises:
        ConfigError: The config's ``tta_pipeline`` does something other than flipping.
    """
    steps = [step for step in config.get("tta_pipeline") or () if step["type"] == "TestTimeAug"]
    if not steps:
        return (), (3,), (2,)
    views: list[tuple[int, ...]] = [()]
    for choices in steps[0]["transforms"]:
        kinds = {choice["type"] for choice in choices}
        if kinds == {"RandomFlip"}:
            flips = [(_AXES[choice.get("direction", "horizontal")],) if choice["prob"] else () for choice in choices]
            views = [view + flip for view in views for flip in flips]
        elif not kinds <= {"LoadLabels", "LoadAnnotations", "PackSegInputs"}:
            raise ConfigError(
                f"test-time augmentation of maps supports flips only; tta_pipeline of the config has {sorted(kinds)}"
            )
    return tuple(views)


class SegmentorScorer:
    """Scores of windows, computed as mmseg's ``inference_model`` does.

    Args:
        model: A segmentor in eval mode.
        classes: Classes per pixel of its scores.
        head: Label set of a model with several.
        views: Views whose probabilities are averaged, as in ``SegTTAModel``; see :func:`views_of`.
        precision: How the model is computed; scores are float32 anyway.
        checkpoint: The model's weights, for errors.

    Attributes:
        probabilities: Scores are probabilities already, not logits.
    """

    def __init__(
        self,
        model: Any,
        classes: int,
        head: str | None = None,
        views: Sequence[tuple[int, ...]] = ((),),
        precision: Precision = Precision(),  # noqa: B008, it is frozen
        checkpoint: str = "the model",
    ) -> None:
        self.checkpoint = checkpoint
        self.model, self.classes, self.views = model, classes, views
        self._given = bool(getattr(model, "probabilities", False))
        self.probabilities = self._given or len(views) > 1
        self.device = next(model.parameters()).device
        self._meta = {} if head is None else {"dataset_name": head}
        self.use(precision)

    def use(self, precision: Precision) -> None:
        """Compute in this way from now on."""
        self.precision = precision
        precision.arrange(self.model)

    def prepare(self, windows: Sequence[NDArray[np.generic]]) -> Any:
        """A batch of (C, h, w) windows of one size as the model's preprocessor makes it; may run in another thread.

        Raises:
            ConfigError: The windows have another number of bands than the model takes.
        """
        shape, mean = windows[0].shape[1:], getattr(self.model.data_preprocessor, "mean", None)
        if mean is not None and len(mean) != len(windows[0]):  # a single band would become all of them in silence
            raise ConfigError(
                f"the model takes {len(mean)} bands, not {len(windows[0])}; name that many bands with --bands"
            )
        sizes = {"ori_shape": shape, "img_shape": shape, "pad_shape": shape, "padding_size": [0, 0, 0, 0]}
        inputs = [torch.from_numpy(np.ascontiguousarray(pixels)) for pixels in windows]
        samples = [SegDataSample(metainfo={**sizes, **self._meta}) for _ in windows]
        with torch.inference_mode():
            return self.model.data_preprocessor({"inputs": inputs, "data_samples": samples}, False)

    def __call__(self, batch: Any) -> torch.Tensor:
        """Scores (N, C, h, w) float32: logits; probabilities with several views, and of models that give them.

        Raises:
            ConfigError: The model's scores have another number of classes than the table, or are not finite.
        """
        metas = [sample.metainfo for sample in batch["data_samples"]]
        with torch.inference_mode(), self.precision.computing(self.device):
            if len(self.views) == 1:
                return self._scores(batch["inputs"], metas)
            total: torch.Tensor | None = None
            for axes in self.views:
                view = batch["inputs"].flip(axes) if axes else batch["inputs"]
                scores = self._scores(view, metas)
                part = scores.flip(axes) if axes else scores
                part = part if self._given else part.softmax(dim=1)
                total = part if total is None else total.add_(part)
            assert total is not None
            return total.div_(len(self.views))

    def _scores(self, inputs: torch.Tensor, metas: list[dict]) -> torch.Tensor:
        height, width = inputs.shape[2:]
        padded = [{**meta, "img_shape": (height, width)} for meta in metas]
        scores = self._inference(inputs, padded).float()
        left, right, top, bottom = metas[0].get("img_padding_size", metas[0].get("padding_size", [0] * 4))
        scores = scores[:, :, top : height - bottom, left : width - right]
        if scores.shape[1] == 1 and self.classes == 2:  # one score against a threshold
            limit = torch.tensor(float(self.model.decode_head.threshold)).logit()
            scores = torch.cat([torch.full_like(scores, float(limit)), scores], dim=1)
        if scores.shape[1] != self.classes:
            raise ConfigError(f"the model predicts {scores.shape[1]} classes, but the class table has {self.classes}; "
                             "name the matching class table with --classes")  # fmt: skip
        check_finite(scores, self.checkpoint, dim=1)
        return scores

    def _inference(self, inputs: torch.Tensor, metas: list[dict]) -> torch.Tensor:
        height, width = inputs.shape[2:]
        more = max(0, _SMALLEST - height), max(0, _SMALLEST - width)
        try:
            return self.model.inference(inputs, metas)
        except RuntimeError:  # several models' layers need a few pixels
            if not any(more):
                raise
        inputs = torch.nn.functional.pad(inputs, (0, more[1], 0, more[0]), mode="replicate")
        sizes = dict.fromkeys(("ori_shape", "img_shape", "pad_shape"), inputs.shape[2:])
        return self.model.inference(inputs, [{**meta, **sizes} for meta in metas])[:, :, :height, :width]
