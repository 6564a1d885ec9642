"""What a method of unsupervised domain adaptation is: losses of a labelled source batch and a target batch.

A method is a registered subclass of :class:`AdaptationMethod` in a module of its own; its arithmetic is pure functions.
It needs one function, :meth:`AdaptationMethod.losses`, and runs then under the stock runner, DDP, autocast and resume::

    @MODELS.register_module()
    class MyMethod(AdaptationMethod):
        discriminators = ("discriminator",)      # attributes that train with optimizers of their own

        def __init__(self, num_classes: int, weight: float = 0.001) -> None:
            super().__init__()
            self.discriminator = OutputDiscriminator(num_classes)
            self.weight = weight

        def losses(self, student, source, target, step):
            logits_s = upsample(student, student.decode_head(student.extract_feat(source.inputs)), source.size)
            logits_t = upsample(student, student.decode_head(student.extract_feat(target.inputs)), target.size)
            with frozen(self.discriminator):     # its own gradient stays out of the student's loss
                fooled = self.discriminator(logits_t.softmax(1))
            return {
                "loss_source": set_loss(logits_s, source.labels),
                "loss_adversarial": self.weight * domain_loss(fooled, 0),
                "loss_discriminator": ... of self.discriminator(logits_s.detach().softmax(1)) and of the target's
            }

Rules that keep a method exact:

* All losses of an iteration are one dict and get **one backward**: values whose key contains ``loss`` are added up,
  the others (scalars) are only logged.  Gradients stay apart by ``detach`` (the student's part of a discriminator's
  loss) and :func:`frozen` (the discriminator's part of the student's loss).  A method that must step its optimizer
  several times an iteration sets :attr:`AdaptationMethod.steps`; ``losses`` is then called once for each step.
* What a resumed run needs is in the state dict: registered modules and buffers.  Random numbers come from
  ``self.generator`` (torch) or ``self.rng`` (NumPy), which follow from (seed, iteration, step, process), or from
  torch's own, which ``SeedEachIter`` seeds.  ``self.iteration`` counts the iterations that are done.
* The target batch has no labels; :class:`DomainBatch` gives none.
* An empty set of pixels gives a loss of 0, never NaN, and its size is logged.
* The student is an argument, never an attribute: its keys in the checkpoint are those of a plain ``Segmentor``, the
  method's own begin with ``adaptation.``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.model import BaseModule
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from rsseg.errors import ConfigError

__all__ = ["AdaptationMethod", "DomainBatch", "SourceOnly", "Student", "copy_network", "frozen", "upsample"]

_DRAWS = 3
"""Sets the generator's seeds apart from those of the sampler (0, 1) and of ``SeedEachIter`` (2)."""
_NOT_COPIED = ("adaptation", "data_preprocessor")


@dataclass(frozen=True)
class DomainBatch:
    """One domain's part of a batch.

    Attributes:
        inputs: (N, 3, H, W) float32, normalised.
        samples: One for each image; read their ``metainfo`` only.
        labels: (N, H, W) int64 class ids, 255 where ignored; None of the target.
    """

    inputs: Tensor
    samples: Sequence[SegDataSample]
    labels: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) of the images."""
        return self.inputs.shape[2], self.inputs.shape[3]

    def __len__(self) -> int:
        return len(self.inputs)


class Student(Protocol):
    """What a method sees of the network that is adapted: an ``AdaptationSegmentor``, in train mode.

    Attributes:
        backbone: Its encoder.
        decode_head: Its head; called with the features it gives logits (N, C, h, w).
        align_corners: How logits are resized.
    """

    backbone: Any
    decode_head: Any
    align_corners: bool

    def extract_feat(self, inputs: Tensor) -> Any:
        """Features of images (N, 3, H, W), of all stages."""

    def network_logits(self, network: str, inputs: Tensor) -> Tensor:
        """Logits (N, C, h, w) of the ``student`` or the ``teacher``."""

    def supervised_losses(self, batch: DomainBatch) -> dict[str, Tensor]:
        """The losses that the config gives the heads."""


@contextmanager
def frozen(*modules: nn.Module) -> Iterator[None]:
    """Let what is computed inside give no gradient to the parameters of some modules, but to their inputs."""
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


def upsample(student: Any, logits: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (N, C, h, w) of a head at (N, C, *size), bilinear, in float32 also under autocast."""
    return resize(logits.float(), size=tuple(size), mode="bilinear", align_corners=student.align_corners)


