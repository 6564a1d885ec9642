"""Which patches a data set takes, and where each of them is read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rsseg.datasets.bigearthnet.archive import (
    PatchInfo,
    archive_folder,
    find_patches,
    known_infos,
    pair_radar,
    patch_folder,
    read_infos,
)
from rsseg.datasets.bigearthnet.band_table import Band
from rsseg.datasets.bigearthnet.bands import check_bands
from rsseg.datasets.bigearthnet.lists import PAIRS, find_list, has_lists, split_names
from rsseg.datasets.bigearthnet.lmdb_file import missing_patches
from rsseg.errors import ConfigError, DataError

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Patches of one part of a split.

    Attributes:
        root: Where the archive was unpacked.
        version: ``v1`` or ``v2``.
        split: ``train``, ``val`` or ``test``; None for all patches.
        bands: Bands to read.
        packed: Folder of the LMDB from which they are read, or None for GeoTIFFs.
        lists: Folder of the lists of snow, clouds and splits.
        seed: Of the split that is drawn where there are no lists.
        labelled: Whether files say the labels; without them, patches are their names and bands alone.
    """

    root: Path
    version: str
    split: str | None
    bands: tuple[Band, ...]
    packed: Path | None
    lists: Path
    seed: int
    labelled: bool = True

    @classmethod
    def of(
        cls,
        data_root: str,
        version: str,
        split: str | None,
        bands: Sequence[str],
        packed: str | None,
        lists: str | None,
        seed: int,
        labelled: bool = True,
    ) -> Selection:
        """A selection from a data set's arguments.

        Raises:
            ValueError: There is no such band.
        """
        root, place = Path(data_root), Path(packed) if packed else None
        folder = Path(lists) if lists else root / "splits"
        return cls(root, version, split, check_bands(bands), place, folder, seed, labelled)

    def rows(self) -> Iterator[tuple[PatchInfo, dict[str, Any]]]:
        """Every patch with ``patches`` and ``folders``: names and places of its Sentinel-2 and Sentinel-1 parts.

        Raises:
            FileNotFoundError: The archive, a list or a patch of a list is missing.
            UserError: A list or table is broken, or nothing says which Sentinel-1 patch belongs to a patch.
        """
        kinds = ("S2", "S1") if any(band.radar for band in self.bands) else ("S2",)
        infos = self._infos(radar=len(kinds) > 1)
        pairs = [(info.name, info.s1)[: len(kinds)] for info in infos]
        if self.packed is not None:
            missing = missing_patches(self.packed, [name for names in pairs for name in names])
            if missing:
                raise FileNotFoundError(f"{self.packed}: {len(missing)} patches are not packed, such as {missing[0]}")
        bases = [None if self.packed else archive_folder(self.root, self.version, kind) for kind in kinds]
        for info, names in zip(infos, pairs, strict=True):
            folders = [
                str(self.packed) if base is None else patch_folder(base, self.version, name)
                for base, name in zip(bases, names, strict=True)
            ]
            yield info, {"patches": names, "folders": folders}

    def _infos(self, radar: bool) -> list[PatchInfo]:
        """Patches of the split, with their Sentinel-1 patches where those are read."""
        if not self.labelled:
            return self._unlabelled(radar)
        known = known_infos(self.root, self.version, self.packed)
        kept = [info for info in known.values() if not info.excluded]
        listed: dict[str, str] = {}
        if self.split is None:
            infos = kept if known else read_infos(self.root, self.version)
        elif any(info.split for info in kept) and not has_lists(self.lists):
            infos = [info for info in kept if info.split == self.split]
        else:
            names = [info.name for info in kept] if known else find_patches(self.root, self.version)
            listed = dict(split_names(self.lists, self.split, names, self.seed))
            infos = read_infos(self.root, self.version, list(listed), self.packed)
        return self._paired(infos, listed) if radar else infos

    def _unlabelled(self, radar: bool) -> list[PatchInfo]:
        """Patches by their folders, or by the lists of a split."""
        listed: dict[str, str] = {}
        if self.split is not None and not has_lists(self.lists):
            raise ConfigError(
                f"{self.root}: patches without files of labels are not divided, and {self.lists} has no list of "
                f"{self.split}; set split=None to take all patches"
            )
        if self.split is not None:
            listed = dict(split_names(self.lists, self.split, (), self.seed))
        elif self.packed is not None:
            raise ConfigError(
                f"{self.packed}: packed patches without labels are taken by a list; name the folder of test.txt by "
                "lists=FOLDER"
            )
        infos = [PatchInfo(name, (), "") for name in listed or find_patches(self.root, self.version)]
        return self._paired(infos, listed) if radar else infos

    def _paired(self, infos: list[PatchInfo], listed: dict[str, str]) -> list[PatchInfo]:
        infos = [replace(info, s1=info.s1 or listed.get(info.name, "")) for info in infos]
        if self.version == "v1" and not all(info.s1 for info in infos):
            pairs = pair_radar(self.root, find_list(self.lists, *PAIRS))
            infos = [replace(info, s1=info.s1 or pairs.get(info.name, "")) for info in infos]
        lonely = [info.name for info in infos if not info.s1]
        if lonely:
            raise DataError(f"{self.root}: {len(lonely)} patches have no known Sentinel-1 patch (first: {lonely[0]})")
        return infos
