"""DINO: a student says of parts of an image what its own moving average, the teacher, says of the whole.

Shapes: B images; C crops of each, of which the first G = 2 are global; K outputs of the head.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.model import BaseModel, BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from rsseg.errors import ConfigError
from rsseg.models.autocast import without_autocast

__all__ = ["DINOHead", "DINOPretraining", "distillation_loss", "sharpen", "update_average"]


def sharpen(logits: Tensor, centre: Tensor, temperature: float) -> Tensor:
    """The teacher's targets: softmax of centred logits.

    Args:
        logits: (..., K) of the teacher.
        centre: (K,), the moving average of the teacher's logits.
        temperature: Above 0; the lower, the sharper.

    Returns:
        (..., K) probabilities.

    Source: Caron et al. 2021, section 3.1 and algorithm 1.
    """
    return ((logits - centre) / temperature).softmax(-1)


def distillation_loss(student: Tensor, targets: Tensor, temperature: float = 0.1) -> Tensor:
    """Cross-entropy between the targets of each global crop and the student's view of every other crop.

    Args:
        student: (C, B, K) logits; the first G crops are those of ``targets``.
        targets: (G, B, K) probabilities.
        temperature: The student's.

    Returns:
        Scalar, the mean over images and over the G * (C - 1) pairs of different crops.

    Source: Caron et al. 2021, equation 3.
    """
    log_probabilities = (student / temperature).log_softmax(-1)
    pairs = -torch.einsum("gbk,cbk->gc", targets, log_probabilities) / student.shape[1]
    same = pairs.diagonal()
    return (pairs.sum() - same.sum()) / (pairs.numel() - same.numel())


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, momentum: float) -> None:
    """Move the parameters of ``average`` towards those of ``model``: momentum * average + (1 - momentum) * model.

    Args:
        average: Changed in place.
        model: A module of the same structure.
        momentum: 0 .. 1.
    """
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1 - momentum)


@MODELS.register_module()
class DINOHead(nn.Module):
    """Three layers, a normalised bottleneck and a layer of unit weight vectors.

    The last two work in float32 under autocast too: bfloat16's steps are large beside the teacher's temperature.

    Args:
        in_channels: Channels of the backbone's class token.
        out_channels: K; kept as an attribute.
        hidden_channels: Of the first two layers.
        bottleneck_channels: Of the third.
        norm_last_layer: Keep the last layer's weight vectors at length 1; otherwise their lengths are learnt.

    Source: Caron et al. 2021, section 3.1 and appendix C; names of the weights as in the release.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 65536,
        hidden_channels: int = 2048,
        bottleneck_channels: int = 256,
        norm_last_layer: bool = True,
    ) -> None:
        super().__init__()
        widths = (in_channels, hidden_channels, hidden_channels, bottleneck_channels)
        layers = [nn.Linear(before, after) for before, after in pairwise(widths)]
        for layer in layers:
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
        self.mlp = nn.Sequential(layers[0], nn.GELU(), layers[1], nn.GELU(), layers[2])
        self.last_layer = _UnitLinear(bottleneck_channels, out_channels, norm_last_layer)
        self.out_channels = out_channels

    def forward(self, features: Tensor) -> Tensor:
        """Logits (N, K) float32 of features (N, in_channels)."""
        small = self.mlp(features)
        with without_autocast(small.device):
            return self.last_layer(F.normalize(small.float(), dim=-1))


class _UnitLinear(nn.Module):
    """A linear layer without bias whose weight vectors are ``weight_v`` scaled to the lengths ``weight_g``."""

    def __init__(self, in_channels: int, out_channels: int, fixed: bool) -> None:
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(out_channels, 1), requires_grad=not fixed)
        self.weight_v = nn.Parameter(torch.empty(out_channels, in_channels))
        nn.init.kaiming_uniform_(self.weight_v, a=5**0.5)

    def forward(self, inputs: Tensor) -> Tensor:
        return F.linear(inputs, self.weight_g * F.normalize(self.weight_v, dim=1))


