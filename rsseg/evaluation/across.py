"""Testing a model of one label set on a dataset of another.

Source: OpenEarthMap paper, section 6 and table 7: predictions and reference meet in common classes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from rsseg.errors import ConfigError
from rsseg.io.configs import read_config
from rsseg.io.pixel_settings import share_pixels
from rsseg.metainfo import list_metainfo, load_metainfo, merged_ids
from rsseg.metainfo.datasets import table_of

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["use_dataset"]


def use_dataset(cfg: Config, path: str, merge: str | None = None) -> str:
    """Test with the dataset and the flips of another config, in place.

    Args:
        cfg: Config of the model, with a test set whose class table is the model's.
        path: Config of the dataset, for example ``configs/_base_/datasets/loveda.py``; its test set is taken.
        merge: Common table in which both label sets meet; None where they have the same classes.

    Returns:
        Class table of what the model predicts.

    Raises:
        ConfigError: A test set names no class table or several; the classes differ and ``merge`` is not given, or does
            not know both sets.
    """

    other = read_config(path)
    share_pixels(other._cfg_dict)
    own, reference = _table(cfg, "the model's config"), _table(other, path)
    if merge is not None:
        for table in (own, reference):
            merged_ids(merge, table)
        cfg.test_evaluator.update(merge=merge, predicted=own)  # not .merge = ...: it is a method of the config's dicts
    elif load_metainfo(own).classes != load_metainfo(reference).classes:
        known = [name for name in list_metainfo() if _knows(name, own) and _knows(name, reference)]
        raise ConfigError(
            f"the model predicts the classes of {own!r}, but {path} has those of {reference!r}; name a common class "
            "table with --merge: "
            f"{', '.join(known) or 'no class table has both'}"
        )
    cfg.update(bands=None, value_range=None)  # they are of the model's own sets; the other's pipelines have theirs
    cfg.test_dataloader.dataset = other.test_dataloader.dataset
    if other.get("tta_pipeline"):
        cfg.tta_pipeline = other.tta_pipeline
    return own


def _table(cfg: Config, where: str) -> str:
    found = sorted(set(_tables(cfg.get("test_dataloader") or {})))
    if len(found) != 1:
        raise ConfigError(f"{where}: expected a test set with one class table, found {', '.join(found) or 'none'}")
    return found[0]


def _tables(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        table = table_of(node)
        if table is not None:
            yield table
        for value in node.values():
            yield from _tables(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from _tables(value)


def _knows(common: str, table: str) -> bool:
    try:
        return bool((merged_ids(common, table) < load_metainfo(common).num_classes).any())
    except ValueError:
        return False
