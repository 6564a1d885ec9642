"""The bands of BigEarthNet: size of a patch, mean and standard deviation."""

from __future__ import annotations

import csv
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rsseg.errors import ConfigError

__all__ = ["VERSIONS", "Band", "band_statistics", "load_bands"]

VERSIONS = ("v1", "v2")
"""BigEarthNet v1.0, and v2.0 (reBEN)."""

_FILE = Path(__file__).parent / "bands.csv"


@dataclass(frozen=True)
class Band:
    """One band of Sentinel-2 (``B01`` .. ``B12``, ``B8A``) or Sentinel-1 (``VV``, ``VH``).

    Attributes:
        name: As at the end of its files' names.
        side: Pixels of a patch's side: 120 (10 m), 60 (20 m) or 20 (60 m).
        mean: Mean of the archive, in stored units (reflectance times 10,000; decibels for Sentinel-1).
        std: Standard deviation of the archive.
    """

    name: str
    side: int
    mean: float
    std: float

    @property
    def radar(self) -> bool:
        """Whether it is a band of Sentinel-1."""
        return self.name.startswith("V")


@functools.cache
def load_bands(version: str = "v1") -> dict[str, Band]:
    """All bands by name: the twelve of Sentinel-2 in the order of wavelengths, then VV and VH.

    Args:
        version: Archive that mean and standard deviation are of, one of ``VERSIONS``.

    Raises:
        ConfigError: There is no such version.

    Source: TU Berlin's models for v1; ConfigILM for v2 (bands at 120 x 120, interpolated cubically).
    """
    if version not in VERSIONS:
        raise ConfigError(f"unknown version {version!r} of BigEarthNet; expected one of: {', '.join(VERSIONS)}")
    with _FILE.open(encoding="utf-8", newline="") as file:
        return {
            row["band"]: Band(
                row["band"], int(row["side"]), float(row[f"mean_{version}"]), float(row[f"std_{version}"])
            )
            for row in csv.DictReader(file)
        }


def band_statistics(bands: Sequence[str], version: str = "v1") -> tuple[list[float], list[float]]:
    """Means and standard deviations of some bands, in their order.

    Raises:
        ConfigError: There is no such band or version.
    """
    known = load_bands(version)
    unknown = [name for name in bands if name not in known]
    if unknown:
        raise ConfigError(f"unknown band {unknown[0]!r}; expected one of: {', '.join(known)}")
    return [known[name].mean for name in bands], [known[name].std for name in bands]
