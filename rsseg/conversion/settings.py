"""What a conversion config may say, checked at the door."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from rsseg.conversion.ground_truth import ground_truth_options
from rsseg.conversion.predictors import PREDICTORS
from rsseg.conversion.presets import apply_preset
from rsseg.conversion.prompts import parse_prompt
from rsseg.conversion.splits import BY
from rsseg.datasets.detection import DetectionSource, OnError, image_stems, open_parts, open_source
from rsseg.errors import ConfigError
from rsseg.metainfo import ClassTable, load_metainfo

__all__ = ["Settings", "build", "load_config", "shard_of"]

_SOURCE = {"format", "images", "annotations", "classes"}
_SOURCE_OPTIONS = {"image_mode", "stems", "parts", "shared_labels"}
_TILING = {"size", "overlap", "iof_thr", "box", "pad"}
_SPLIT = {"val_fraction", "seed", "by"}


@dataclass(frozen=True)
class Settings:
    """A conversion config.

    Attributes:
        source: ``format``, ``images``, ``annotations``, ``classes`` (class table); ``image_mode`` and ``stems``
            as in the readers; ``parts``, a list of folders below ``images`` and ``annotations`` with a prefix each,
            see :func:`~rsseg.datasets.detection.open_parts`; ``shared_labels`` where ``annotations`` also holds the
            labels of other images, which are left alone then.
        out_dir: Output folder.
        predictor: Name in ``predictors``.
        predictors: Name -> config of a registered predictor.
        prompt: Kind of prompt, such as ``hbox`` or ``cp+hbox``; see :mod:`rsseg.conversion.prompts`.
        pipeline: Steps for one tile; ``MakePrompts`` and ``PredictMasks`` get prompt and predictor from here.
        tiling: ``None`` keeps images whole; else ``size``, ``overlap``, ``iof_thr``, ``box`` (``qbox``: share of the
            true shape, ``hbox``: of the horizontal box) and ``pad``.
        keep_empty: Whether tiles without objects are written (all unlabelled) or only listed.
        split: ``val_fraction``, ``seed`` and ``by`` (``source``: whole source images are drawn, ``tile``: single
            tiles), see :func:`~rsseg.conversion.splits.split_tiles`.
        truth: ``None``, or ``kind`` (key of ``GROUND_TRUTHS``) and that kind's options.
        preset: ``None``, or the key of ``PRESETS`` that :meth:`from_config` has applied.
    """

    source: dict[str, Any]
    out_dir: str
    predictor: str
    prompt: str = "hbox"
    predictors: dict[str, dict[str, Any]] = field(default_factory=dict)
    pipeline: list[dict[str, Any]] = field(default_factory=list)
    tiling: dict[str, Any] | None = None
    keep_empty: bool = False
    split: dict[str, Any] = field(default_factory=lambda: {"val_fraction": 0.05, "seed": 0, "by": "source"})
    truth: dict[str, Any] | None = None
    preset: str | None = None

    def __post_init__(self) -> None:
        _check_keys("source", self.source, _SOURCE | _SOURCE_OPTIONS, _SOURCE)
        self._check_parts()
        if self.source.get("image_mode", "strict") not in ("strict", "convert"):
            raise ConfigError(f"source.image_mode must be 'strict' or 'convert', not {self.source['image_mode']!r}")
        if self.tiling is not None:
            _check_tiling(self.tiling)
        _check_keys("split", self.split, _SPLIT, _SPLIT - {"by"})
        if self.split.get("by", "source") not in BY:
            raise ConfigError(f"split.by must be 'source' or 'tile', not {self.split['by']!r}")
        share = self.split["val_fraction"]
        if not isinstance(share, int | float) or not 0 <= share <= 1:
            raise ConfigError(f"split.val_fraction must be a number in 0..1, not {share!r}")
        parse_prompt(self.prompt)
        if self.truth is not None:
            ground_truth_options(self.truth)
        known = [*self.predictors, *(name for name in PREDICTORS if name not in self.predictors)]
        if self.predictor not in known:
            raise ConfigError(f"no predictor {self.predictor!r}; there are {', '.join(known)}")
        if not self.pipeline:
            raise ConfigError("pipeline must list at least one step; take it from _base_/convert.py")

    def _check_parts(self) -> None:
        for i, part in enumerate(self.source.get("parts") or []):
            _check_keys(f"source.parts[{i}]", part, {"images", "annotations", "prefix"}, {"images", "annotations"})
            if "/" in part.get("prefix", ""):
                raise ConfigError(f"source.parts[{i}].prefix begins file names, so no slash: {part['prefix']!r}")
        if self.source.get("parts") and self.source.get("stems") is not None:
            raise ConfigError("source.parts and source.stems do not go together; leave one out")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Settings:
        """Settings from a loaded config, its preset applied; names it does not know are ignored (helper variables).

        Raises:
            ValueError: Something is missing or not allowed; the message says what is.
        """
        plain = config.to_dict() if hasattr(config, "to_dict") else copy.deepcopy(dict(config))
        for key in ("source", "out_dir", "predictor"):
            if key not in plain:
                raise ConfigError(f"the config lacks {key!r}")
        if plain.get("preset") is not None:
            plain = apply_preset(plain, plain["preset"])
        return cls(**{key: plain[key] for key in cls.__dataclass_fields__ if key in plain})

    @property
    def table(self) -> ClassTable:
        """Class table of the labels."""
        return load_metainfo(self.source["classes"])

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
            AnnotationError: See :func:`rsseg.datasets.detection.open_source`.
            FileNotFoundError: A folder is missing, or no image in it has labels.
        """
        found = self._open_source(on_error)
        if not found.items:
            first = f"; the first problem is {found.problems[0]}" if found.problems else ""
            raise FileNotFoundError(
                f"{self.source['images']}: no image with labels in {self.source['annotations']} "
                f"({len(found.without_annotation)} images without{first}); give --images and --annotations"
            )
        return found

    def _open_source(self, on_error: OnError) -> DetectionSource:
        source = self.source
        places = {"format": source["format"], "images": source["images"], "annotations": source["annotations"]}
        shared = bool(source.get("shared_labels"))
        if source.get("parts"):
            return open_parts(
                **places, table=self.table, parts=source["parts"], on_error=on_error, shared_labels=shared
            )
        stems = source.get("stems")
        if stems is None and shared:
            stems = image_stems(source["images"])
        return open_source(**places, table=self.table, on_error=on_error, stems=stems)

    def as_dict(self) -> dict[str, Any]:
        """What decides the masks, as JSON values; where it is written and how it is split are left out."""
        names = ("source", "tiling", "prompt", "pipeline", "keep_empty")
        return {name: getattr(self, name) for name in names}


