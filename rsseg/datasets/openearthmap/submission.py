"""Predictions of the test list, whose labels are withheld, as one archive for the benchmark's server.

Source: OpenEarthMap's benchmark: one 8-bit file for each image of the test list, with the label values of the release.
"""

from __future__ import annotations

import io
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rsseg.datasets.openearthmap.regions import region_of
from rsseg.errors import ConfigError, DataError, UserError
from rsseg.io.files import replacing
from rsseg.io.labels import read_labels
from rsseg.io.listing import find_files
from rsseg.io.names import read_names, unique_names
from rsseg.io.progress import Progress
from rsseg.io.rasters import opened
from rsseg.messages import few
from rsseg.metainfo import IGNORE, load_metainfo

__all__ = ["FORMATS", "Submission", "pack_submission"]

_log = logging.getLogger("rsseg")
FORMATS = {"png": "PNG", "tif": "TIFF"}
"""Suffix of the files in the archive -> Pillow's name of the format."""
_SUFFIXES = (".png", ".tif", ".tiff")
_DATE = (1980, 1, 1, 0, 0, 0)  # so that the same predictions give the same bytes


@dataclass
class Submission:
    """What was packed.

    Attributes:
        files: Number of predictions in the archive.
        unchecked: Images of the list that are not there, so that the size of their prediction could not be checked.
        filled: Pixels of no class that were filled.
        extra: Predictions of images that are not in the list; they are left out.
        classes: Value of a class -> its pixels.
    """

    files: int = 0
    unchecked: int = 0
    filled: int = 0
    extra: list[str] = field(default_factory=list)
    classes: dict[int, int] = field(default_factory=dict)


def pack_submission(
    predictions: Path | str,
    out: Path | str,
    names: Path | str,
    root: Path | str | None = None,
    suffix: str = "png",
    fill: int | None = None,
) -> Submission:
    """Check the predictions of a list of images and write them into a ZIP archive, which is complete or not there.

    Files are grey, without palette, and lie at the top of the archive by the name of their image.  The same
    predictions give the same bytes.

    Args:
        predictions: Folder of the predictions, in any sub-folders: files of one band with the label values of the
            release, as ``rsseg test --out`` writes them, or maps of ``rsseg map``, whose classes are taken by name.
        out: The archive.
        names: List of the images, such as ``test.txt`` of the release.
        root: Folder of the unpacked release, to compare the sizes with those of the images; None to compare none.
        suffix: A key of ``FORMATS``.
        fill: Label value for pixels of no class; None where such pixels are an error.

    Raises:
        FileNotFoundError: The list or the folder is missing.
        ConfigError: ``suffix`` or ``fill`` is not possible.
        DataError: A prediction is missing, there twice, of another size, or has values of no class; the message names
            all of them.
        OSError: The archive cannot be written; the message names it.
    """
    values = load_metainfo("openearthmap").raw.tolist()
    if suffix not in FORMATS:
        raise ConfigError(f"format {suffix!r} is not possible; expected one of {', '.join(FORMATS)}")
    if fill is not None and fill not in values:
        raise ConfigError(f"fill {fill} is no class of OpenEarthMap; expected one of {', '.join(map(str, values))}")
    wanted = [Path(name).name.removesuffix(".tif") for name in read_names(names, "the list of the test images")]
    unique_names(wanted, str(names))
    found, problems = _by_name(Path(predictions), wanted)
    result = Submission(extra=sorted(set(found) - set(wanted)))
    progress = Progress(len(wanted), "pack")
    with replacing(Path(out)) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name in wanted:
            progress.step()
            if name not in found:
                continue
            try:
                labels = _checked(found[name], _image(root, name), values, fill, result)
            except (UserError, OSError) as error:
                problems.append(str(error))
                continue
            archive.writestr(zipfile.ZipInfo(f"{name}.{suffix}", _DATE), _encoded(labels, FORMATS[suffix]))
            result.files += 1
        progress.close()
        if problems:  # inside, so that no archive is left
            raise DataError(few(f"{len(problems)} predictions cannot be submitted:", problems))
    _tell(result, Path(out))
    return result


def _by_name(folder: Path, wanted: Sequence[str]) -> tuple[dict[str, Path], list[str]]:
    """Predictions by name, and what is missing or there twice."""
    found: dict[str, Path] = {}
    problems = []
    for path in find_files(folder, _SUFFIXES, "predictions"):
        if path.stem in found and path.stem in wanted:
            problems.append(f"{path} and {found[path.stem]} are of the same image; remove one")
        found.setdefault(path.stem, path)
    problems += [f"{name}: no prediction in {folder}" for name in wanted if name not in found]
    return found, problems


def _image(root: Path | str | None, name: str) -> Path | None:
    return None if root is None else Path(root) / region_of(name) / "images" / f"{name}.tif"


def _checked(
    path: Path, image: Path | None, values: Sequence[int], fill: int | None, result: Submission
) -> NDArray[np.uint8]:
    """Labels of a prediction in the size of its image, with values of classes only."""
    labels = _released_values(path)
    if image is None or not image.is_file():
        result.unchecked += 1
    else:
        with opened(image) as raster:
            if raster.shape != labels.shape:
                raise DataError(f"{path} is {labels.shape} high and wide, its image {image} {raster.shape}")
    counts = np.bincount(labels.ravel(), minlength=256)
    other = [value for value in np.flatnonzero(counts).tolist() if value not in values]
    if other and fill is None:
        raise DataError(
            f"{path}: {counts[other].sum()} pixels have the values {', '.join(map(str, other))}, which are no class "
            f"({values[0]} to {values[-1]}); fill={values[0]} (--fill {values[0]}) would give them that class"
        )
    if other and fill is not None:
        labels = np.where(np.isin(labels, other), np.uint8(fill), labels)
        result.filled += int(counts[other].sum())
        counts = np.bincount(labels.ravel(), minlength=256)
    for value in values:
        result.classes[value] = result.classes.get(value, 0) + int(counts[value])
    return labels


def _released_values(path: Path) -> NDArray[np.uint8]:
    """Label values of the release; a map holds training ids and says which class each of them is."""
    labels = read_labels(path)
    if path.suffix == ".png":
        return labels
    with opened(path) as raster:
        tags = raster.tags(1)
    names = {int(key[6:]): name for key, name in tags.items() if key.startswith("class_") and key[6:].isdigit()}
    table, codes = load_metainfo("openearthmap"), np.full(256, IGNORE, np.uint8)
    for value, name in names.items():
        codes[value] = table.raw[table.index(name)]
    return codes[labels] if names else labels


def _encoded(labels: NDArray[np.uint8], kind: str) -> bytes:
    memory = io.BytesIO()
    options = {"compression": "tiff_lzw"} if kind == "TIFF" else {}
    Image.fromarray(np.ascontiguousarray(labels)).save(memory, kind, **options)
    return memory.getvalue()


def _tell(result: Submission, out: Path) -> None:
    _log.info("%s: %d predictions", out, result.files)
    if result.extra:
        _log.warning("%d predictions are not in the list and left out, such as %s", len(result.extra), result.extra[0])
    if result.unchecked:
        _log.warning("the sizes of %d predictions could not be compared with their images", result.unchecked)
    if result.filled:
        _log.warning("%d pixels of no class were filled", result.filled)
