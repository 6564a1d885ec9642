"""SCAN (CVPR 2024): Mask2Former's masks, queries that know what CLIP sees, and regions that know their surroundings."""

from __future__ import annotations

import copy
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from torch import nn
from torch.nn import functional

from rsseg.errors import ConfigError
from rsseg.models.mask2former.losses import ClassMasks, LossSettings, query_losses
from rsseg.models.mask2former.proposals import MaskProposals
from rsseg.models.regions.classifier import ChangeOutside, Regions, grid_masks
from rsseg.models.regions.segmentor import Proposal, RegionSegmentor, pad_to_multiple
from rsseg.models.scan.prior import QueryCalibration, SemanticPrior

__all__ = ["SCAN", "Prior", "draw_outside"]

_SEED = 0
_LAYERS, _RELEASED_LAYERS = 9, 10


class Prior(NamedTuple):
    """What the frozen CLIP makes of B whole images.

    Attributes:
        tokens: (B, P, embed), see :class:`SemanticPrior`.
        image: (B, embed), of length 1.
        classes: What each block makes of the class token, all of (B, width).
    """

    tokens: torch.Tensor
    image: torch.Tensor
    classes: list[torch.Tensor]


def draw_outside(inside: torch.Tensor, share: float, source: torch.Generator | None = None) -> torch.Tensor:
    """Choose some of the places outside of each region.

    Args:
        inside: (R, L) bool.
        share: Of the places outside of a region, rounded down.
        source: Of randomness; None is Python's own, as in the release, so that a run is not repeated by another.

    Returns:
        (R, L) bool.
    """
    if inside.is_meta:
        return torch.zeros_like(inside)
    chosen = torch.zeros_like(inside, device="cpu")
    for row, own in zip(chosen, ~inside.cpu(), strict=True):
        places: list[int] = own.nonzero()[:, 0].tolist()
        count = int(share * len(places))
        if source is None:
            row[random.sample(places, count)] = True
        else:
            order = torch.randperm(len(places), generator=source)[:count].tolist()
            row[[places[i] for i in order]] = True
    return chosen.to(inside.device)


