"""Source and target of a config for domain adaptation, compared before anything is trained."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from rsseg.datasets.checking.check import Check
from rsseg.datasets.checking.parts import Part, open_parts
from rsseg.datasets.openearthmap.regions import region_of
from rsseg.errors import ConfigError
from rsseg.io.tables import boxed
from rsseg.io.workers import map_threads
from rsseg.structures.rare_classes import RELEASE_TEMPERATURE, TEMPERATURE, rare_class_probabilities

__all__ = ["DomainReport", "compare_domains", "image_features"]

_SIDES = ("source", "target")
_MOST = 200
"""Images of each side whose features are measured, evenly spread over the list."""
_NOISE = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float64)
"""Immerkaer's difference of two Laplacians; it answers 36 times the variance of independent noise."""


@dataclass
class DomainReport:
    """What is known of both sides.

    Attributes:
        images: Images of each side.
        regions: Images of each region of each side; empty where names are not those of OpenEarthMap's layout.
        shared: Regions that are on both sides.
        features: (images, F) of each side, in the order of :func:`image_features`.
        shares: Share of each class in the source's labelled pixels, by name.
        draws: What rare-class sampling draws by temperature: probability of each class.
        drawn_images: For each class the source images that the config's sampling draws from; empty without it.
    """

    images: dict[str, int] = field(default_factory=dict)
    regions: dict[str, dict[str, int]] = field(default_factory=dict)
    shared: list[str] = field(default_factory=list)
    features: dict[str, NDArray[np.float64]] = field(default_factory=dict)
    shares: dict[str, float] = field(default_factory=dict)
    draws: dict[float, list[float]] = field(default_factory=dict)
    drawn_images: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        means = {side: dict(zip(_NAMES, map(float, rows.mean(0)), strict=True)) for side, rows in self.features.items()}
        draws = {str(t): dict(zip(self.shares, row, strict=True)) for t, row in self.draws.items()}
        return {
            "images": self.images, "regions": self.regions, "regions on both sides": self.shared, "features": means,
            "source class shares": self.shares, "rare-class probabilities": draws,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = ["domain adaptation: " + ", ".join(f"{side} {n} images" for side, n in self.images.items())]
        for side, regions in self.regions.items():
            lines.append(f"    {side}: {len(regions)} regions: " + ", ".join(f"{k} {n}" for k, n in regions.items()))
        if self.shared:
            lines.append(f"    on both sides: {', '.join(self.shared)}; scores would not be those of new regions")
        rows = [
            [name, *(f"{s[:, i].mean():.2f} +- {s[:, i].std():.2f}" for s in self.features.values()), f"{gap:+.2f}"]
            for i, (name, gap) in enumerate(zip(_NAMES, self.gaps(), strict=True))
        ]
        lines += [boxed(["of an image, mean +- deviation", *self.features, "difference / deviation"], rows), ""]
        heads = [f"drawn %, temperature {t:g}" for t in self.draws]
        table = [
            [
                name,
                f"{100 * share:.2f}",
                *(f"{100 * row[i]:.2f}" for row in self.draws.values()),
                *self.drawn_images[i : i + 1],
            ]
            for i, (name, share) in enumerate(self.shares.items())
        ]
        more = ["images drawn from"] if self.drawn_images else []
        lines.append(boxed(["class", "source %", *heads, *more], table))
        lines.append("rare-class sampling draws a class (the lower the temperature, the rarer), then an image with it")
        return "\n".join(lines)

    def gaps(self) -> NDArray[np.float64]:
        """(F,) difference of the sides' means, target minus source, in units of the pooled deviation over images."""
        source, target = (self.features[side] for side in _SIDES)
        pooled = np.sqrt((source.var(0) + target.var(0)) / 2)
        return np.asarray((target.mean(0) - source.mean(0)) / np.maximum(pooled, 1e-9))


_NAMES = ("red", "green", "blue", "contrast", "saturation", "sharpness", "noise")


def image_features(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """Seven numbers that tell how an image looks.

    Args:
        pixels: (H, W, 3) blue, green, red, 0..255; H and W at least 3.

    Returns:
        (7,) means of red, green and blue; standard deviation of the grey values; mean of (largest - smallest colour) /
        largest; mean absolute Laplacian of the grey values over their deviation; standard deviation of the noise.

    Source: noise by Immerkaer, "Fast noise variance estimation", 1996; the others are ours.
    """
    values = pixels.astype(np.float64)
    grey = values.mean(2)
    deviation = grey.std()
    largest = values.max(2)
    saturation = ((largest - values.min(2)) / np.maximum(largest, 1)).mean()
    sharpness = np.abs(cv2.Laplacian(grey, cv2.CV_64F)[1:-1, 1:-1]).mean() / max(deviation, 1e-9)
    noise = np.sqrt(np.pi / 2) / 6 * np.abs(cv2.filter2D(grey, cv2.CV_64F, _NOISE)[1:-1, 1:-1]).mean()
    return np.array([*values.reshape(-1, 3).mean(0)[::-1], deviation, saturation, sharpness, noise])


def compare_domains(config: Mapping[str, Any], check: Check, workers: int = 4) -> DomainReport:
    """Compare source and target.

    Args:
        config: A config whose training set is an ``AdaptationDataset``; mmengine's default scope must be set.
        check: What was found in its files; it has the pixels of each class.
        workers: Threads.

    Raises:
        ConfigError: The training set is another, or a side cannot be opened.
    """
    dataset = (config.get("train_dataloader") or {}).get("dataset") or {}
    if not set(_SIDES) <= set(dataset):
        raise ConfigError("--domains compares the source and the target of an AdaptationDataset; the config has none")
    parts = {part.name: part for part in open_parts({"train_dataloader": config["train_dataloader"]})}
    out = DomainReport()
    for side in _SIDES:
        part = parts[side]
        if part.failure:
            raise ConfigError(f"{side}: {part.failure}")
        out.images[side] = len(part.files)
        out.regions |= {side: found} if (found := _regions(part)) else {}
        rows = part.rows[:: max(1, -(-len(part.rows) // _MOST))]
        out.features[side] = np.stack(list(map_threads(partial(_features, part), rows, workers)))
    if len(out.regions) == len(_SIDES):
        out.shared = sorted(out.regions["source"].keys() & out.regions["target"].keys())
    counts = next(t.pixels for t in check.tallies if (t.part.split, t.part.name) == ("train", "source"))
    if counts.any():
        out.shares = dict(zip(parts["source"].classes, map(float, counts / counts.sum()), strict=True))
        own = (dataset.get("rare_classes") or {}).get("temperature")
        for temperature in sorted({TEMPERATURE, RELEASE_TEMPERATURE, *([own] if own else [])}, reverse=True):
            out.draws[temperature] = rare_class_probabilities(counts, temperature).tolist()
    if dataset.get("rare_classes") is not None:
        out.drawn_images = _drawn(dataset)
    return out


def _drawn(dataset: Mapping[str, Any]) -> list[int]:
    from mmseg.registry import DATASETS

    built: Any = DATASETS.build(copy.deepcopy(dict(dataset)))
    return [len(rows) for rows in built.draw.images]


def _features(part: Part, row: Mapping[str, Any]) -> NDArray[np.float64]:
    assert part.load_image is not None
    return image_features(part.load_image(copy.deepcopy(dict(row)))["img"][..., :3])


def _regions(part: Part) -> dict[str, int]:
    """Images of each region, by name; empty where a name has no region."""
    try:
        return dict(sorted(Counter(region_of(image.name) for image, _ in part.files).items()))
    except ValueError:
        return {}
