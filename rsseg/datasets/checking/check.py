"""Checking the files behind a segmentation config before training on them: every one is read once."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.checking.background import propose_background, unlabelled_share
from rsseg.datasets.checking.parts import UNKNOWN, Part, open_parts
from rsseg.datasets.checking.pixels import (
    ImageCheck,
    PixelTally,
    check_image,
    explain_refusal,
    far_off,
    look_into,
    propose,
)
from rsseg.errors import ConfigError, DataError
from rsseg.io.georeference import GeoReference
from rsseg.io.pixel_settings import check_bands, share_pixels, transform_errors
from rsseg.io.progress import Progress
from rsseg.io.workers import map_threads
from rsseg.metainfo import IGNORE, head_errors

__all__ = ["Check", "Tally", "check_config", "class_weights", "guess_shift"]

_BROKEN = (OSError, ValueError, SyntaxError, EOFError, OverflowError, MemoryError)
_SAVED = 1.02
"""Bound of the inverse logarithm's weights, about 1 / ln(1.02) = 50."""
_GEOREFERENCED = {".tif", ".tiff", ".img", ".vrt", ".jp2"}
_SHIFT = 0.5
"""Pixels by which labels may be off: GIS programs differ by half a pixel in what a coordinate means."""


@dataclass
class Tally:
    """What the files of a part hold.

    Attributes:
        part: The part.
        counts: (256,) int64, pixels of each value in the label files.
        pixels: (classes,) int64, pixels of each class.
        images: (classes,) int64, images that show each class.
        context: (classes,) int64, labelled pixels of these images.
        problems: Files by what is wrong with them, ``file: detail``.
        notes: The same for what need not be wrong.
        images_seen: What the images are like.
        digests: Images by a hash of their pixels; of single-coloured ones none.
    """

    part: Part
    counts: NDArray[np.int64] = field(init=False)
    pixels: NDArray[np.int64] = field(init=False)
    images: NDArray[np.int64] = field(init=False)
    context: NDArray[np.int64] = field(init=False)
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    images_seen: PixelTally = field(default_factory=PixelTally)
    digests: dict[bytes, Path] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counts = np.zeros(256, np.int64)
        self.pixels, self.images, self.context = np.zeros((3, len(self.part.classes)), np.int64)

    def add(self, found: _Found) -> None:
        """Count one image with its label."""
        for kind, text in found.problems:
            self.problems.setdefault(kind, []).append(text)
        if found.digest is not None:
            self.digests.setdefault(found.digest, found.image)
        if found.seen is not None:
            self.images_seen.add(found.seen)
        if found.counts is None:
            return
        self.counts += found.counts
        ids = self.part.meaning
        here = found.ids
        if here is None:
            here = np.array([found.counts[ids == i].sum() for i in range(len(self.part.classes))])
        self.pixels += here
        self.images += here > 0
        self.context += (here > 0) * here.sum()
        for value in np.flatnonzero((found.counts > 0) & (ids == UNKNOWN)).tolist():
            where = f"{found.label}: {found.counts[value]} pixels"
            self.problems.setdefault(f"value {value} is neither a class nor ignored", []).append(where)


@dataclass
class Check:
    """Everything that was found.

    Attributes:
        tallies: One for each part that could be opened; a test set that is the validation set is not read again.
        problems: What would stop or spoil a training, by kind, with files.
        notes: What may be meant so.
        proposals: Lines for the config that would mend some of it, by the set that they fit.
        domains: Source and target compared, a :class:`rsseg.datasets.checking.domains.DomainReport`; None unless asked.
    """

    tallies: list[Tally] = field(default_factory=list)
    problems: dict[str, list[str]] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    proposals: dict[str, list[str]] = field(default_factory=dict)
    domains: Any = None


@dataclass
class _Found:
    image: Path
    label: Path | None
    counts: NDArray[np.int64] | None = None
    ids: NDArray[np.int64] | None = None
    seen: ImageCheck | None = None
    digest: bytes | None = None
    problems: list[tuple[str, str]] = field(default_factory=list)