@MODELS.register_module()
class SCAN(RegionSegmentor):
    """Mask2Former whose queries read a frozen CLIP's features, and CLIP on regions with the image's class token around.

    Args:
        clip: As for :class:`RegionSegmentor`; it names regions, and a copy of its tower for images sees the whole
            image.  Files for CLIP go into both.
        backbone: Config of what gives four maps at strides 4, 8, 16 and 32.
        vocabulary: As for :class:`RegionSegmentor`.
        proposals: What differs from :class:`MaskProposals`'s defaults; ``in_channels`` is needed.
        prior_blocks: Blocks of the copy, counted from 1, that make the prior.
        prior_sigmas: Width of the gate for each, see :class:`FrequencyFilter`.
        calibration: What differs from :class:`QueryCalibration`'s defaults.
        embed_hidden: Width of the MLP between queries and their embeddings.
        shift_blocks: Blocks of CLIP, counted from 1, behind which some of the places outside of a region become the
            image's class token.
        shift_share: How many of them.
        mask_threshold: As for :class:`RegionSegmentor`; the release's is lower than OV-Seg's.
        loss: What differs from :class:`LossSettings`'s defaults.
        release_defects: As in the release: the places are drawn without a seed, so that no test gives the same twice;
            the decoder has a tenth layer, and what the ninth gives has no loss; the prior sees the padding of images;
            queries with an empty mask have the factor 1 for CLIP's share.
        **kwargs: As for :class:`RegionSegmentor`.

    Raises:
        ConfigError: A block is none of CLIP's, a share is not from 0 to 1, or there is not one sigma for each of
            ``prior_blocks``; or see :class:`RegionSegmentor`.

    Source: SCAN paper and release.  The training that adapts CLIP to the shift is not here.
    """

    def __init__(
        self,
        clip: dict[str, Any],
        backbone: dict[str, Any],
        vocabulary: str | Sequence[str],
        proposals: dict[str, Any],
        prior_blocks: Sequence[int] = (6, 9, 12),
        prior_sigmas: Sequence[float] = (9.0, 7.0, 3.0),
        calibration: dict[str, Any] | None = None,
        embed_hidden: int = 1024,
        shift_blocks: Sequence[int] = (1, 3, 5),
        shift_share: float = 0.05,
        mask_threshold: float = 0.4,
        loss: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(clip, backbone, vocabulary, mask_threshold=mask_threshold, **kwargs)
        tower = self.clip.visual
        _check(len(tower.transformer.resblocks), prior_blocks, prior_sigmas, shift_blocks)
        if not 0 <= shift_share <= 1:
            raise ConfigError(f"shift_share={shift_share}: expected a number from 0 to 1")
        self.shift_blocks, self.shift_share = tuple(shift_blocks), shift_share
        self.settings = LossSettings(**(loss or {}))
        layers = _RELEASED_LAYERS if self.release_defects else _LAYERS
        self.proposals = MaskProposals(**{"decoder_layers": layers, **proposals})
        embed = self.clip.embed
        self.class_embed = nn.Sequential(
            nn.Linear(self.proposals.channels, embed_hidden), nn.ReLU(), nn.Linear(embed_hidden, embed)
        )
        self.original = copy.deepcopy(tower)
        self.prior = SemanticPrior(self.clip.channels, embed, prior_blocks, prior_sigmas)
        self.calibration = QueryCalibration(embed, **(calibration or {}))

    def init_weights(self) -> None:
        """Initial weights as in mmseg; the copy of CLIP's tower takes those of its file.

        Raises:
            ConfigError: Most of the weights in the file that ``backbone.init_cfg`` names are not the backbone's.
        """
        begun = self.is_init
        super().init_weights()
        if not begun and self.clip.weights is not None:
            self.original.load_state_dict(self.clip.visual.state_dict())

    def train(self, mode: bool = True) -> SCAN:
        """Training or evaluation mode; for CLIP and the copy always the latter."""
        super().train(mode)
        self.original.eval()
        return self

    @torch.no_grad()
    def _look(self, inputs: torch.Tensor) -> list[torch.Tensor]:
        """What the copy's blocks give for whole images (B, 3, H, W)."""
        images = self.clip_images(inputs)
        if self.release_defects:
            images = pad_to_multiple(images)
        side = self.clip.resolution
        return list(self.original.trace(functional.interpolate(images, (side, side), mode="nearest")))

    def see(self, inputs: torch.Tensor) -> Prior:
        """The prior of images (B, 3, H, W)."""
        blocks = self._look(inputs)
        image = functional.normalize(self.original.whole(blocks[-1]).float(), dim=-1)
        tokens = self.prior(blocks, (self.clip.grid, self.clip.grid))
        return Prior(tokens, image, [block[:, 0] for block in blocks])

    def propose(self, inputs: torch.Tensor) -> tuple[list[Proposal], Prior]:
        """See :class:`RegionSegmentor`; in evaluation of the last step only."""
        prior = self.see(inputs)
        layers = self.proposals(self.extract_feat(inputs))
        out = []
        for queries, masks in layers if self.training else layers[-1:]:
            embeddings = self.calibration(self.class_embed(queries), prior.tokens, prior.image)
            out.append(Proposal(embeddings, masks))
        return out, prior

    def supervised(self, proposals: list[Proposal]) -> list[Proposal]:
        """All of them; with ``release_defects`` without the last but one."""
        return [*proposals[:-2], proposals[-1]] if self.release_defects else proposals

    def change_outside(self, regions: Regions, context: Prior) -> ChangeOutside:
        """The image's class token in some of the places outside of each region, behind ``shift_blocks``."""
        inside = grid_masks(regions.masks, self.clip.visual.conv1.kernel_size[0])
        source = None if self.release_defects else torch.Generator().manual_seed(_SEED)
        drawn = {depth: draw_outside(inside, self.shift_share, source) for depth in self.shift_blocks}

        def shift(depth: int, places: torch.Tensor, inside: torch.Tensor, rows: slice) -> torch.Tensor:
            if depth not in drawn:
                return places
            token = context.classes[depth - 1][0].to(places.dtype)
            return torch.where(drawn[depth][rows, :, None], token, places)

        return shift

    def step_losses(
        self, scores: torch.Tensor, masks: torch.Tensor, targets: Sequence[ClassMasks], count: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """See :func:`query_losses`."""
        return query_losses(scores, masks, targets, count, self.settings)


def _check(blocks: int, prior: Sequence[int], sigmas: Sequence[float], shift: Sequence[int]) -> None:
    for name, numbers in dict(prior_blocks=prior, shift_blocks=shift).items():
        if any(not 1 <= number <= blocks for number in numbers):
            raise ConfigError(f"{name}={tuple(numbers)}: expected numbers from 1 to {blocks}, the blocks of CLIP")
    if len(prior) != len(sigmas):
        raise ConfigError(f"prior_sigmas={tuple(sigmas)}: expected one for each of prior_blocks={tuple(prior)}")