def _check_tiling(tiling: Mapping[str, Any]) -> None:
    _check_keys("tiling", tiling, _TILING, {"size"})
    if tiling.get("box", "qbox") not in ("hbox", "qbox"):
        raise ConfigError(f"tiling.box must be 'hbox' or 'qbox', not {tiling['box']!r}")
    sides = {}
    for key, least in (("size", 1), ("overlap", 0)):
        value = tiling.get(key, 0)
        sides[key] = list(value) if isinstance(value, list | tuple) else [value, value]
        if len(sides[key]) != 2 or any(type(side) is not int or side < least for side in sides[key]):
            raise ConfigError(f"tiling.{key} must be pixels from {least} on, one number or two, not {value!r}")
    if any(overlap >= size for overlap, size in zip(sides["overlap"], sides["size"], strict=True)):
        raise ConfigError(f"tiling.overlap must be less than tiling.size, {tiling['size']}, not {tiling['overlap']!r}")
    share = tiling.get("iof_thr", 0.7)
    if not isinstance(share, int | float) or not 0 < share <= 1:
        raise ConfigError(f"tiling.iof_thr must be a number above 0 and up to 1, not {share!r}")


def _check_keys(what: str, value: Mapping[str, Any], allowed: set[str], needed: set[str]) -> None:
    for key in value:
        if key not in allowed:
            raise ConfigError(f"{what}.{key} means nothing here; allowed are {', '.join(sorted(allowed))}")
    for key in sorted(needed):
        if key not in value:
            raise ConfigError(f"{what}.{key} is missing")


def load_config(path: Path | str, options: Mapping[str, Any]) -> Config:
    """A conversion config from its file, changed by options as they stand on a command line.

    Args:
        path: The file.
        options: ``a.b`` -> value, where ``a`` is a setting or another name of the config.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: An option changes nothing that there is.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such config file; see configs/*/convert*.py")
    config = Config.fromfile(path)
    known = {*config, *Settings.__dataclass_fields__}
    for option in options:
        if option.split(".")[0] not in known:
            raise ConfigError(f"no setting {option!r} in {path}; there are {', '.join(sorted(known))}")
    try:
        config.merge_from_dict(dict(options))
    except (KeyError, TypeError) as error:
        raise ConfigError(f"{path} cannot take these options, {', '.join(options)}: {error}") from error
    return config


def build(registry: Registry, config: Mapping[str, Any], what: str) -> Any:
    """Make what a config describes.

    Args:
        registry: Where its ``type`` is looked up.
        config: ``type`` and options.
        what: The setting, for messages.

    Raises:
        ValueError: There is no such type, or it has no such option.
    """
    kind = config.get("type")
    made = registry.get(kind) if isinstance(kind, str) else kind
    if made is None:
        raise ConfigError(f"{what}: there is no type {kind!r}; is the module that registers it in custom_imports?")
    options = inspect.signature(made).parameters
    if not any(option.kind is option.VAR_KEYWORD for option in options.values()):
        _check_keys(f"{what} ({kind})", config, {"type", *options}, set())
    return registry.build(dict(config))


def shard_of(launcher: str) -> tuple[int, int]:
    """(rank, number of processes) as the launcher tells them.

    Args:
        launcher: ``none``, ``pytorch`` (torchrun: RANK, WORLD_SIZE) or ``slurm`` (SLURM_PROCID, SLURM_NTASKS).

    Raises:
        ValueError: There is no such launcher, or its variables are not set.
    """
    names = {"none": None, "pytorch": ("RANK", "WORLD_SIZE"), "slurm": ("SLURM_PROCID", "SLURM_NTASKS")}
    if launcher not in names:
        raise ConfigError(f"no launcher {launcher!r}; there are {', '.join(names)}")
    variables = names[launcher]
    if variables is None:
        return 0, 1
    missing = [name for name in variables if name not in os.environ]
    if missing:
        raise ConfigError(f"launcher {launcher!r} needs {missing[0]} in the environment; start it through the launcher")
    rank, world = (int(os.environ[name]) for name in variables)
    return rank, world
