"""What methods of domain adaptation predict for the same images, side by side (OpenEarthMap paper, figure 7)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from rsseg.io.labels import read_labels
from rsseg.io.rasters import read_image
from rsseg.metainfo import ClassTable, load_metainfo
from rsseg.reports.figures import figure_and_axes, in_style, palette_colours, save_figure

__all__ = ["method_figure", "write_method_figure"]

_IMAGES = 3


@in_style
def method_figure(
    images: list[NDArray[Any]], truths: list[NDArray[Any]], maps: Mapping[str, list[NDArray[Any]]], table: ClassTable
) -> Figure:
    """One row for each image: the image, its labels and the map of each method.

    Args:
        images: (H, W, 3) uint8 RGB.
        truths: (H, W) uint8 values of the label files.
        maps: Of each method, likewise, in the order of the images.
        table: Class table of labels and maps.
    """
    columns = 2 + len(maps)
    figure, axes = figure_and_axes(
        1.35 * columns, 1.5 * len(images) + 1, "Predictions for the target", columns, len(images)
    )
    classes: Any = zip(table.classes, palette_colours(table.palette), strict=True)
    patches = [Patch(facecolor=colour, edgecolor="0.5", linewidth=0.5, label=name) for name, colour in classes]
    figure.legend(handles=patches, loc="outside lower center", ncols=max(2, min(columns, len(patches))))
    colours = np.zeros((256, 3), np.uint8)
    colours[table.raw] = np.array(table.palette, np.uint8)
    for row, (image, truth) in enumerate(zip(images, truths, strict=True)):
        panels = [("image", image), ("labels", colours[truth]), *((n, colours[own[row]]) for n, own in maps.items())]
        for axis, (name, panel) in zip(axes[row * columns : (row + 1) * columns], panels, strict=True):
            axis.imshow(panel, interpolation="nearest")
            axis.set_axis_off()
            if row == 0:
                axis.set_title(name, fontsize=8)
    return figure


def write_method_figure(
    folders: Mapping[str, Path], config: Path | str, path: Path, options: Sequence[str] = ()
) -> None:
    """Draw :func:`method_figure` of the first test images whose maps all methods have; nothing where there are none.

    Args:
        folders: Folder of the maps of each method; those that are missing are left out.
        config: A config whose test set has the images.
        path: The picture.
        options: Settings of the config, each ``key=value``; those of the test set count.
    """
    from mmengine.registry import init_default_scope
    from mmseg.registry import DATASETS

    import rsseg.datasets  # noqa: F401
    from rsseg.engine.launch import ConfigOptions
    from rsseg.io.configs import read_config

    there = {name: folder for name, folder in folders.items() if folder.is_dir()}
    init_default_scope("mmseg")
    parser = argparse.ArgumentParser()
    parser.add_argument("--options", nargs="*", action=ConfigOptions, default={})
    own = parser.parse_args(["--options", *(text for text in options if text.startswith("test_dataloader."))]).options
    test = dict(read_config(config, own).test_dataloader.dataset)
    dataset: Any = DATASETS.build({**test, "pipeline": []})
    rows = [dataset.get_data_info(i) for i in range(len(dataset))]
    rows = [row for row in rows if all((f / f"{Path(row['img_path']).stem}.png").is_file() for f in there.values())]
    rows = rows[:: max(1, len(rows) // _IMAGES)][:_IMAGES]
    if not rows or not there:
        return
    names = [Path(row["img_path"]).stem for row in rows]
    maps = {n: [read_labels(str(folder / f"{name}.png")) for name in names] for n, folder in there.items()}
    images = [read_image(row["img_path"])[0] for row in rows]
    truths = [read_labels(row["seg_map_path"]) for row in rows]
    save_figure(method_figure(images, truths, maps, load_metainfo(dataset.table)), path)
