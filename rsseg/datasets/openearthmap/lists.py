"""Lists of OpenEarthMap's images: official, by region, by continent, and shares of the training list."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rsseg.command_list import command
from rsseg.datasets.openearthmap.regions import CONTINENTS, load_regions, region_files, region_of
from rsseg.datasets.openearthmap.splits import Split
from rsseg.errors import DataError
from rsseg.io.names import check_same, read_names, unique_names, write_names
from rsseg.io.tables import csv_writer

__all__ = [
    "PARTS",
    "available",
    "derived_lists",
    "labelled_images",
    "official_lists",
    "write_lists",
    "write_record",
]

_log = logging.getLogger("rsseg")
PARTS = ("train", "val", "test")
_XBD = frozenset(name for name, region in load_regions().items() if region.images_from_xbd)


def official_lists(root: Path | str) -> dict[str, list[str]]:
    """The release's three lists, names without suffix.

    Raises:
        FileNotFoundError: A list is missing.
        ValueError: A name occurs twice, in one list or in two.
    """
    lists = {}
    for part in PARTS:
        path = Path(root) / f"{part}.txt"
        found = read_names(path, "one of the release's lists; --new draws lists of your own", empty=True)
        lists[part] = [Path(name).name.removesuffix(".tif") for name in found]
    unique_names([name for names in lists.values() for name in names], f"{root}: train.txt, val.txt and test.txt")
    return lists


def labelled_images(root: Path | str) -> list[Path]:
    """Label files ``<region>/labels/<name>.tif`` below ``root`` that have an image.

    Raises:
        FileNotFoundError: There are none.
    """
    labels = region_files(root, "labels")
    found = [path for path in labels if (path.parents[1] / "images" / path.name).is_file()]
    if not found:
        raise FileNotFoundError(
            f"{root}: {len(labels)} labels <region>/labels/*.tif in it, none of them with its image"
        )
    if len(found) < len(labels):
        _log.info(
            "%d labels have no image and are not used (see %s)",
            len(labels) - len(found),
            command("fill-xbd"),
        )
    return found


def available(lists: Mapping[str, Sequence[str]], root: Path | str) -> dict[str, list[str]]:
    """The lists without images that are not on disk; how many they were goes to the log.

    Raises:
        FileNotFoundError: No image is there.
    """
    out = {part: [name for name in names if _image(root, name).is_file()] for part, names in lists.items()}
    for part, names in lists.items():
        gone = set(names) - set(out[part])
        xbd = sum(region_of(name) in _XBD for name in gone)
        _log.info(
            "%s: %d of %d images are available; %d of the others are of xBD",
            part,
            len(out[part]),
            len(names),
            xbd,
        )
    if not any(out.values()):
        raise FileNotFoundError(f"{root}: no image of the lists is in <region>/images/")
    return out


def _image(root: Path | str, name: str) -> Path:
    return Path(root) / region_of(name) / "images" / f"{name}.tif"


def derived_lists(lists: Mapping[str, Sequence[str]], certain: bool = False) -> dict[str, list[str]]:
    """Lists for domain adaptation.

    Args:
        lists: Names by part.
        certain: Leave out of the continents the regions whose continent is uncertain.

    Returns:
        By path without suffix: ``regional/{source,target}_{train,val,test}``, the images of the 73 source and the 24
        target regions, and ``continents/<code>_{train,val,test}``; empty ones are left out.  A continent's lists serve
        as source and as target.

    Raises:
        DataError: A region is none of OpenEarthMap's.

    Source: OpenEarthMap paper, section 2.2; the regional lists equal those that the authors published.
    """
    regions = load_regions()
    out: dict[str, list[str]] = {f"regional/{d}_{part}": [] for d in ("source", "target") for part in PARTS}
    out |= {f"continents/{code}_{part}": [] for code in CONTINENTS for part in PARTS}
    uncertain: Counter[str] = Counter()
    for part, names in lists.items():
        for name in names:
            region = regions.get(region_of(name))
            if region is None:
                raise DataError(f"{name}: {region_of(name)!r} is not a region of OpenEarthMap")
            out[f"regional/{region.domain}_{part}"].append(name)
            uncertain[f"{region.name} ({region.continent})"] += not region.certain
            if region.certain or not certain:
                out[f"continents/{region.continent}_{part}"].append(name)
    doubts = ", ".join(f"{name}: {count} images" for name, count in uncertain.items() if count)
    if doubts:
        _log.info("continent uncertain, %s: %s", "left out" if certain else "kept (--certain excludes them)", doubts)
    return {path: names for path, names in out.items() if names}


def write_lists(lists: Mapping[str, Sequence[str]], folder: Path | str) -> list[Path]:
    """Write lists, one name a line.

    Args:
        lists: Names by path without suffix.
        folder: Where to; made where it is missing.

    Raises:
        ValueError: A list is there with other names, which a new one would replace; nothing is written then.
        OSError: A list cannot be written; the message names it.
    """
    folder, todo = Path(folder), {}
    for name, rows in lists.items():
        path = folder / f"{name}.txt"
        todo[path] = rows
        check_same(path, rows)
    for path, rows in todo.items():
        write_names(path, rows)
        _log.info("%s: %d images", path, len(rows))
    return list(todo)


def write_record(splits: Mapping[str, Split], trials: int, seed: int, path: Path) -> None:
    """Write what is known of each region's division: numbers of images, classes, mismatch, seed and trials."""
    columns = ["region", *PARTS, "classes", "lost_in_train", "mismatch", "share_distance", "trials", "seed"]
    with csv_writer(path, columns) as add_rows:
        for region, split in splits.items():
            counts = [int((split.parts == i).sum()) for i in range(3)]
            known = [split.classes, split.lost, split.mismatch, f"{split.distance:.6f}", trials, seed]
            add_rows([[region, *counts, *known]])
