"""OV-Seg (CVPR 2023): MaskFormer's masks, named by a CLIP that is told which patches belong to the region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import nn
from torchvision.ops import FrozenBatchNorm2d

from rsseg.errors import ConfigError
from rsseg.models.mask2former.losses import ClassMasks
from rsseg.models.ovseg.losses import FocalSettings, focal_losses
from rsseg.models.ovseg.maskformer import MaskFormerProposals
from rsseg.models.regions.classifier import ChangeOutside, Regions
from rsseg.models.regions.segmentor import Proposal, RegionSegmentor

__all__ = ["OVSeg"]

MODELS.register_module(module=FrozenBatchNorm2d)


@MODELS.register_module()
class OVSeg(RegionSegmentor):
    """MaskFormer with embeddings of CLIP's space in place of a classifier, and CLIP on each region in tests.

    The release stops with an error where an image has one mask that is not empty, or none; here it does not.

    Args:
        clip: As for :class:`RegionSegmentor`.
        backbone: Config of what gives four maps at strides 4, 8, 16 and 32, with ``in_channels`` of the ``proposals``.
        vocabulary: As for :class:`RegionSegmentor`.
        proposals: What differs from :class:`MaskFormerProposals`'s defaults; ``in_channels`` is needed.
        mask_prompt: Depth of the mask prompts: learned tokens that take the place of the patches outside of a region,
            before the positions and behind each of the blocks before this one.  0 is without, as the original CLIP
            needs it: the prompts start at zero.  The release has 3, with a CLIP that was adapted to masks.
        loss: What differs from :class:`FocalSettings`'s defaults.
        release_defects: Queries with an empty mask have the factor 1 for CLIP's share, more than any other has.
            Otherwise their own probability stands for CLIP's.
        **kwargs: As for :class:`RegionSegmentor`.

    Raises:
        ConfigError: ``mask_prompt`` is not from 0 to the number of CLIP's blocks; or see :class:`RegionSegmentor`.

    Source: OV-Seg paper and release.  The training that adapts CLIP to masks is not here.
    """

    def __init__(
        self,
        clip: dict[str, Any],
        backbone: dict[str, Any],
        vocabulary: str | Sequence[str],
        proposals: dict[str, Any],
        mask_prompt: int = 0,
        loss: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(clip, backbone, vocabulary, **kwargs)
        tower = self.clip.visual
        if not 0 <= mask_prompt <= len(tower.transformer.resblocks):
            raise ConfigError(
                f"mask_prompt={mask_prompt}: expected 0 to {len(tower.transformer.resblocks)}, the blocks of CLIP"
            )
        if mask_prompt and self.clip.grid != tower.grid:
            raise ConfigError(
                f"mask_prompt={mask_prompt}: CLIP's resolution={self.clip.resolution} gives {self.clip.grid} patches a "
                f"side, but the prompts are for {tower.grid}"
            )
        self.settings = FocalSettings(**(loss or {}))
        self.proposals = MaskFormerProposals(embed=self.clip.embed, **proposals)
        shape = (mask_prompt, tower.grid**2, self.clip.channels)
        self.mask_embedding = nn.Parameter(torch.zeros(shape), requires_grad=False) if mask_prompt else None

    def propose(self, inputs: torch.Tensor) -> tuple[list[Proposal], None]:
        """See :class:`RegionSegmentor`; in evaluation of the last step only."""
        return [Proposal(*part) for part in self.proposals(self.extract_feat(inputs))], None

    def change_outside(self, regions: Regions, context: None) -> ChangeOutside | None:
        """The mask prompts, where there are any."""
        return None if self.mask_embedding is None else self._prompt

    def _prompt(self, depth: int, places: torch.Tensor, inside: torch.Tensor, rows: slice) -> torch.Tensor:
        assert self.mask_embedding is not None
        if depth >= len(self.mask_embedding):
            return places
        return torch.where(inside[..., None], places, self.mask_embedding[depth].to(places.dtype))

    def step_losses(
        self, scores: torch.Tensor, masks: torch.Tensor, targets: Sequence[ClassMasks], count: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """See :func:`focal_losses`."""
        return focal_losses(scores, masks, targets, count, self.settings)
