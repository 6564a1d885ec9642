"""TransNorm: batch normalisation with the statistics of each domain, and more of the channels that both share."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.registry import MODELS
from mmseg.registry import MODELS as SEGMENTATION
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from rsseg.errors import ConfigError
from rsseg.models.adaptation.adversarial import AdaptSeg, output_losses
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch, Student
from rsseg.models.adaptation.networks import head_outputs, labels_of

__all__ = ["TransNorm", "TransNormAdaptation", "channel_weights", "require_both_domains", "use_transnorm"]

_STATISTICS = ("running_mean", "running_var")
_DOMAINS = ("source", "target")


@torch.no_grad()
def channel_weights(
    source_mean: Tensor, source_variance: Tensor, target_mean: Tensor, target_variance: Tensor, eps: float = 1e-5
) -> Tensor:
    """How alike the domains are in each channel: alpha = C * q / sum(q), where q = 1 / (1 + d).

    Args:
        source_mean: (C,) of the source.
        source_variance: (C,) of the source, unbiased.
        target_mean: (C,) of the target.
        target_variance: (C,) of the target, unbiased.
        eps: Added to variances.

    Returns:
        (C,) with mean 1, without gradient; d is the distance of mean / sqrt(variance + eps) of the domains.

    Source: Wang et al., "Transferable normalization", 2019, equations 3 to 5.
    """
    source, target = source_mean / (source_variance + eps).sqrt(), target_mean / (target_variance + eps).sqrt()
    alike = 1 / (1 + (source - target).abs())
    return len(alike) * alike / alike.sum()


@MODELS.register_module()
class TransNorm(_BatchNorm):
    """Batch normalisation that stands in for any other one: ``norm_cfg=dict(type='TransNorm')``.

    In training the first half of the batch is the source and the second the target: each is normalised by its own
    statistics, and moves its own running ones.  In evaluation all images are the target's.  Both times the result, with
    the affine parameters that the domains share, is multiplied by 1 + :func:`channel_weights`, so by 2 on average.
    A file with a plain batch normalisation sets the running statistics of both domains.

    Args:
        num_features: C.
        eps: Added to variances.
        momentum: Share of the new value in the running statistics.
        affine: Learn a scale and a shift.

    Attributes:
        num_batches_tracked: For files only; it is not counted.

    Raises:
        ConfigError: A batch in training has an odd number of images.

    Source: Wang et al. 2019, section 3.2, and its release.  With several processes statistics are those of each.
    """

    _abbr_ = "bn"

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1, affine: bool = True) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats=False)
        for domain in _DOMAINS:
            self.register_buffer(f"running_mean_{domain}", torch.zeros(num_features))
            self.register_buffer(f"running_var_{domain}", torch.ones(num_features))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) normalised; in training N is even."""
        self._check_input_dim(x)
        if not self.training:
            weights = channel_weights(*self._running("source"), *self._running("target"), self.eps)
            out = self._normalise(x, "target")
        else:
            if len(x) % 2:
                raise ConfigError(
                    f"TransNorm needs as many target images as source images in a batch, but got {len(x)} images in "
                    "all; in training the first half of each process's batch is the source and the second the target"
                )
            halves = x.chunk(2)
            weights = channel_weights(*_statistics(halves[0]), *_statistics(halves[1]), self.eps)
            out = torch.cat([self._normalise(half, domain) for half, domain in zip(halves, _DOMAINS, strict=True)])
        return out * (1 + weights).to(out.dtype).view(-1, *[1] * (x.ndim - 2))

    def _check_input_dim(self, x: Tensor) -> None:
        if x.ndim < 2 or x.shape[1] != self.num_features:
            raise ConfigError(f"TransNorm of {self.num_features} channels got an input of shape {tuple(x.shape)}")

    def _running(self, domain: str) -> tuple[Tensor, Tensor]:
        return getattr(self, f"running_mean_{domain}"), getattr(self, f"running_var_{domain}")

    def _normalise(self, x: Tensor, domain: str) -> Tensor:
        momentum = self.momentum or 0.0
        return functional.batch_norm(
            x, *self._running(domain), self.weight, self.bias, self.training, momentum, self.eps
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a plain batch normalisation's statistics for both domains."""
        for name in _STATISTICS:
            plain = state_dict.pop(prefix + name, None)
            for domain in _DOMAINS if plain is not None else ():
                state_dict.setdefault(f"{prefix}{name}_{domain}", plain)
        state_dict.setdefault(f"{prefix}num_batches_tracked", self.num_batches_tracked)
        super()._load_from_state_dict(state_dict, prefix, *args)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean (C,) and unbiased variance (C,) of (N, C, ...), without gradient."""
    axes = [axis for axis in range(x.ndim) if axis != 1]
    variance, mean = torch.var_mean(x.detach().float(), axes)
    return mean, variance


class _TransNormAct(TransNorm):
    """In the place of timm's batch normalisation with an activation."""

    drop: nn.Module
    act: nn.Module

    def __init__(self, plain: Any, *settings: Any) -> None:
        super().__init__(*settings)
        self.drop, self.act = plain.drop, plain.act

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.act(self.drop(super().forward(x)))
        return out


def use_transnorm(network: nn.Module) -> int:
    """Replace every batch normalisation within a network by :class:`TransNorm`, with its parameters and statistics.

    Args:
        network: Changed in place; it may be one whose layers no ``norm_cfg`` names, such as timm's.

    Returns:
        How many were replaced.
    """
    found = [
        (parent, name, child)
        for parent in network.modules()
        for name, child in parent.named_children()
        if isinstance(child, _BatchNorm) and not isinstance(child, TransNorm)
    ]
    for parent, name, plain in found:
        settings = plain.num_features, plain.eps, plain.momentum, plain.affine
        layer = _TransNormAct(plain, *settings) if hasattr(plain, "act") else TransNorm(*settings)
        layer.load_state_dict(plain.state_dict())
        setattr(parent, name, layer.train(plain.training))
    return len(found)


def _has_transnorm(network: Any) -> bool:
    return any(isinstance(module, TransNorm) for module in network.modules())


def require_both_domains(method: AdaptationMethod, student: Student) -> None:
    """See that a network with :class:`TransNorm` is trained on batches of both domains.

    Raises:
        ConfigError: The method gives it batches of one domain, whose halves would be taken for two.
    """
    if _has_transnorm(student) and not isinstance(method, TransNormAdaptation):
        raise ConfigError(
            f"{type(method).__name__} gives the network batches of one domain, whose second half TransNorm would take "
            "for the target; use adaptation=dict(type='TransNormAdaptation'), or norm_cfg=dict(type='BN')"
        )


@SEGMENTATION.register_module()
class TransNormAdaptation(AdaptSeg):
    """AdaptSegNet's losses on a network with :class:`TransNorm`, ``form="twin"`` of the head, and one batch of both.

    The second classifier has the part of the auxiliary one.

    Args:
        replace: Replace all batch normalisations of the backbone, where it takes no ``norm_cfg``.
        **kwargs: As for :class:`AdaptSeg`.

    Raises:
        ConfigError: The network has no :class:`TransNorm`, or a batch has more images of one domain.

    Source: LoveDA's release.
    """

    form = "twin"

    def __init__(self, replace: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.replace = replace

    def setup(self, student: Student) -> None:
        """Fit the network, and make the discriminators."""
        super().setup(student)
        if self.replace:
            use_transnorm(student.backbone)
        if not _has_transnorm(student):
            raise ConfigError(
                "TransNormAdaptation needs model.backbone.norm_cfg=dict(type='TransNorm'); for a backbone without "
                "norm_cfg, such as timm's, give it replace=True"
            )

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """See :func:`output_losses`."""
        if len(source) != len(target):
            raise ConfigError(
                f"TransNorm takes the first half of a batch for the source and the second for the target, but got "
                f"{len(source)} and {len(target)} images; use as many of both on each process"
            )
        outputs = head_outputs(student, torch.cat([source.inputs, target.inputs]), source.size)
        main, twin = (outputs[name].chunk(2) for name in ("main", "twin"))
        return output_losses(self, labels_of(source), (main[0], twin[0]), (main[1], twin[1]))
