"""Typed parts of a conversion config: where the labels are, how tiles are cut, how they are split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal, TypeVar

from rsseg.conversion.splits import BY
from rsseg.errors import ConfigError

__all__ = ["PartSettings", "SourceSettings", "SplitSettings", "Tiling", "check_keys", "typed"]

Options = TypeVar("Options")
Side = int | tuple[int, int]


def check_keys(what: str, given: Iterable[str], allowed: Iterable[str], needed: Iterable[str] = ()) -> None:
    """Check the keys of an object in a config.

    Args:
        what: Its own key, for messages.
        given: Keys that it has.
        allowed: Keys that it may have.
        needed: Keys that it must have.

    Raises:
        ConfigError: A key is unknown or missing.
    """
    given, allowed = list(given), sorted(allowed)
    for key in given:
        if key not in allowed:
            raise ConfigError(f"unknown key {f'{what}.{key}'!r}; expected one of: {', '.join(allowed)}")
    for key in sorted(needed):
        if key not in given:
            raise ConfigError(f"missing required config key {f'{what}.{key}'!r}")


def typed(kind: type[Options], what: str, value: Any) -> Options:
    """An object of a config as the dataclass of its options.

    Args:
        kind: The dataclass; its defaults are those of the config.
        what: The object's key, for messages.
        value: The object, or options already.

    Raises:
        ConfigError: A key is unknown or missing, or a value is not allowed.
    """
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ConfigError(f"{what} must be an object with keys and values, not {value!r}")
    own = fields(kind)  # type: ignore[arg-type]
    needed = [f.name for f in own if f.default is MISSING and f.default_factory is MISSING]
    check_keys(what, value, [f.name for f in own], needed)
    return kind(**value)


@dataclass(frozen=True)
class Tiling:
    """How source images are cut into tiles.

    Attributes:
        size: Side of a tile in pixels, or (height, width).
        overlap: Pixels that neighbours share, or (vertically, horizontally).
        iof_thr: Share of an object, in (0, 1], that must lie in a tile for the tile to keep it.
        box: ``qbox``, share of the true shape; ``hbox``, of the horizontal box.
        pad: Fill tiles of smaller images up.
    """

    size: Side
    overlap: Side = 0
    iof_thr: float = 0.7
    box: str = "qbox"
    pad: bool = False

    def __post_init__(self) -> None:
        if self.box not in ("hbox", "qbox"):
            raise ConfigError(f"tiling.box must be 'hbox' or 'qbox', got {self.box!r}")
        sides = {}
        for key, least in (("size", 1), ("overlap", 0)):
            value: Any = getattr(self, key)
            sides[key] = list(value) if isinstance(value, list | tuple) else [value, value]
            if len(sides[key]) != 2 or any(type(side) is not int or side < least for side in sides[key]):
                raise ConfigError(f"tiling.{key} must be pixels from {least} on, one number or two, not {value!r}")
        if any(overlap >= size for overlap, size in zip(sides["overlap"], sides["size"], strict=True)):
            raise ConfigError(f"tiling.overlap must be less than tiling.size, {self.size}, not {self.overlap!r}")
        if not isinstance(self.iof_thr, int | float) or not 0 < self.iof_thr <= 1:
            raise ConfigError(f"tiling.iof_thr must be a number above 0 and up to 1, not {self.iof_thr!r}")


@dataclass(frozen=True)
class SplitSettings:
    """How tiles are divided into training and validation, see :func:`~rsseg.conversion.splits.split_tiles`.

    Attributes:
        val_fraction: Share for validation, in 0..1.
        seed: Another seed makes another choice.
        by: ``source``: whole source images are drawn; ``tile``: single tiles.

    Source: SAMRS paper, section 4.2, for the share.
    """

    val_fraction: float = 0.05
    seed: int = 0
    by: str = "source"

    def __post_init__(self) -> None:
        if self.by not in BY:
            raise ConfigError(f"split.by must be 'source' or 'tile', got {self.by!r}")
        if not isinstance(self.val_fraction, int | float) or not 0 <= self.val_fraction <= 1:
            raise ConfigError(f"split.val_fraction must be a number from 0 to 1, got {self.val_fraction!r}")


@dataclass(frozen=True)
class PartSettings:
    """One of several pairs of folders, see :func:`~rsseg.datasets.detection.open_parts`.

    Attributes:
        images: Folder below the source's ``images``.
        annotations: Folder or file below the source's ``annotations``.
        prefix: Put before the names of its images.
    """

    images: str
    annotations: str
    prefix: str = ""


@dataclass(frozen=True)
class SourceSettings:
    """Where images and labels are.

    Attributes:
        format: Key of :data:`rsseg.datasets.detection.READERS`, or ``images``: there are no labels.
        images: Folder of the images.
        annotations: Folder of the label files; for ``coco`` the JSON file; nothing for ``images``.
        classes: Class table: a name, or the path of a ``.json``.
        omit: Names of classes whose objects are left out on purpose; the manifest counts them.
        image_mode: ``strict`` or ``convert``, see :func:`rsseg.datasets.detection.read_image`.
        stems: Use only these: stems, or a text file with one a line.
        parts: Several pairs of folders instead of one.
        shared_labels: Whether ``annotations`` also holds the labels of other images, which are left alone then.
    """

    format: str
    images: str
    classes: str
    annotations: str = ""
    omit: tuple[str, ...] = ()
    image_mode: Literal["strict", "convert"] = "strict"
    stems: Any = None
    parts: tuple[PartSettings, ...] = ()
    shared_labels: bool = False

    def __post_init__(self) -> None:
        if not self.annotations and self.format != "images":
            raise ConfigError("missing required config key 'source.annotations'")
        parts = tuple(typed(PartSettings, f"source.parts[{i}]", part) for i, part in enumerate(self.parts or ()))
        object.__setattr__(self, "parts", parts)
        for i, part in enumerate(parts):
            if "/" in part.prefix:
                raise ConfigError(f"source.parts[{i}].prefix begins file names, so no slash: {part.prefix!r}")
        if parts and self.stems is not None:
            raise ConfigError("source.parts and source.stems exclude each other; remove one of them")
        names = [self.omit] if isinstance(self.omit, str) else list(self.omit or ())
        if not all(isinstance(name, str) for name in names):
            raise ConfigError(f"source.omit must be a list of class names, got {self.omit!r}")
        object.__setattr__(self, "omit", tuple(names))
        if self.image_mode not in ("strict", "convert"):
            raise ConfigError(f"source.image_mode must be 'strict' or 'convert', got {self.image_mode!r}")