class _Network(BaseModule):
    """Backbone and head: logits (C * B, K) of C crops, each (B, 3, H, W), in one pass per run of equal sizes."""

    def __init__(self, backbone: Any, head: DINOHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, crops: Sequence[Tensor]) -> Tensor:
        runs: list[list[Tensor]] = []
        for crop in crops:
            if runs and runs[-1][0].shape == crop.shape:
                runs[-1].append(crop)
            else:
                runs.append([crop])
        return self.head(torch.cat([self.backbone.features(torch.cat(run)) for run in runs]))


@MODELS.register_module()
class DINOPretraining(BaseModel):
    """Pre-training of a backbone without labels.

    The hook ``SelfDistillation`` sets :attr:`temperature` and moves the teacher; everything that a resumed run needs is
    in the state dict: ``student.*``, ``teacher.*`` and ``centre``.

    Args:
        backbone: Its config; a module with ``features(images)`` -> (B, width), such as ``DINOViT``.
        head: Its config.
        student_temperature: Of the student's softmax.
        centre_momentum: Of the moving average of the teacher's logits.
        data_preprocessor: Its config.
        pretrained: None, which ``init_model`` sets.
        train_cfg: Likewise.

    Attributes:
        temperature: The teacher's.

    Source: Caron et al. 2021, algorithm 1; defaults are the release's.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        head: dict[str, Any],
        student_temperature: float = 0.1,
        centre_momentum: float = 0.9,
        data_preprocessor: dict[str, Any] | None = None,
        pretrained: None = None,
        train_cfg: None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.student = _Network(MODELS.build(backbone), MODELS.build(head))
        self.teacher = deepcopy(self.student).requires_grad_(False)
        self.student_temperature, self.centre_momentum = student_temperature, centre_momentum
        self.temperature = 0.04
        self.centre: Tensor
        self.register_buffer("centre", torch.zeros(self.student.head.out_channels))

    @property
    def backbone(self) -> nn.Module:
        """What ``--compile`` compiles: the student with its head."""
        return self.student

    def init_weights(self) -> None:
        """Both networks start from the same weights."""
        super().init_weights()
        self.teacher.load_state_dict(self.student.state_dict())

    def train(self, mode: bool = True) -> DINOPretraining:
        """Switch the student; the teacher drops no paths."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        """The loss of crops, or the teacher's features of images.

        Args:
            inputs: With ``"loss"`` C crops, each (B, 3, H, W), the two global ones first and equal in size; with
                ``"tensor"`` images (B, 3, H, W).
            data_samples: Not used.
            mode: ``"loss"`` gives ``{"loss", "teacher_entropy"}``, ``"tensor"`` features (B, width).

        Raises:
            ConfigError: Another mode, or too few crops.
        """
        if mode == "tensor":
            return self.teacher.backbone.features(inputs)
        if mode != "loss":
            raise ConfigError(f"mode={mode!r}: DINO pre-training supports only 'loss' and 'tensor'")
        return self.loss(inputs)

    def loss(self, crops: Sequence[Tensor]) -> dict[str, Tensor]:
        """Loss of one batch, and how undecided the teacher is (in nats: 0 or ln K when training has collapsed).

        Args:
            crops: See :meth:`forward`.

        Raises:
            ConfigError: Fewer than two crops, or the first two differ in size.
        """
        if len(crops) < 2 or crops[0].shape != crops[1].shape:
            raise ConfigError(
                f"the first two crops must be global crops of equal size, got {[tuple(c.shape[-2:]) for c in crops]}"
            )
        views = self.student(crops).unflatten(0, (len(crops), -1))
        with torch.no_grad():
            logits = self.teacher(crops[:2])
            targets = sharpen(logits, self.centre, self.temperature)
            self._move_centre(logits)
            entropy = torch.special.entr(targets).sum(-1).mean()
        loss = distillation_loss(views, targets.unflatten(0, (2, -1)), self.student_temperature)
        return {"loss": loss, "teacher_entropy": entropy}

    def move_teacher(self, momentum: float) -> None:
        """Move the teacher towards the student, after an optimizer step; see :func:`update_average`."""
        update_average(self.teacher, self.student, momentum)

    def _move_centre(self, logits: Tensor) -> None:
        mean = logits.mean(0)
        all_reduce(mean, "mean")
        self.centre.lerp_(mean, 1 - self.centre_momentum)
