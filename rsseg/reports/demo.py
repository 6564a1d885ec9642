"""The demo's closing page: scores, pictures with legends, the map, and what to do next."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsseg.io.files import replacing
from rsseg.io.labels import read_labels
from rsseg.io.names import read_names
from rsseg.metainfo import load_metainfo
from rsseg.reports.comparison import comparison_panels, label_panels
from rsseg.reports.markup import render

__all__ = ["DemoResults", "LandCover", "write_demo_page"]

_PICTURES = 3
_SEP = " + SEP"
_TITLES = {"grabcut": "GrabCut", "box": "filled box"}


@dataclass(frozen=True)
class LandCover:
    """Scores of fine-tunings that differ in their seed alone.

    Attributes:
        start: What they begin with.
        images: Labelled images.
        means: Metric -> mean in per cent.
        spread: Metric -> sample standard deviation; NaN of a single run.
        maps: Folder with the predictions of the first seed.
    """

    start: str
    images: int
    means: Mapping[str, float]
    spread: Mapping[str, float]
    maps: Path

    @property
    def title(self) -> str:
        """For tables and pictures."""
        return f"from {self.start}, {self.images} images"

    def text(self, metric: str) -> str:
        """A mean with its spread."""
        spread = self.spread[metric]
        return f"{self.means[metric]:.1f}" + ("" if math.isnan(spread) else f" ± {spread:.1f}")


@dataclass(frozen=True)
class DemoResults:
    """What the demo has made.

    Attributes:
        labels: Label set -> predictor -> evaluation of its masks.
        grabcut: Label set -> folder of the masks of GrabCut.
        boxes: Label set -> folder of the filled boxes.
        land_cover: Scores.
        scene: The large scene.
        map: Its map, with ``.html`` and ``.gpkg`` beside it.
        commands: Stage and command line of everything that ran.
        pretrained: Whether ImageNet weights were there.
    """

    labels: Mapping[str, Mapping[str, Any]]
    grabcut: Mapping[str, Path]
    boxes: Mapping[str, Path]
    land_cover: Sequence[LandCover]
    scene: Path
    map: Path
    commands: Sequence[tuple[str, str]]
    pretrained: bool

    def sep_effect(self) -> str:
        """What SEP changes in mIoU, and whether that is more than the spread of the seeds; empty for single runs."""
        plain = {(row.start, row.images): row for row in self.land_cover}
        parts = []
        for row in self.land_cover:
            other = plain.get((row.start.removesuffix(_SEP), row.images))
            if other is None or other is row:
                continue
            change, spread = (row.means["mIoU"] - other.means["mIoU"], row.spread["mIoU"] + other.spread["mIoU"])
            if not math.isnan(spread):
                size = "more" if abs(change) > spread else "not more"
                parts.append(f"{change:+.1f} with {row.images} images ({size} than both standard deviations together)")
        return f"SEP changes mIoU by {' and by '.join(parts)}." if parts else ""

    def label_rows(self) -> list[tuple[str, str, str, str]]:
        """Label set, number of objects, and the mean IoU of the masks of GrabCut and of filled boxes."""
        rows = []
        for name, found in self.labels.items():
            values = [found[predictor]["overall"]["mIOU_I"] for predictor in _TITLES]
            texts = ["–" if value is None else f"{100 * value:.1f}" for value in values]
            rows.append((name.upper(), str(found["grabcut"]["overall"]["instances"]), *texts))
        return rows  # type: ignore[return-value]


def write_demo_page(results: DemoResults, out: Path) -> Path:
    """Write the page, and its pictures into the folder ``pictures`` beside it.

    Args:
        results: What the demo has made.
        out: The HTML file.

    Returns:
        ``out``.

    Raises:
        OSError: A picture cannot be read, or a file cannot be written.
    """
    metrics = list(results.land_cover[0].means)
    pictures = out.parent / "pictures"
    shown = {
        "land_cover": _land_cover(results, pictures / "landcover"),
        **{name: _labels(results, name, pictures / f"labels_{name}") for name in results.labels},
    }
    addresses = {name: [path.relative_to(out.parent).as_posix() for path in paths] for name, paths in shown.items()}
    text = render(
        "demo.html",
        pretrained=results.pretrained,
        metrics=metrics,
        sep_effect=results.sep_effect(),
        rows=[(row.start, row.images, [row.text(name) for name in metrics]) for row in results.land_cover],
        labels=results.label_rows(),
        links=_links(results.map, out.parent),
        pictures=addresses,
        commands=results.commands,
        data={},
    )
    with replacing(out) as file:
        file.write(text.encode("utf-8"))
    return out


def _links(path: Path, folder: Path) -> list[tuple[str, str]]:
    kinds = {
        ".html": "the page of the map: image and map side by side, legend, areas, accuracy",
        ".tif": "the map as cloud-optimised GeoTIFF; QGIS shows its classes by name and colour",
        ".gpkg": "polygons with their areas as GeoPackage, with their style",
    }
    there = [(path.with_suffix(suffix), text) for suffix, text in kinds.items()]
    return [(file.relative_to(folder).as_posix(), text) for file, text in there if file.is_file()]


def _land_cover(results: DemoResults, out: Path) -> list[Path]:
    """Test images, their labels and what the models of the first seed make of them."""
    root = results.scene.parents[3] / "landcover"
    names = read_names(root / "test.txt")[:_PICTURES]
    regions = [(root / name.rpartition("_")[0], name) for name in names]
    samples = [(region / "images" / name, region / "labels" / name) for region, name in regions]
    runs = {f"{row.start}, {row.images} images": row.maps for row in results.land_cover}
    return comparison_panels(samples, runs, load_metainfo("openearthmap"), out)


def _labels(results: DemoResults, name: str, out: Path) -> list[Path]:
    """The converted images of a set with the largest labelled shares, tinted by their masks."""
    folders = {"GrabCut": results.grabcut[name] / "gray", "filled box": results.boxes[name] / "gray"}
    shares = {path: float((read_labels(path) != 255).mean()) for path in sorted(folders["GrabCut"].glob("*.png"))}
    best = sorted(shares, key=lambda path: -shares[path])[:_PICTURES]
    images = [_image_of(results, name, path.stem) for path in best]
    return label_panels(images, folders, load_metainfo(name), out)


def _image_of(results: DemoResults, name: str, stem: str) -> Path:
    """The tile of a label file, or the whole source image where nothing was cut."""
    tile = results.grabcut[name] / "images" / f"{stem}.png"
    if tile.is_file():
        return tile
    return next((results.scene.parents[3] / "dior" / "JPEGImages-trainval").glob(f"{stem}.*"))
