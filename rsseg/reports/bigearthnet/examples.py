"""Example patches with their true labels and those of several models, as a page.

Source: BigEarthNet paper, figure 1 and table 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsseg.datasets.bigearthnet.archive import archive_folder, date_of, patch_folder
from rsseg.datasets.bigearthnet.bands import check_bands, read_bands, stack_bands
from rsseg.errors import DataError
from rsseg.evaluation.label_predictions import LabelPredictions
from rsseg.io.bands import percentile_range
from rsseg.io.files import replacing
from rsseg.io.rgb import stretch_values
from rsseg.reports.markup import data_uri, render
from rsseg.structures.draws import seeded_ranking

__all__ = ["choose_patches", "patch_picture", "sort_labels", "write_examples"]

_RGB = ("B04", "B03", "B02")


def choose_patches(names: Sequence[str], count: int, seed: int = 0) -> list[str]:
    """Some patches at random, in the order of their names; another seed chooses others."""
    return sorted(seeded_ranking(names, seed)[:count])


def patch_picture(root: Path, version: str, name: str) -> NDArray[np.uint8]:
    """Red, green and blue of a patch.

    Args:
        root: Where the archive was unpacked.
        version: ``v1`` or ``v2``.
        name: Of the patch.

    Returns:
        (120, 120, 3) uint8; black is the 2nd percentile of the patch's values, white the 98th.

    Raises:
        FileNotFoundError: A band is missing.
        UserError: A band is broken.
    """
    folder = patch_folder(archive_folder(root, version), version, name)
    pixels = stack_bands(read_bands(folder, name, check_bands(_RGB)))
    return stretch_values(pixels, *percentile_range(pixels.transpose(2, 0, 1), None))


def sort_labels(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], classes: Sequence[str]
) -> list[tuple[str, str]]:
    """Labels of a patch with their kinds.

    Args:
        truth: (C,) bool.
        predicted: (C,) bool.
        classes: Names of the classes.

    Returns:
        Kind and name: first the ``right`` ones, then the ``missed`` and the ``wrong`` ones.
    """
    kinds = {"right": truth & predicted, "missed": truth & ~predicted, "wrong": predicted & ~truth}
    return [(kind, classes[i]) for kind, mask in kinds.items() for i in np.flatnonzero(mask).tolist()]


def write_examples(
    path: Path,
    root: Path,
    models: Mapping[str, LabelPredictions],
    patches: Sequence[str],
    version: str = "v1",
    tests: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Write the page.

    Args:
        path: HTML file; it needs nothing else.
        root: Where the archive was unpacked.
        models: Predictions by the model's name, all with the same images.
        patches: Which of them are shown.
        version: ``v1`` or ``v2``.
        tests: Rows of scores and p-values, see :func:`rsseg.experiments.label_comparison.write_significance`.

    Raises:
        DataError: There are no predictions of a patch.
        FileNotFoundError: A band is missing.
        OSError: Writing failed.
    """
    first = next(iter(models.values()))
    unknown = [name for name in patches if name not in first.names]
    if unknown:
        raise DataError(f"no predictions of {unknown[0]} by all of {', '.join(models)}; such are {first.names[0]} ...")
    chosen = {name: own.taken(patches) for name, own in models.items()}
    rows = []
    for i, patch in enumerate(patches):
        truth = next(iter(chosen.values())).truth[i]
        rows.append({
            "name": patch,
            "date": date_of(patch),
            "picture": data_uri(Image.fromarray(patch_picture(root, version, patch)), "PNG"),
            "truth": [first.classes[k] for k in np.flatnonzero(truth).tolist()],
            "models": [sort_labels(truth, own.predicted[i], own.classes) for own in chosen.values()],
        })  # fmt: skip
    about = {"archive": str(root), "patches shown": f"{len(patches)} of {len(first.names)}",
             "classes": str(len(first.classes))}  # fmt: skip
    text = render("patches.html", title="BigEarthNet: labels of patches", about=about, names=list(models), rows=rows,
                  tests=tests, data={})  # fmt: skip
    with replacing(path) as file:
        file.write(text.encode())
