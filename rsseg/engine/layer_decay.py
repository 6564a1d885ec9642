"""Learning rates that shrink from the head towards the image (layer decay)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mmengine.optim import DefaultOptimWrapperConstructor
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from rsseg.errors import ConfigError

__all__ = ["LayerDecayConstructor", "depths_of", "layer_of"]

_PLACES = ("pos_embed", "cls_token", "reg_token", "rel_pos", "relative_position", "level_embed")
_RELEASED = ("pos_embed",)
_BLOCK = re.compile(r"backbone\.(?:encoder\.)?(?:levels\.(\d+)\.)?blocks\.(\d+)\.")
_BETWEEN = re.compile(r"backbone\.levels\.(\d+)\.(?:norm|downsample)\.")
_FIRST = tuple(
    f"backbone.{part}{name}"
    for part in ("", "encoder.")
    for name in ("patch_embed.", "pos_embed", "cls_token", "reg_token")
)
_OPTIONS = ("layer_decay_rate", "samrs_compat", "no_decay")


def depths_of(names: Iterable[str]) -> list[int]:
    """Blocks of each level of a backbone, one level for a plain transformer; empty where there are none.

    Args:
        names: Names of a model's parameters; blocks are ``backbone.blocks.<i>`` or
            ``backbone.levels.<level>.blocks.<i>``.
    """
    places = {(int(found[1] or 0), int(found[2])) for found in map(_BLOCK.match, names) if found}
    return [sum(level == one for level, _ in places) for one in sorted({level for level, _ in places})]


def layer_of(name: str, depths: Sequence[int]) -> int:
    """The layer of a parameter: 0 before the first block, i + 1 in block i, the number of blocks + 1 after the last.

    What lies between two levels belongs to the first block after it, the last level's norm to the first block of that
    level.  A decoder, heads and all modules beside the blocks are after them.

    Args:
        name: Name of the parameter in the model.
        depths: See :func:`depths_of`.

    Source: the constructors of BEiT (plain transformers) and InternImage (levels).
    """
    if name.startswith(_FIRST):
        return 0
    if found := _BLOCK.match(name):
        return sum(depths[: int(found[1] or 0)]) + int(found[2]) + 1
    if found := _BETWEEN.match(name):
        return sum(depths[: min(int(found[1]) + 1, len(depths) - 1)]) + 1
    return sum(depths) + 1


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor(DefaultOptimWrapperConstructor):
    """Multiplies the learning rate of each layer by ``rate ** (layers after it)``.

    For ViT, BEiT, RVSA, InternImage and DINOv3's transformers:
    ``optim_wrapper = dict(constructor="LayerDecayConstructor", paramwise_cfg=dict(layer_decay_rate=0.9), ...)``.
    Weight decay leaves out biases, everything with one dimension (norms, scales) and ``no_decay``.

    Args:
        optim_wrapper_cfg: As for mmengine's constructor.
        paramwise_cfg: ``layer_decay_rate`` (above 0, at most 1); ``samrs_compat``: True gives every layer the full
            rate, as the release does; ``no_decay``: parts of the names of parameters without weight decay, by default
            embeddings of places, with ``samrs_compat`` only ``pos_embed``.

    Raises:
        ValueError: An option is unknown, missing or out of range, or the backbone has no numbered blocks.

    Source: SAMRS release.  Its constructors for ViT, RVSA and ViT-Adapter look for names that start with ``backbone.``
    in a model whose backbone is called ``encoder``, so that no rate is ever lowered; InternImage's rate is 1.  The one
    for ViT-Adapter also decays ``pos_embed``: that is ``no_decay=[]``.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        unknown = set(self.paramwise_cfg) - set(_OPTIONS)
        if unknown:
            raise ConfigError(f"paramwise_cfg: {sorted(unknown)} unknown; expected: {', '.join(_OPTIONS)}")
        rate = self.paramwise_cfg.get("layer_decay_rate")
        if rate is None or not 0 < rate <= 1:
            raise ConfigError(f"paramwise_cfg requires a layer_decay_rate above 0 and at most 1, got {rate}")
        if self.base_lr is None or self.base_wd is None:
            raise ConfigError("LayerDecayConstructor requires lr and weight_decay of the optimizer")

    def add_params(
        self, params: list[dict[str, Any]], module: nn.Module, prefix: str = "", is_dcn_module: Any = None
    ) -> None:
        """Append one group of parameters for each pair of layer and weight decay to ``params``."""
        named = [(name, value) for name, value in module.named_parameters() if value.requires_grad]
        samrs_compat = self.paramwise_cfg.get("samrs_compat", False)
        depths = depths_of(name for name, _ in module.named_parameters())
        if not depths and not samrs_compat:
            raise ConfigError(
                "the model has no layers to decay; expected parameters named backbone.blocks.* or "
                "backbone.levels.*.blocks.*"
            )
        plain = self.paramwise_cfg.get("no_decay", _RELEASED if samrs_compat else _PLACES)
        last = sum(depths) + 1
        groups: dict[tuple[int, bool], dict[str, Any]] = {}
        for name, value in named:
            layer = last if samrs_compat else layer_of(name, depths)
            decays = value.ndim > 1 and not name.endswith(".bias") and not any(part in name for part in plain)
            if (layer, decays) not in groups:
                rate = self.base_lr * self.paramwise_cfg["layer_decay_rate"] ** (last - layer)
                groups[layer, decays] = dict(params=[], lr=rate, weight_decay=self.base_wd if decays else 0.0)
            groups[layer, decays]["params"].append(value)
        params.extend(groups[key] for key in sorted(groups))
