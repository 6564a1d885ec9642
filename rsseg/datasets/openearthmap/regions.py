"""Regions of OpenEarthMap: continent, side of the regional adaptation split, source of the images."""

from __future__ import annotations

import csv
import functools
from dataclasses import dataclass
from pathlib import Path

from rsseg.errors import DataError
from rsseg.io.listing import find_files
from rsseg.io.output_names import check_name

__all__ = ["CONTINENTS", "OPEN_DATA", "Region", "load_regions", "region_files", "region_of"]

CONTINENTS = {
    "AF": "Africa",
    "AS": "Asia",
    "EU": "Europe",
    "NA": "North America",
    "OC": "Oceania",
    "SA": "South America",
}
"""Codes and names; codes as in the OpenEarthMap paper, fig. 8."""
OPEN_DATA = "open data"
"""Origin of the images that are of none of the data sets that the paper names."""

_FILE = Path(__file__).parent / "regions.csv"


@dataclass(frozen=True)
class Region:
    """One region.

    Attributes:
        name: As in the names of its files.
        continent: One of ``CONTINENTS``' codes.
        certain: Whether the continent is beyond doubt; the authors did not publish theirs.
        domain: ``source`` or ``target`` of the regional adaptation split.
        origin: Data set that its images come from, such as ``xBD``; or ``OPEN_DATA``.
        images: Number of images in the three official lists.
    """

    name: str
    continent: str
    certain: bool
    domain: str
    origin: str
    images: int

    @property
    def images_from_xbd(self) -> bool:
        """Whether its images come from xBD, which the release leaves out."""
        return self.origin == "xBD"


@functools.cache
def load_regions() -> dict[str, Region]:
    """The 97 regions by name.

    Source: OpenEarthMap release (images, xBD), the authors' lists for domain adaptation (domain); continents are ours,
    with three that can be argued about: svaneti, western, leilane_estates.  The authors did not publish the other
    origins by region: they are ours, by the places of the data sets that the paper names in section 2.1 (Inria,
    Open Cities AI, SpaceNet, LandCover.ai, AIRS, GeoNRW, HTCD); all other regions are open data.
    """
    codes = {name: code for code, name in CONTINENTS.items()}
    with _FILE.open(encoding="utf-8", newline="") as file:
        return {
            row["region"]: Region(
                row["region"],
                codes[row["continent"]],
                row["certain"] == "yes",
                row["domain"],
                row["source"] or OPEN_DATA,
                int(row["images"]),
            )
            for row in csv.DictReader(file)
        }


def region_files(root: Path | str, kind: str) -> list[Path]:
    """The files ``<region>/<kind>/<name>.tif`` below ``root``, in the order of their paths; none where it is not there.

    Args:
        root: Folder of the unpacked release.
        kind: ``images`` or ``labels``.
    """
    root = Path(root)
    found = find_files(root, [".tif"], kind, empty=True) if root.is_dir() else []
    return [path for path in found if path.parent.name == kind and path.parents[2] == root]


def region_of(name: str) -> str:
    """Region of an image: its name up to the last underscore, without folders.

    Args:
        name: For example ``al_qurnah_5.tif``, ``al_qurnah_5`` or ``al_qurnah/al_qurnah_5``.

    Raises:
        DataError: The name has no such form.
    """
    region, _, number = Path(name).name.removesuffix(".tif").rpartition("_")
    if not region or not number.isdigit():
        raise DataError(f"{name!r} is not an image of OpenEarthMap; expected a name such as <region>_<number>.tif")
    return check_name(region, "an image of OpenEarthMap")