def check_config(config: MutableMapping[str, Any], workers: int = 4) -> Check:
    """Read every image and label by the transforms that training loads them by, and say what does not fit.

    Args:
        config: A segmentation config of mmseg; mmengine's default scope must be set.  Every ``LoadImage`` gets its
            ``bands`` and ``value_range``.
        workers: Threads; decoding and hashing run beside each other.

    Raises:
        ConfigError: The config has no loader with a dataset.
    """
    share_pixels(getattr(config, "_cfg_dict", config))
    parts = open_parts(config)
    if not parts:
        raise ConfigError("the config has none of train_dataloader, val_dataloader and test_dataloader")
    out, validated = Check(), [part.files for part in parts if part.split == "val"]
    for part in parts:
        if part.failure:
            out.problems.setdefault(f"{part.split}: {part.name} cannot be opened", []).append(part.failure)
    todo = [part for part in parts if not (part.failure or (part.split == "test" and part.files in validated))]
    out.tallies = [Tally(part) for part in todo]
    progress = Progress(sum(len(part.files) for part in todo), "check")
    for tally in out.tallies:
        for found in map_threads(partial(_check_sample, tally.part), range(len(tally.part.files)), workers):
            tally.add(found)
            progress.step()
    progress.close()
    _summarise(out)
    _check_settings(config, out)
    return out


def _check_sample(part: Part, index: int) -> _Found:
    """Read one sample, by the part's own transforms."""
    image, label = part.files[index]
    found = _Found(image, label)
    size = _check_image(part, part.rows[index], found)
    if label is not None and not label.is_file():
        found.problems.append(("label is missing", str(label)))
    elif label is not None:
        try:
            values = part.read(str(label))
            found.counts = np.bincount(values.ravel(), minlength=256)
        except _BROKEN as error:
            found.problems.append(("label cannot be read", _say(label, error)))
            return found
        if size is not None and size != values.shape:
            found.problems.append(("image and label differ in size", f"{image}: {size}, {label}: {values.shape}"))
        else:
            found.problems += _compare_places(image, label)
            _load_label(part, index, found)
    return found


def _check_image(part: Part, row: Mapping[str, Any], found: _Found) -> tuple[int, ...] | None:
    """Load the image of a sample; returns its (H, W) where that goes well."""
    if not found.image.is_file():
        found.problems.append(("image is missing", str(found.image)))
        return None
    if part.load_image is None:
        return None
    try:
        seen = found.seen = check_image(found.image, row, part.load_image, part.spec)
    except (*_BROKEN, AssertionError) as error:
        text = explain_refusal(found.image, part.load_image, error)
        found.problems.append(("image cannot be read", text if str(found.image) in text else f"{found.image}: {text}"))
        found.seen = look_into(found.image, part.spec)
        return None
    found.problems += seen.problems
    pixels = seen.pixels
    assert pixels is not None
    if pixels.min() != pixels.max():
        state = hashlib.blake2b(repr(pixels.shape).encode(), digest_size=16)
        state.update(np.ascontiguousarray(pixels).data)
        found.digest = state.digest()
    seen.pixels = None  # they are not kept
    return pixels.shape[:2]


def _compare_places(image: Path, label: Path) -> list[tuple[str, str]]:
    """Where both files say where they lie, it must be the same place; a shift trains wrong classes at every border."""
    if not {image.suffix.lower(), label.suffix.lower()} <= _GEOREFERENCED:
        return []
    try:
        grid, own = GeoReference.of(image), GeoReference.of(label)
        if not (grid.has_coordinates and own.has_coordinates) or grid.same_pixels(own):
            return []
        off = grid.offset_from(own)
    except (OSError, DataError) as error:
        return [("georeference cannot be read", _say(label, error))]
    if off <= _SHIFT:
        return []
    how = f"its corners are {off:.1f} pixels off those of" if np.isfinite(off) else "nothing relates it to the place of"
    return [("image and label lie in different places", f"{label}: {how} {image}")]


