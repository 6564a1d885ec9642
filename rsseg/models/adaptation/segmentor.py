"""The network that is adapted: a plain segmentor whose training goes through a method of domain adaptation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.model import MMDistributedDataParallel
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from mmengine.structures import PixelData
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from rsseg.errors import ConfigError
from rsseg.models.adaptation.method import AdaptationMethod, DomainBatch
from rsseg.models.adaptation.transnorm import require_both_domains
from rsseg.models.segmentor import Segmentor

__all__ = ["TEACHER_PREDICTION", "AdaptationSegmentor", "SteppedDataParallel"]

TEACHER_PREDICTION = "teacher_sem_seg"
"""Field of a predicted sample: what the teacher says, as ``pred_sem_seg`` is what the student says."""
_NETWORKS = ("student", "teacher")


@MODELS.register_module()
class AdaptationSegmentor(Segmentor):
    """A :class:`Segmentor` (the student) that learns from a labelled source and an unlabelled target.

    It only routes: samples whose ``metainfo['dataset_name']`` is ``target`` are the target batch, of which no label is
    read; the others, named ``source``, are the source batch; ``adaptation`` turns both into losses.  The student's
    keys in a checkpoint are those of a plain ``Segmentor``; all else begins with ``adaptation.``.  Where the method
    has a teacher, both are predicted: ``pred_sem_seg`` of the student, ``teacher_sem_seg`` of the teacher.

    Args:
        adaptation: Config of the method, see :class:`AdaptationMethod`.
        source: Dataset name of the source's samples.
        target: Dataset name of the target's samples.
        predict_with: ``student`` or ``teacher``: whose prediction is ``pred_sem_seg``.
        **kwargs: As for mmseg's ``EncoderDecoder``.

    Raises:
        ConfigError: A sample is of neither set, a process has none of one of them, or the method has no teacher to
            predict with.
    """

    def __init__(
        self,
        adaptation: dict[str, Any],
        source: str = "source",
        target: str = "target",
        predict_with: str = "student",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source, self.target, self.step = source, target, 0
        method: AdaptationMethod = MODELS.build(adaptation)
        method.setup(self)
        require_both_domains(method, self)
        self.adaptation = method
        if predict_with not in _NETWORKS[: 1 + (method.teacher is not None)]:
            raise ConfigError(
                f"predict_with={predict_with!r}: {type(method).__name__} predicts with: "
                f"{', '.join(_NETWORKS[: 1 + (method.teacher is not None)])}"
            )
        self.predict_with, self._network = predict_with, predict_with
        self._stepped = False

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One iteration: as in mmengine, once for each of the method's steps."""
        return self.train_steps(self, self._run_forward, data, optim_wrapper)

    def train_steps(
        self, outer: nn.Module, run: Callable[..., Any], data: Any, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """One iteration, whose forward passes go through ``run(data, mode='loss')`` of ``outer``, a model wrapper."""
        log: dict[str, Tensor] = {}
        if self.adaptation.steps > 1 and optim_wrapper._accumulative_counts > 1:
            raise ConfigError(
                f"{type(self.adaptation).__name__} makes {self.adaptation.steps} optimizer steps in an iteration and "
                "cannot accumulate gradients; set optim_wrapper.accumulative_counts=1"
            )
        self._stepped = True
        try:
            for step in range(self.adaptation.steps):
                self.step = step
                with optim_wrapper.optim_context(outer):
                    if step == 0:
                        data = self.data_preprocessor(data, training=True)
                    losses = run(data, mode="loss")
                loss, values = self.parse_losses(losses)
                with _without_clipping(optim_wrapper, step in self.adaptation.unclipped):
                    optim_wrapper.update_params(loss)
                total = log.get("loss", 0.0) + values["loss"]
                log |= {**values, "loss": total}
        finally:
            self.step, self._stepped = 0, False
        return log

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Losses and log values of the method for a batch of both domains; in eval mode the plain supervised losses.

        Args:
            inputs: (N, 3, H, W) normalised images.
            data_samples: One for each image, with ``dataset_name``; ``gt_sem_seg`` (1, H, W) of the source's alone.
        """
        method = self.adaptation
        if not self.training:
            return super().loss(inputs, data_samples)
        if method.steps > 1 and not self._stepped:
            raise ConfigError(
                f"{type(method).__name__} makes {method.steps} optimizer steps in an iteration, which this model "
                "wrapper does not; add to the config: model_wrapper_cfg=dict(type='mmseg.SteppedDataParallel')"
            )
        source, target = self._split(inputs, data_samples)
        if self.step == 0:
            method.begin(self)
        method.draw_anew(self.step)
        losses = method.losses(self, source, target, self.step)
        if self.step == method.steps - 1:
            method.iteration_count += 1
        return losses

    def supervised_losses(self, batch: DomainBatch) -> dict[str, Tensor]:
        """The losses that the config gives the heads, for a labelled batch."""
        return super().loss(batch.inputs, list(batch.samples))

    def predict(self, inputs: Tensor, data_samples: list[SegDataSample] | None = None) -> list[SegDataSample]:
        """Predictions for images (N, 3, H, W), with :data:`TEACHER_PREDICTION` where the method has a teacher."""
        taught: list[Any] = []
        if self.adaptation.teacher is not None and data_samples is not None:
            with self._as("teacher"):
                taught = [sample.pred_sem_seg.data for sample in super().predict(inputs, data_samples)]
        out = super().predict(inputs, data_samples)
        for sample, labels in zip(out, taught, strict=False):
            sample.set_data({TEACHER_PREDICTION: PixelData(data=labels)})
        return out

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict]) -> Tensor:
        """Logits (N, C, H, W) of the network that predicts."""
        if self._network == "student":
            return super().encode_decode(inputs, batch_img_metas)
        logits = self.network_logits("teacher", inputs)
        return resize(logits, size=inputs.shape[2:], mode="bilinear", align_corners=self.align_corners)

    def network_logits(self, network: str, inputs: Tensor) -> Tensor:
        """Logits (N, C, h, w) as the head gives them, of the student or the teacher."""
        module: Any = self if network == "student" else self.adaptation.teacher
        parts = dict(module.named_children())
        features = parts["backbone"](inputs)
        if "neck" in parts:
            features = parts["neck"](features)
        return parts["decode_head"](features)

    @torch.no_grad()
    def network_labels(self, network: str, inputs: Tensor) -> Tensor:
        """Class ids (N, H, W) of normalised images (N, 3, H, W), by the ``student`` or the ``teacher``."""
        logits = self.network_logits(network, inputs)
        return resize(logits, size=inputs.shape[2:], mode="bilinear", align_corners=self.align_corners).argmax(1)

    @contextmanager
    def _as(self, network: str) -> Iterator[None]:
        before, self._network = self._network, network
        try:
            yield
        finally:
            self._network = before

    def _split(self, inputs: Tensor, samples: list[SegDataSample]) -> tuple[DomainBatch, DomainBatch]:
        """Source and target part of a batch; the target's labels, if any, are not looked at."""
        rows: dict[str, list[int]] = {self.source: [], self.target: []}
        for i, sample in enumerate(samples):
            name = sample.metainfo.get("dataset_name", "")
            if name not in rows:
                raise ConfigError(
                    f"a sample is of dataset {name!r}, but the model adapts {self.source!r} to {self.target!r}; give "
                    "the training sets these names (name=...), or set model.source and model.target"
                )
            rows[name].append(i)
        missing = [name for name, own in rows.items() if not own]
        if missing and (self.adaptation.needs_target or missing != [self.target]):
            raise ConfigError(
                f"a batch has no sample of {missing[0]!r} on this process; domain adaptation requires samples of both "
                "sets in each batch: set train_dataloader.sampler.per_process=True, or enlarge the batch"
            )
        own, other = ([samples[i] for i in part] for part in rows.values())
        labels = torch.stack([sample.gt_sem_seg.data[0] for sample in own]).long() if own else None
        return DomainBatch(inputs[rows[self.source]], own, labels), DomainBatch(inputs[rows[self.target]], other)


@contextmanager
def _without_clipping(optim_wrapper: Any, active: bool) -> Iterator[None]:
    """Switch ``clip_grad`` off for a step."""
    wrappers = list(getattr(optim_wrapper, "optim_wrappers", {"": optim_wrapper}).values()) if active else []
    before = [wrapper.clip_grad_kwargs for wrapper in wrappers]
    for wrapper in wrappers:
        wrapper.clip_grad_kwargs = None
    try:
        yield
    finally:
        for wrapper, given in zip(wrappers, before, strict=True):
            wrapper.clip_grad_kwargs = given


@MODEL_WRAPPERS.register_module()
class SteppedDataParallel(MMDistributedDataParallel):
    """mmengine's DDP for methods that make several optimizer steps in an iteration.

    Args:
        module: The segmentor.
        broadcast_buffers: As for torch's; off, as where mmengine wraps a model by itself.
        **kwargs: As for mmengine's.
    """

    def __init__(self, module: nn.Module, broadcast_buffers: bool = False, **kwargs: Any) -> None:
        super().__init__(module, broadcast_buffers=broadcast_buffers, **kwargs)

    def train_step(self, data: Any, optim_wrapper: OptimWrapper) -> dict[str, Tensor]:
        """One iteration; every forward pass goes through DDP."""
        return self.module.train_steps(self, self._run_forward, data, optim_wrapper)
