"""Names of dataset classes by class table, and what mmseg's ``get_classes`` and ``get_palette`` need to know them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from rsseg.metainfo.table import BACKGROUND, list_metainfo, load_metainfo, name_key

__all__ = ["DATASETS", "SAMRS_TABLES", "name_classes", "table_info", "table_of"]

DATASETS: dict[str, tuple[str, ...]] = {
    "sota": ("SOTADataset",),
    "sior": ("SIORDataset",),
    "fast": ("FASTDataset",),
    "hrsc": ("HRSC2016Dataset", "HRSCDataset"),
    "nwpu_vhr10": ("NWPUVHR10Dataset",),
    "landdiscover": ("LandDiscoverDataset", "LandDiscover50KDataset"),
    "flair": ("FLAIRDataset",),
    "floodnet": ("FloodNetDataset",),
    "deepglobe": ("DeepGlobeDataset",),
    "chesapeake": ("ChesapeakeDataset",),
    "openearthmap": ("OpenEarthMapDataset",),
    "bigearthnet19": ("BigEarthNetMaps",),
}
"""Class table -> names of its dataset class; of iSAID, LoveDA and Potsdam mmseg has one."""
SAMRS_TABLES = ("sota", "sior", "fast")


def table_info(*tables: str) -> dict[str, list[Any]]:
    """``METAINFO`` of mmseg for the classes of one or several tables: ``classes`` and ``palette``, each name once."""
    found: dict[str, tuple[str, list[int]]] = {}
    for table in map(load_metainfo, tables):
        for name, color in zip(table.classes, table.palette, strict=True):
            found.setdefault(name_key(name), (name, list(color)))
    return {"classes": [name for name, _ in found.values()], "palette": [color for _, color in found.values()]}


def table_of(dataset: Mapping[str, Any]) -> str | None:
    """Class table that the config of a dataset names: by ``table``, or by the dataset's class; None without one."""
    kind = str(dataset.get("type", "")).rpartition(".")[2]
    by_class = (table for table, names in DATASETS.items() if kind in names)
    return str(dataset["table"]) if dataset.get("table") else next(by_class, None)


def name_classes(module: Any) -> None:
    """Let ``mmseg.utils.get_classes`` and ``get_palette`` know every class table that mmseg has none of.

    Each is known by its own name (``sota``, ``SOTA``, ``sota+background``) and by those of its dataset classes
    (``SOTADataset``).

    Args:
        module: ``mmseg.utils.class_names``.
    """
    for name, tables, aliases in _tables():
        if hasattr(module, f"{name}_classes"):  # mmseg's own, or named already
            continue
        for what in ("classes", "palette"):
            setattr(module, f"{name}_{what}", partial(_read, tables, what))
        module.dataset_aliases.setdefault(name, []).extend(aliases)


def _tables() -> Iterator[tuple[str, tuple[str, ...], list[str]]]:
    """Name, tables and aliases of all that has classes."""
    for name in list_metainfo():
        yield name, (name,), [name, name.upper(), *DATASETS.get(name, ())]
        yield f"{name}{BACKGROUND}".replace("+", "_"), (f"{name}{BACKGROUND}",), [f"{name}{BACKGROUND}"]
    yield "samrs", SAMRS_TABLES, ["samrs", "SAMRS", "SAMRSDataset"]


def _read(tables: tuple[str, ...], key: str) -> list[Any]:
    return table_info(*tables)[key]
