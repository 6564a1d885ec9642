"""Images of a dataset as its own pipeline loads them: kinds of files, statistics of bands, what a config should say."""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.errors import DataError, UnreadableFileError, UserError
from rsseg.io.bands import PixelSpec
from rsseg.io.description import RasterDescription, describe_raster
from rsseg.io.pixel_settings import spec_of
from rsseg.io.rasters import read_image

__all__ = [
    "BandStatistics",
    "ImageCheck",
    "PixelTally",
    "Transform",
    "build_loaders",
    "check_image",
    "explain_refusal",
    "far_off",
    "look_into",
    "propose",
]

_LABELS = ("LoadLabels", "LoadAnnotations", "LoadReferenceMap")
_CV2 = "LoadImageFromFile"
_SAMPLES = 1 << 16
_CURE = "use LoadImage instead of LoadImageFromFile, with bands and value_range declared"
_COLOURS = 3
_SHIFT, _SCALE = 2.0, 4.0
"""A preprocessor is far off where normalised values have a mean beyond the first, or a deviation beyond the second or
below its inverse."""

Transform = Callable[[dict[str, Any]], Any]


def build_loaders(pipeline: Any) -> tuple[Transform | None, Transform | None, PixelSpec | None]:
    """The transforms that load image and labels, as training builds them; None where a pipeline has none.

    Returns:
        Both transforms, and what ``LoadImage`` declares; None where images are loaded by another transform.
    """
    from mmseg.registry import TRANSFORMS

    steps = [step for step in _flatten(pipeline) if str(step.get("type", "")).rpartition(".")[2].startswith("Load")]
    names = [str(step["type"]).rpartition(".")[2] for step in steps]
    images = [step for step, name in zip(steps, names, strict=True) if name not in _LABELS]
    labels = [step for step, name in zip(steps, names, strict=True) if name in _LABELS]
    ours = images and str(images[0]["type"]).rpartition(".")[2] == "LoadImage"
    whole = [{key: value for key, value in step.items() if key != "windows"} for step in images]  # all is looked at
    image, label = (TRANSFORMS.build(copy.deepcopy(found[0])) if found else None for found in (whole, labels))
    return image, label, spec_of(images[0]) if ours else None


def _flatten(node: Any) -> list[Mapping[str, Any]]:
    """Transforms of a pipeline, those inside of others included."""
    if isinstance(node, Mapping):
        return [node, *_flatten(list(node.values()))] if "type" in node else _flatten(list(node.values()))
    if isinstance(node, (list, tuple)):
        return [step for part in node for step in _flatten(part)]
    return []


