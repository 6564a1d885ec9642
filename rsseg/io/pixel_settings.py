"""Bands and range of values as configs declare them and as checkpoints keep them.

A config declares them once: by its variables ``bands`` and ``value_range``, or in the ``LoadImage`` that its pipelines
share.  A checkpoint keeps them, with mean and standard deviation, as ``meta["pixels"]``::

    dict(bands=[1, 2, 3, 4], value_range=[0, 10000], mean=[...], std=[...])

``bands`` None are those that a file calls red, green and blue; ``value_range`` None is 8 bits as they are.  Mean and
standard deviation are in the units that the model sees, in the order of ``bands``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from rsseg.errors import ConfigError, DataError
from rsseg.io.bands import PixelSpec
from rsseg.io.description import describe_raster

__all__ = [
    "check_bands",
    "check_raster",
    "declared_spec",
    "find_loaders",
    "merge_specs",
    "record_pixels",
    "same_numbers",
    "share_pixels",
    "spec_of",
    "transform_errors",
]

_KEYS = ("bands", "value_range")
_COLOURS = 3
_BYTE = 255
# Transforms of mmcv, mmseg and mmpretrain that take only ...
_THREE_OF_8_BITS = {"PhotoMetricDistortion", "RGB2Gray", "RandomGrayscale", "ColorJitter", "RandomCutOut", "CutOut"}
_8_BITS = {"CLAHE", "AdjustGamma", "Solarize", "Posterize", "Equalize", "AutoContrast", "Rerange"}
_FOUR = {"Pad"}
_KNOWN_RANGE = {"RandomColorJitter"}


def find_loaders(node: Any) -> Iterator[MutableMapping[str, Any]]:
    """Every ``LoadImage`` in a config or a part of one, wherever it stands."""
    if isinstance(node, MutableMapping):
        if _type(node) == "LoadImage":
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from find_loaders(value)


def _type(step: Mapping[str, Any]) -> str:
    return str(step.get("type", "")).rpartition(".")[2]


def spec_of(settings: Mapping[str, Any]) -> PixelSpec:
    """What the ``bands``, ``value_range`` and ``repeat_grey`` of a config's dict, or of ``meta["pixels"]``, declare.

    Raises:
        ConfigError: A value is not allowed.
    """
    bands, ends = settings.get("bands"), settings.get("value_range")
    return PixelSpec(
        None if bands is None else tuple(bands),
        tuple(ends) if isinstance(ends, (list, tuple)) else ends,
        bool(settings.get("repeat_grey", False)),
    )


def share_pixels(config: MutableMapping[str, Any]) -> None:
    """Give every ``LoadImage`` of a config what its variables ``bands`` and ``value_range`` declare, in place.

    Raises:
        ConfigError: One of them declares something else.
    """
    for loader in find_loaders(config):
        for key in _KEYS:
            shared, own = config.get(key), loader.get(key)
            if shared is None:
                continue
            if own is not None and _plain(own) != _plain(shared):
                raise ConfigError(
                    f"the config says {key} = {_plain(shared)}, one of its LoadImage {key}={_plain(own)}; "
                    "declare it once, as a variable of the config"
                )
            loader[key] = shared


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (list, tuple)) else value


def declared_spec(config: Any) -> PixelSpec | None:
    """What all ``LoadImage`` of a config or a part of one declare alike; None where there are none, or they differ."""
    specs = {spec_of(loader) for loader in find_loaders(config)}
    return specs.pop() if len(specs) == 1 else None


def record_pixels(
    config: Mapping[str, Any], mean: Sequence[float] | None, std: Sequence[float] | None
) -> dict[str, Any]:
    """``meta["pixels"]`` of a model that is trained with a config and these statistics of its preprocessor."""
    spec = declared_spec(config.get("train_dataloader")) or PixelSpec()
    return {
        "bands": None if spec.bands is None else list(spec.bands),
        "value_range": _plain(spec.value_range),
        "mean": None if mean is None else [float(value) for value in mean],
        "std": None if std is None else [float(value) for value in std],
    }


def check_bands(spec: PixelSpec, mean: Sequence[float] | None, source: str) -> None:
    """Refuse bands that are not as many as a model's preprocessor has means.

    Raises:
        ConfigError: They differ.
    """
    count = _COLOURS if spec.bands is None else len(spec.bands)
    if mean is not None and len(mean) != count:
        what = "red, green and blue" if spec.bands is None else f"bands {', '.join(map(str, spec.bands))}"
        raise ConfigError(
            f"{source}: images have {what}, but model.data_preprocessor has {len(mean)} means; declare {len(mean)} "
            f"bands (bands=...), or give {count} values of mean and of std"
        )


def merge_specs(spec: PixelSpec, kept: Mapping[str, Any] | None, source: str, checkpoint: str) -> PixelSpec:
    """What holds for a model's images: as declared, else as the checkpoint keeps it.

    Args:
        spec: What the user or the config declares.
        kept: ``meta["pixels"]`` of the checkpoint.
        source: Who declares ``spec``, for errors: the options of a command, or the config.
        checkpoint: The file, for errors.

    Raises:
        ConfigError: Both declare something, and not the same.
    """
    if not kept:
        return spec
    trained = spec_of(kept)
    for key in _KEYS:
        own, other = getattr(spec, key), getattr(trained, key)
        if own is not None and other is not None and _plain(own) != _plain(other):
            raise ConfigError(
                f"{source} says {key} {_plain(own)}, but {checkpoint} was trained with {key} {_plain(other)}; leave "
                "it away to use those of the checkpoint (a raster with other bands: gdal_translate -b orders them)"
            )
    out = PixelSpec(spec.bands or trained.bands, spec.value_range or trained.value_range, spec.repeat_grey)
    mean = kept.get("mean")
    if mean and out.bands is not None and len(out.bands) != len(mean):
        raise ConfigError(
            f"{source} says bands {list(out.bands)}, but {checkpoint} was trained on {len(mean)} bands; name as many"
        )
    return out


def same_numbers(own: Sequence[float] | None, kept: Sequence[float] | None) -> bool:
    """Whether two means (or standard deviations) are the same but for rounding."""
    if own is None or kept is None:
        return own is kept
    return len(own) == len(kept) and bool(np.allclose(own, kept, rtol=1e-4, atol=1e-4))


def check_raster(path: str | Path, kept: Mapping[str, Any], checkpoint: str) -> None:
    """Refuse a raster that cannot be what a checkpoint was trained on.

    Args:
        path: A picture, or anything that GDAL opens.
        kept: ``meta["pixels"]`` of the checkpoint.
        checkpoint: The file, for errors.

    Raises:
        DataError: It has fewer bands, or 8 bits where the model was trained on larger values.
        FileNotFoundError: There is no such file.
        UnreadableFileError: It is damaged, or in no known format.
    """
    spec = spec_of(kept)
    if spec == PixelSpec():
        return
    found = describe_raster(path)
    bands = spec.bands or ()
    if bands and max(bands) > len(found.dtypes):
        raise DataError(f"{path}: has {found}, but {checkpoint} was trained on the bands {', '.join(map(str, bands))}")
    high = spec.value_range[1] if isinstance(spec.value_range, tuple) else max(kept.get("mean") or [0])
    if high > _BYTE and spec.value_range is not None and set(found.dtypes) == {"uint8"}:
        raise DataError(
            f"{path}: has {found}, values from 0 to 255, but {checkpoint} was trained with value_range "
            f"{_plain(spec.value_range)}; use a raster of the same kind of values"
        )


def transform_errors(pipeline: Any, spec: PixelSpec) -> list[str]:
    """Transforms of a pipeline that cannot work on such images, each with what to do instead.

    Args:
        pipeline: Config of a pipeline, transforms inside of others included.
        spec: What its ``LoadImage`` declares.
    """
    count = _COLOURS if spec.bands is None else len(spec.bands)
    eight = spec.value_range is None
    out = []
    for step in _steps(pipeline):
        name = _type(step)
        pillow = name.startswith("Resize") and step.get("backend") == "pillow"
        if (name in _THREE_OF_8_BITS or pillow) and not (eight and count == _COLOURS):
            out.append(f"{name} works on three bands of 8 bits only; remove it (RandomColorJitter takes any bands), or "
                       "for Resize use the backend cv2")  # fmt: skip
        elif name in _8_BITS and not eight:
            out.append(f"{name} would cut values to 8 bits; remove it")
        elif name in _FOUR and count > 4:
            out.append(f"{name} takes at most 4 bands, these images have {count}; use PadCentred")
        elif name in _KNOWN_RANGE and spec.value_range == "raw":
            out.append(f"{name} needs to know what is black and white; declare value_range=(low, high), or remove it")
    return out


def _steps(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, Mapping):
        if "type" in node:
            yield node
        node = list(node.values())
    if isinstance(node, (list, tuple)):
        for value in node:
            yield from _steps(value)
