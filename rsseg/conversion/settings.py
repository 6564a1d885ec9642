"""What a conversion config may say, checked at the door."""

from __future__ import annotations

import copy
import inspect
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from rsseg.conversion.options import SourceSettings, SplitSettings, Tiling, check_keys, typed
from rsseg.conversion.predictors import PREDICTORS
from rsseg.conversion.presets import apply_preset
from rsseg.conversion.prompts import parse_prompt
from rsseg.datasets.detection import DetectionSource, OnError, image_stems, open_parts, open_source
from rsseg.datasets.ground_truth import ground_truth_options
from rsseg.errors import ConfigError
from rsseg.io.configs import merge_options, read_config
from rsseg.io.tile_formats import format_record
from rsseg.metainfo import ClassTable, load_metainfo

__all__ = ["Settings", "build", "load_conversion_config"]


@dataclass(frozen=True)
class Settings:
    """A conversion config.

    Attributes:
        source: Where images and labels are.
        out_dir: Output folder.
        predictor: Name in ``predictors``.
        predictors: Name -> config of a registered predictor.
        prompt: Kind of prompt, such as ``hbox`` or ``cp+hbox``; see :mod:`rsseg.conversion.prompts`.
        pipeline: Steps for one tile; ``MakePrompts`` and ``PredictMasks`` get prompt and predictor from here.
        tiling: How tiles are cut; ``None`` keeps images whole.
        keep_empty: Whether tiles without objects are written (all unlabelled) or only listed.
        tile_format: Format of the files of tiles and label maps: ``png``; or ``tif``, of which training reads only what
            a crop takes.
        split: How tiles are divided.
        truth: ``None``, or ``kind`` (key of ``GROUND_TRUTHS``) and that kind's options.
        preset: ``None``, or the key of ``PRESETS`` that :meth:`from_config` has applied.
    """

    source: SourceSettings
    out_dir: str
    predictor: str
    prompt: str = "hbox"
    predictors: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipeline: list[dict[str, Any]] = field(default_factory=list)
    tiling: Tiling | None = None
    keep_empty: bool = False
    tile_format: str = "png"
    split: SplitSettings = field(default_factory=SplitSettings)
    truth: dict[str, Any] | None = None
    preset: str | None = None

    def __post_init__(self) -> None:
        parse_prompt(self.prompt)
        format_record(self.tile_format)
        if self.truth is not None:
            ground_truth_options(self.truth)
        known = [*self.predictors, *(name for name in PREDICTORS if name not in self.predictors)]
        if self.predictor not in known:
            raise ConfigError(f"unknown predictor {self.predictor!r}; expected one of: {', '.join(known)}")
        if self.source.format == "images" and not self.finds_objects:
            raise ConfigError(
                f"source.format='images' has no labels, so prompt={self.prompt!r} has nothing to ask with; use "
                "prompt='text' and --predictor sam3_text"
            )
        if not self.pipeline:
            raise ConfigError("pipeline must list at least one transform; take it from _base_/convert.py")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Settings from a loaded config, its preset applied; names it does not know are ignored (helper variables).

        Raises:
            ConfigError: Something is missing or not allowed; the message says what is.
        """
        plain = config.to_dict() if hasattr(config, "to_dict") else copy.deepcopy(dict(config))
        for key in ("source", "out_dir", "predictor"):
            if key not in plain:
                raise ConfigError(f"missing required config key {key!r}")
        if plain.get("preset") is not None:
            plain = apply_preset(plain, plain["preset"])
        kinds = {"source": SourceSettings, "tiling": Tiling, "split": SplitSettings}
        own = {key: plain[key] for key in cls.__dataclass_fields__ if key in plain}
        own |= {key: typed(kind, key, own[key]) for key, kind in kinds.items() if own.get(key) is not None}
        return cls(**own)

    @property
    def table(self) -> ClassTable:
        """Class table of the labels."""
        return replace(load_metainfo(self.source.classes), omit=self.source.omit)

    @property
    def finds_objects(self) -> bool:
        """Whether the mask model finds the objects by itself, asked with the classes' words alone."""
        return parse_prompt(self.prompt) == ("text",)

    @property
    def words(self) -> dict[str, tuple[str, ...]]:
        """Name of each class -> what a model that reads texts is asked with: its prompts, else its name in words."""
        table = self.table
        prompts = table.prompts or ((),) * table.num_classes
        plain = [name.replace("-", " ").replace("_", " ") for name in table.classes]
        rows = zip(table.classes, prompts, plain, strict=True)
        return {name: tuple(own) or (text,) for name, own, text in rows}

    @property
    def predictor_config(self) -> dict[str, Any]:
        """Config of the chosen predictor."""
        return self.predictors.get(self.predictor) or {"type": PREDICTORS[self.predictor]}

    @property
    def cuts_tiles(self) -> bool:
        """Whether tiles are cut (and written) or images kept whole (and referenced)."""
        return self.tiling is not None

    def open_source(self, on_error: OnError) -> DetectionSource:
        """The images and labels.

        Raises:
            AnnotationError: See :func:`rsseg.datasets.detection.open_source`; or several images have one name.
            FileNotFoundError: A folder is missing, or no image in it has labels.
        """
        found = self._open_source(on_error)
        if found.collisions:
            raise found.collisions[0]
        if not found.items:
            first = f"; the first problem is {found.problems[0]}" if found.problems else ""
            raise FileNotFoundError(
                f"{self.source.images}: no image with labels in {self.source.annotations} "
                f"({len(found.without_annotation)} images without{first}); give --images and --annotations"
            )
        return found

    def _open_source(self, on_error: OnError) -> DetectionSource:
        source = self.source
        folders = {"format": source.format, "images": source.images, "annotations": source.annotations}
        if source.parts:
            parts = [asdict(part) for part in source.parts]
            return open_parts(
                **folders, table=self.table, parts=parts, on_error=on_error, shared_labels=source.shared_labels
            )
        stems = source.stems
        if stems is None and source.shared_labels:
            stems = image_stems(source.images)
        return open_source(**folders, table=self.table, on_error=on_error, stems=stems)

    def as_dict(self) -> dict[str, Any]:
        """What decides the masks, as JSON values; where it is written and how it is split are left out."""
        tiling = None if self.tiling is None else asdict(self.tiling)
        plain = {name: getattr(self, name) for name in ("prompt", "pipeline", "keep_empty")}
        source = {key: value for key, value in asdict(self.source).items() if key != "omit" or value}
        if "text" in parse_prompt(self.prompt):
            plain["words"] = self.words
        plain |= {"source": source, "tiling": tiling, **format_record(self.tile_format)}
        return dict(json.loads(json.dumps(plain)))