def _load_label(part: Part, index: int, found: _Found) -> None:
    """Count the training ids that the pipeline makes of a label file."""
    assert found.counts is not None
    if part.load_label is None or (found.counts[part.meaning == UNKNOWN] > 0).any():
        return  # values that are no class are named with their number
    results = found.seen.results if found.seen is not None else None
    try:
        loaded = part.load_label(results or copy.deepcopy(part.rows[index]))["gt_seg_map"]
    except (*_BROKEN, AssertionError) as error:
        found.problems.append(("label cannot be loaded", _say(found.label or found.image, error)))
        return
    finally:
        if found.seen is not None:
            found.seen.results = None
    ids = np.bincount(np.asarray(loaded).ravel(), minlength=256)
    found.ids = ids[: len(part.classes)]
    expected = [found.counts[part.meaning == i].sum() for i in range(len(part.classes))]
    if (found.ids > expected).any():  # fewer where the image has no data
        found.problems.append(("pipeline gives other classes than the class table", str(found.label)))


def _say(path: Path, error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text if str(path) in text else f"{path}: {text}"


def _summarise(out: Check) -> None:
    """Collect what is wrong with files, and compare parts."""
    for tally in out.tallies:
        where = f"{tally.part.split}: "
        for kind, texts in tally.problems.items():
            out.problems.setdefault(where + kind, []).extend(texts)
        if tally.part.stray:
            out.notes.setdefault(f"{where}label without image", []).extend(map(str, tally.part.stray))
        if tally.part.split == "train" and tally.counts.any():
            absent = [name for name, n in zip(tally.part.classes, tally.pixels, strict=True) if n == 0]
            hidden = [name for i, name in enumerate(tally.part.classes)
                      if name in absent and tally.counts[tally.part.meaning == i].any()]  # fmt: skip
            if hidden:
                out.problems[f"{where}all pixels of a class lie where the images have no data"] = hidden
            if absent and _is_mask(tally):
                kind = f"{where}{tally.part.name}: label files hold only 0 and 255, and 255 means 'no label'"
                advice = 'store the foreground as its class, or give the class "raw": [255] in the class table'
                out.problems[kind] = [f"every labelled pixel is {tally.part.classes[0]!r}; {advice}"]
            elif absent:
                out.notes.setdefault(f"{where}{tally.part.name} has no pixel of a class", []).extend(absent)
        guess = guess_shift(tally.counts, tally.part.meaning, len(tally.part.classes))
        if guess:
            out.notes.setdefault(f"{where}{tally.part.name}: check that labels and classes match", []).append(guess)
    for (one, other), pairs in _shared(out.tallies).items():
        out.problems[f"image is in {one} and in {other}"] = pairs


def _is_mask(tally: Tally) -> bool:
    """Whether labels are masks of 0 and 255, of which 255 is ignored: nothing but the class of 0 would be learned."""
    values = np.flatnonzero(tally.counts).tolist()
    return values == [0, IGNORE] and tally.part.meaning[values].tolist() == [0, IGNORE]


def _shared(tallies: Sequence[Tally]) -> dict[tuple[str, str], list[str]]:
    """Images of the same pixels in two splits."""
    out: dict[tuple[str, str], list[str]] = {}
    for i, first in enumerate(tallies):
        for second in tallies[i + 1 :]:
            splits = first.part.split, second.part.split
            both = first.digests.keys() & second.digests.keys() if splits[0] != splits[1] else set()
            if both:
                pairs = sorted((str(first.digests[key]), str(second.digests[key])) for key in both)
                out.setdefault(splits, []).extend(f"{a} is {b}" if a != b else a for a, b in pairs)
    return out


def _check_settings(config: Mapping[str, Any], out: Check) -> None:
    """Compare heads, bands and preprocessor with the data, and say what a config should say instead."""
    model = config.get("model") or {}
    normalise = model.get("data_preprocessor") or config.get("data_preprocessor") or {}
    mean, std = normalise.get("mean"), normalise.get("std")
    for tally in out.tallies:
        part, seen = tally.part, tally.images_seen
        errors = head_errors(model, {part.name: part.classes})
        if part.spec is not None:
            try:
                check_bands(part.spec, mean, part.name)
            except ConfigError as error:
                errors.append(str(error))
            errors += transform_errors((config.get(f"{part.split}_dataloader") or {}).get("dataset"), part.spec)
        for text in errors:
            known = out.problems.setdefault("config does not match its data", [])
            known += [text] if text not in known else []
        if seen.refused:
            out.proposals.setdefault(part.name, propose(seen, len(mean) if mean else None))
        elif mean and std and part.split == "train" and far_off(seen, mean, std):
            own = [[round(float(v), 1) for v in values] for values in (seen.statistics.mean, seen.statistics.std)]
            text = f"{part.name}: bands have mean {own[0]} and std {own[1]}; the config says {list(mean)}, {list(std)}"
            out.notes.setdefault("data_preprocessor is far from the images", []).append(text)
            out.proposals.setdefault(part.name, propose(seen, len(mean)))
        share = unlabelled_share(tally.counts, part)
        if share is not None and part.split == "train":
            text = f"{100 * share:.0f} % of the pixels are unlabelled: the model will never see background"
            out.notes[f"train: {part.name}: {text}; lines to add"] = propose_background(part, model)


def guess_shift(counts: NDArray[np.int64], meaning: NDArray[np.int16], classes: int) -> str | None:
    """What the values of label files hint at, where they do not fit the classes; ``None`` where nothing is odd.

    Args:
        counts: (256,) pixels of each value.
        meaning: (256,) as in :class:`rsseg.datasets.checking.parts.Part`.
        classes: Number of classes.
    """
    present = set(np.flatnonzero(counts).tolist()) - {IGNORE}
    expected = set(np.flatnonzero((meaning >= 0) & (meaning < classes)).tolist())
    if not present or not expected:
        return None
    low, high = min(expected), max(expected)
    unknown = {value for value in present if meaning[value] == UNKNOWN}
    span = f"files hold {', '.join(map(str, _ranges(present)))}, classes are {low}..{high}"
    if unknown == {high + 1} and low not in present:
        return f"{span}: labels may be one higher than stated (label_offset in the table; reduce_zero_label=True)"
    if unknown == {high + 1}:
        return f"{span}: one value more than classes; check whether {low} is a background that is not among the classes"
    ignored_below = low > 0 and meaning[low - 1] == IGNORE and low - 1 in present
    if not unknown and ignored_below and high not in present and expected - present == {high}:
        return f"{span}: labels may be one lower than stated; {low - 1} is ignored and {high} never occurs"
    return None


def _ranges(values: set[int]) -> Iterator[str]:
    ordered = sorted(values)
    start = ordered[0]
    for value, following in zip(ordered, [*ordered[1:], None], strict=True):
        if following != value + 1:
            yield str(start) if start == value else f"{start}..{value}"
            start = following if following is not None else value


def class_weights(tally: Tally) -> dict[str, NDArray[np.float64]]:
    """Weights for a loss, by their rule; 0 for classes without a pixel.

    Returns:
        ``median frequency``: median of the frequencies over that of the class, where a frequency is the share of the
        labelled pixels in the images that show the class.
        ``inverse log``: 1 / ln(1.02 + share of all labelled pixels).

    Source: Eigen and Fergus, ICCV 2015, section 6.3.2; ENet (Paszke et al., 2016), section 5.2.
    """
    there = tally.pixels > 0
    frequency = tally.pixels / np.maximum(tally.context, 1)
    median = np.median(frequency[there]) if there.any() else 0.0
    share = tally.pixels / max(tally.pixels.sum(), 1)
    return {
        "median frequency": np.where(there, median / np.where(there, frequency, 1), 0.0),
        "inverse log": np.where(there, 1 / np.log(_SAVED + share), 0.0),
    }