def copy_network(student: Any, *names: str) -> nn.ModuleDict:
    """A copy of a segmentor's parts (``backbone``, ``decode_head`` ...) that is never trained.

    Args:
        student: The segmentor.
        *names: Parts to copy; all but the method and the preprocessor by default.
    """
    parts = {
        name: deepcopy(part)
        for name, part in student.named_children()
        if (name in names if names else name not in _NOT_COPIED)
    }
    return nn.ModuleDict(parts).requires_grad_(False)


class AdaptationMethod(BaseModule):
    """Base class of the methods; see the module's text for how to write one.

    Attributes:
        steps: Optimizer steps of an iteration.
        unclipped: Steps whose gradients are not clipped, whatever ``clip_grad`` says.
        needs_target: Whether a batch without target images is an error.
        discriminators: Attributes whose parameters get optimizers of their own, one each; see ``AdaptationOptimizers``.
        teacher: The second network, with the names of the student's parts (``backbone``, ``decode_head`` ...), where a
            method has one.
        seed: Of the run.
        classes: Names of the classes for the log, by id; empty where they are not known.
        generator: Torch's, for random numbers on the CPU; new at every step.
        rng: NumPy's, likewise.
        pictures: What the last iteration made, for :class:`rsseg.engine.AdaptationPictures`: ``pseudo_label`` (N, H, W)
            of the target batch and whatever else (N, H, W) a method puts in; only where :attr:`keep_pictures` is set.
    """

    steps: int = 1
    unclipped: frozenset[int] = frozenset()
    needs_target: bool = True
    discriminators: tuple[str, ...] = ()

    def __init__(self) -> None:
        super().__init__()
        self.iteration_count: Tensor
        self.register_buffer("iteration_count", torch.zeros((), dtype=torch.int64))
        self.teacher: nn.ModuleDict | None
        self.register_module("teacher", None)
        self.seed = 0
        self.classes: tuple[str, ...] = ()
        self.generator, self.rng = torch.Generator(), np.random.default_rng(0)
        self.keep_pictures = False
        self.pictures: dict[str, Tensor] = {}

    @property
    def iteration(self) -> int:
        """Iterations that are done: 0 during the first."""
        return int(self.iteration_count)

    @iteration.setter
    def iteration(self, value: int) -> None:
        """Count on from another number."""
        self.iteration_count.fill_(value)

    def restart(self) -> None:
        """Begin at iteration 0, as where a run starts from the weights of another one."""
        self.iteration = 0

    def setup(self, student: Student) -> None:
        """Make what has the student's shape, such as ``self.teacher = copy_network(student)``; called once."""

    def begin(self, student: Student) -> None:
        """What happens without gradients at the start of each iteration, such as moving the teacher.

        In the first iteration (``self.iteration == 0``) the student has its initial weights.
        """

    @abstractmethod
    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """Losses (scalars whose key contains ``loss``) and values for the log of one step; see the module's text.

        Args:
            student: The network, in train mode: ``extract_feat``, ``decode_head``, ``auxiliary_head``.
            source: Images with labels.
            target: Images without.
            step: Number of the step within the iteration, 0 .. :attr:`steps` - 1.
        """

    def named_values(self, prefix: str, values: Tensor) -> dict[str, Tensor]:
        """Values (C,) of the classes for the log: ``<prefix>/<class>``."""
        names = self.classes if len(self.classes) == len(values) else [str(i) for i in range(len(values))]
        return {f"{prefix}/{name}": value for name, value in zip(names, values.detach().float(), strict=True)}

    def draw_anew(self, step: int) -> None:
        """Begin the random numbers of a step."""
        seeds = np.random.SeedSequence([self.seed, _DRAWS, self.iteration, step, get_rank()])
        first, second = (int(seed) for seed in seeds.generate_state(2))
        self.generator, self.rng = torch.Generator().manual_seed(first), np.random.default_rng(second)


@MODELS.register_module()
class SourceOnly(AdaptationMethod):
    """No adaptation: the student's own losses on the source; target images are not looked at."""

    needs_target = False

    def losses(self, student: Student, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """The losses that the config gives the heads."""
        if not len(source):
            raise ConfigError("a batch has no source image; add a source dataset")
        return student.supervised_losses(source)