@dataclass
class BandStatistics:
    """Sums over valid pixels, one number for each of C bands.

    Attributes:
        count: Valid pixels.
        mean: (C,) float64 mean of the values.
        squares: (C,) float64 sum of the squares of what they differ from it.
        low: (C,) smallest value.
        high: (C,) largest value.
        top: (C,) largest 99.9th percentile of an image.
    """

    count: int = 0
    mean: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    squares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    low: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    high: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    top: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))

    @classmethod
    def of(cls, pixels: NDArray[Any], valid: NDArray[np.bool_] | None) -> BandStatistics:
        """Of an image (H, W, C); ``valid`` is (H, W), or None for all."""
        values = pixels.reshape(-1, pixels.shape[2]) if valid is None else pixels[valid]
        if not len(values):
            return cls()
        exact = values.astype(np.float64)
        few = values[:: max(1, len(values) // _SAMPLES)]
        tops = np.percentile(few.astype(np.float64), 99.9, axis=0)
        mean = exact.mean(0)
        return cls(len(values), mean, ((exact - mean) ** 2).sum(0), exact.min(0), exact.max(0), tops)

    def add(self, other: BandStatistics) -> None:
        """Add another image; one with another number of bands is left out."""
        if not self.count:
            self.__dict__.update(other.__dict__)
        elif other.count and len(other.mean) == len(self.mean):
            count, apart = self.count + other.count, other.mean - self.mean
            self.squares = self.squares + other.squares + apart**2 * (self.count * other.count / count)
            self.mean = self.mean + apart * (other.count / count)
            self.count = count
            self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
            self.top = np.maximum(self.top, other.top)

    @property
    def std(self) -> NDArray[np.float64]:
        """(C,) standard deviation of the valid pixels."""
        return np.asarray(np.sqrt(self.squares / max(self.count, 1)))


@dataclass
class ImageCheck:
    """What one image is like.

    Attributes:
        pixels: (H, W, C) as the pipeline loads it; None where it does not.
        size: (H, W) of it.
        valid: (H, W) bool; None where all pixels are valid, or it is not known.
        results: The sample after loading, for the transform that loads labels.
        description: What the file says about itself.
        statistics: Of the bands as the model sees them, in its order.
        numbers: Statistics of the file's own numbers, where the pipeline refuses it.
        bands: Bands of the file that ``numbers`` are of; None for red, green and blue as the file says.
        problems: What is wrong, by kind.
    """

    pixels: NDArray[Any] | None = None
    size: tuple[int, int] = (0, 0)
    valid: NDArray[np.bool_] | None = None
    results: dict[str, Any] | None = None
    description: RasterDescription | None = None
    statistics: BandStatistics | None = None
    numbers: BandStatistics | None = None
    bands: tuple[int, ...] | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)


def check_image(path: Path, row: Mapping[str, Any], load: Transform, spec: PixelSpec | None) -> ImageCheck:
    """Load an image by the transform of a pipeline.

    Args:
        path: The image.
        row: The sample, with ``img_path``.
        load: The transform.
        spec: What it declares; None for a transform other than ``LoadImage``.

    Raises:
        OSError, ValueError, ...: The image is damaged; the transform's own errors.
    """
    out = ImageCheck()
    if path.is_file():
        out.description = _describe(path)
    out.results = load(copy.deepcopy(dict(row)))
    assert out.results is not None
    pixels = np.asarray(out.results["img"])
    out.pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    out.size, out.valid = out.pixels.shape[:2], out.results.get("valid")
    if spec is None and type(load).__name__ == _CV2 and out.description is not None:
        _compare(path, out)
    blue_first = out.pixels.shape[2] == _COLOURS
    fits = out.valid is None or out.valid.shape == out.pixels.shape[:2]
    out.statistics = BandStatistics.of(out.pixels[..., ::-1] if blue_first else out.pixels, out.valid if fits else None)
    return out


def _describe(path: Path) -> RasterDescription | None:
    try:
        return describe_raster(path)
    except (UserError, OSError):
        return None  # the loader says what is wrong


def look_into(path: Path, spec: PixelSpec | None) -> ImageCheck:
    """What could be declared of an image that a pipeline refuses; arguments as of :func:`check_image`."""
    out = ImageCheck(description=_describe(path))
    if out.description is not None:
        _look_into(path, spec, out)
    return out


def explain_refusal(path: Path, load: Transform, error: BaseException) -> str:
    """Why a transform cannot load an image; of OpenCV's failures what the file is, and what to do."""
    if type(load).__name__ == _CV2:
        try:
            read_image(path, PixelSpec(repeat_grey=True))
        except UnreadableFileError:
            pass
        except DataError as reason:
            return f"{reason}; {_CURE}"
        else:
            return f"{path}: OpenCV cannot read it; {_CURE}"
    return str(error).strip() or type(error).__name__


def _look_into(path: Path, spec: PixelSpec | None, out: ImageCheck) -> None:
    """Statistics of the numbers of a file that the pipeline refuses, for a proposal."""
    assert out.description is not None
    colours = out.description.colours
    bands = spec.bands if spec is not None else None
    if bands is None and any(colours.count(name) != 1 for name in ("red", "green", "blue")):
        bands = tuple(i for i, name in enumerate(colours, start=1) if name != "alpha")
    try:
        pixels, valid = read_image(path, PixelSpec(bands, "raw"))
    except (UserError, OSError):
        return  # nothing helps: it is damaged, complex, or has a palette
    out.numbers, out.bands = BandStatistics.of(pixels, valid), bands


def _compare(path: Path, out: ImageCheck) -> None:
    """Whether OpenCV, which knows neither bands nor more than 8 bits, gives the pixels that the file has."""
    assert out.description is not None and out.pixels is not None
    if {"palette", "cyan"} & set(out.description.colours):
        return  # colours that OpenCV looks up, and the reader does not
    try:
        pixels, valid = read_image(path, PixelSpec(repeat_grey=True), blue_first=True)
    except DataError as error:
        out.problems.append(("LoadImageFromFile does not read it as it is", f"{error}; {_CURE}"))
        _look_into(path, None, out)
        return
    if out.pixels.shape != pixels.shape or not np.array_equal(out.pixels, pixels):
        text = f"{path}: OpenCV gives other pixels than the file has ({out.description}); {_CURE}"
        out.problems.append(("LoadImageFromFile does not read it as it is", text))
    elif valid is not None:
        text = f"{path}: {100 * (1 - valid.mean()):.2f} % of the pixels have no data, but would be trained on; {_CURE}"
        out.problems.append(("LoadImageFromFile does not see which pixels are valid", text))


@dataclass
class PixelTally:
    """What the images of a part are like.

    Attributes:
        kinds: Number of images by what the files say about themselves.
        pixels: Pixels of all images.
        statistics: Of the bands as the model sees them.
        numbers: Of the files' own numbers, where the pipeline refuses them.
        bands: As in :class:`ImageCheck`.
        refused: Number of images that the pipeline refuses though they can be read.
    """

    kinds: Counter[str] = field(default_factory=Counter)
    pixels: int = 0
    statistics: BandStatistics = field(default_factory=BandStatistics)
    numbers: BandStatistics = field(default_factory=BandStatistics)
    bands: tuple[int, ...] | None = None
    refused: int = 0

    def add(self, found: ImageCheck) -> None:
        """Count an image."""
        if found.description is not None:
            self.kinds[str(found.description)] += 1
        self.pixels += math.prod(found.size)
        if found.statistics is not None:
            self.statistics.add(found.statistics)
        if found.numbers is not None and found.numbers.count:
            self.refused += 1
            self.numbers.add(found.numbers)
            self.bands = found.bands


def far_off(tally: PixelTally, mean: Sequence[float], std: Sequence[float]) -> bool:
    """Whether images normalised by a preprocessor's mean and deviation are far from mean 0 and deviation 1."""
    own = tally.statistics
    if not own.count or len(own.mean) != len(mean) or not all(std):
        return False
    shift, scale = (own.mean - mean) / std, own.std / std
    return bool((abs(shift) > _SHIFT).any() or (scale > _SCALE).any() or (scale < 1 / _SCALE).any())


def _nice(value: float) -> float:
    """The next number of two digits, away from 0."""
    if value == 0:
        return 0
    step = 10.0 ** (math.floor(math.log10(abs(value))) - 1)
    out = math.copysign(math.ceil(abs(value) / step - 1e-9) * step, value)
    return int(out) if step >= 1 else round(out, 12)


def propose(tally: PixelTally, means: int | None) -> list[str]:
    """Lines of a config that fit the images.

    Args:
        tally: Of a part; of its refused images, where there are any.
        means: How many values the config's ``data_preprocessor.mean`` has.
    """
    found, lines = tally.statistics, []
    mean, std = found.mean, found.std
    if tally.refused:
        found = tally.numbers
        high, top = float(found.high.max()), float(found.top.max())
        high = high if high <= 2 * max(top, 0) else top
        low = 0.0 if 0 <= float(found.low.min()) < 0.5 * high else _nice(float(found.low.min()))
        ends = (low or 0, _nice(high))
        if any("uint8" not in kind for kind in tally.kinds):
            lines.append(f"value_range = {ends}")
            mean, std = ((found.mean - low) * 255 / (ends[1] - low), found.std * 255 / (ends[1] - low))
        else:
            mean, std = found.mean, found.std
        if tally.bands is not None:
            lines.insert(0, f"bands = {tally.bands}  # in the order red, green, blue first, if it has these")
    numbers = f"mean={[round(float(v), 3) for v in mean]}, std={[round(float(v), 3) for v in std]}"
    if means is None or means == len(mean):
        return [*lines, f"model = dict(data_preprocessor=dict({numbers}))"]
    new = f'_delete_=True, type="MultibandPreprocessor", size_divisor=1, {numbers}'
    return [*lines, f"model = dict(data_preprocessor=dict({new}), backbone=dict(in_channels={len(mean)}))"]