def load_conversion_config(path: Path | str, options: Mapping[str, Any]) -> Config:
    """A conversion config from its file, changed by options as they stand on a command line.

    Args:
        path: The file, or ``rsseg::samrs/convert_sota.py`` and the like.
        options: ``a.b`` -> value, where ``a`` is a setting or another name of the config; ``checkpoint`` -> weights of
            the chosen predictor.

    Raises:
        FileNotFoundError: There is no such file.
        ConfigError: An option changes nothing that there is.
    """
    config = read_config(path)
    options = dict(options)
    checkpoint = options.pop("checkpoint", None)
    known = {*config, *Settings.__dataclass_fields__}
    for option in options:
        if option.split(".")[0] not in known:
            raise ConfigError(f"unknown setting {option!r} in {path}; expected one of: {', '.join(sorted(known))}")
    merge_options(config, options, path)
    if checkpoint is not None:
        _use_checkpoint(config, checkpoint)
    return config


def _use_checkpoint(config: Config, checkpoint: str) -> None:
    """Put the weights into the config of the chosen predictor."""
    predictors = config.get("predictors") or {}
    chosen = predictors.get(config.get("predictor"))
    if chosen is None or "checkpoint" not in chosen:
        weighty = [name for name, own in predictors.items() if "checkpoint" in own]
        raise ConfigError(
            f"--checkpoint {checkpoint}: the predictor {config.get('predictor')!r} has no weights; add --predictor "
            f"with one of: {', '.join(weighty)}"
        )
    chosen["checkpoint"] = checkpoint


def build(registry: Registry, config: Mapping[str, Any], what: str) -> Any:
    """Make what a config describes.

    Args:
        registry: Where its ``type`` is looked up.
        config: ``type`` and options.
        what: The setting, for messages.

    Raises:
        ConfigError: There is no such type, or it has no such option.
    """
    kind = config.get("type")
    made = registry.get(kind) if isinstance(kind, str) else kind
    if made is None:
        raise ConfigError(
            f"{what}: unknown type {kind!r}; check its spelling, and that custom_imports names its module"
        )
    options = inspect.signature(made).parameters
    if not any(option.kind is option.VAR_KEYWORD for option in options.values()):
        check_keys(f"{what} ({kind})", config, {"type", *options})
    return registry.build(dict(config))
