"""A tiny world for domain adaptation: two domains of 32 x 32 pixels, three classes, a network of four layers."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import torch
from mmcv.cnn import build_norm_layer
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseModule
from mmengine.registry import DATASETS
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

import rsseg.datasets
import rsseg.engine
import rsseg.evaluation
import rsseg.models  # noqa: F401
from rsseg.models.adaptation import DomainBatch, SelfTrainingMethod, TargetImages, upsample
from rsseg.models.multihead import set_loss

CLASSES, SIZE, COUNT = 3, 32, 6
CHANNELS = (8, 8, 8, 8)


@MODELS.register_module(force=True)
class TinyBackbone(BaseModule):
    """Features of 1/4, 1/8, 1/16 and 1/16, as a ResNet of output stride 16."""

    def __init__(self, channels: tuple[int, ...] = CHANNELS, norm: str = "BN") -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels[0], 4, 4)
        strides, before = (1, 2, 2, 1), (channels[0], *channels)
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(b, c, 3, s, 1), build_norm_layer(dict(type=norm), c)[1], nn.ReLU())
            for b, c, s in zip(before, channels, strides, strict=False)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Four feature maps."""
        x, out = self.stem(x), []
        for layer in self.layers:
            x = layer(x)
            out.append(x)
        return tuple(out)


INFO = {"classes": ("low", "middle", "high"), "palette": [[0, 0, 0], [0, 255, 0], [255, 0, 0]]}


class OneDomain:
    """Squares of three classes; the target is darker.

    Attributes:
        pipeline: Its only transform gives ``img`` (H, W, 3) of a whole image.
    """

    def __init__(self, name: str, count: int) -> None:
        self.name, self.count = name, count
        self.metainfo = {**INFO, "dataset_name": name}
        self.pipeline = SimpleNamespace(transforms=[lambda row: {**row, "img": self.arrays(row["place"])[0]}])

    def __len__(self) -> int:
        return self.count

    def get_data_info(self, place: int) -> dict[str, Any]:
        """Path and number."""
        return {"img_path": f"{self.name}/{place}.png", "place": place}

    def arrays(self, place: int) -> tuple[np.ndarray, np.ndarray]:
        """Image (H, W, 3) uint8 and labels (H, W)."""
        rng = np.random.default_rng([len(self.name), ord(self.name[0]), place])
        labels = np.repeat(rng.integers(0, CLASSES, (SIZE // 8, SIZE // 8)), 8, 0).repeat(8, 1)
        grey = 60 + 60 * labels + rng.normal(0, 10, labels.shape) - (40 if self.name == "target" else 0)
        return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, 2), labels


@DATASETS.register_module(force=True)
class TwoDomains(torch.utils.data.Dataset):
    """Both; samples of the target are mirrored, and have no label."""

    def __init__(
        self, count: int = COUNT, labelled_target: bool = False, domains: tuple[str, ...] = ("source", "target")
    ) -> None:
        self.datasets, self.labelled = [OneDomain(name, count) for name in domains], labelled_target
        self.set_sizes = [count] * len(domains)
        self.metainfo: dict[str, Any] = INFO

    def __len__(self) -> int:
        return sum(self.set_sizes)

    def __getitem__(self, index: int) -> dict[str, Any]:
        which, place = divmod(int(index), self.set_sizes[0])
        own = self.datasets[which]
        image, labels = own.arrays(place)
        positions = np.arange(256, 256 + SIZE * SIZE, dtype=np.int32).reshape(SIZE, SIZE)
        if own.name == "target":
            image, labels, positions = (np.ascontiguousarray(part[:, ::-1]) for part in (image, labels, positions))
        shape = (SIZE, SIZE)
        meta = dict(dataset_name=own.name, img_path=f"{own.name}/{place}.png", img_shape=shape, ori_shape=shape)
        sample = SegDataSample(metainfo={**meta, "positions": positions})
        if own.name != "target" or self.labelled:
            sample.gt_sem_seg = PixelData(data=torch.from_numpy(labels)[None])
        return {"inputs": torch.from_numpy(image).permute(2, 0, 1), "data_samples": sample}


def network(adaptation: dict[str, Any] | None, form: str | None = None, norm: str = "BN", **parts: Any) -> ConfigDict:
    """Config of a model; of a plain segmentor without ``adaptation``, with a ``DeepLabV2Head`` where it has a form."""
    head = dict(
        type="FCNHead",
        in_channels=8,
        in_index=3,
        channels=8,
        num_convs=1,
        num_classes=CLASSES,
        norm_cfg=dict(type="BN"),
        align_corners=False,
    )
    if form is not None:
        head = dict(
            type="DeepLabV2Head",
            form=form,
            num_classes=CLASSES,
            in_channels=[8, 8],
            channels=4,
            dilations=(1, 2),
            embedding=(6, 5),
        )
    model = ConfigDict(
        type="Segmentor",
        data_preprocessor=dict(type="SegDataPreProcessor", mean=[100.0] * 3, std=[50.0] * 3, size=(SIZE, SIZE)),
        backbone=dict(type="TinyBackbone", norm=norm),
        decode_head=head,
        train_cfg=dict(),
        test_cfg=dict(mode="whole"),
        **parts,
    )
    own = {} if adaptation is None else {"type": "AdaptationSegmentor", "adaptation": adaptation}
    return ConfigDict({**model, **own})


METHODS: dict[str, dict[str, Any]] = {
    "SourceOnly": dict(),
    "MMD": dict(form="mmd"),
    "AdaptSeg": dict(form="cascade", adversarial=True, channels=4),
    "FADA": dict(form="single", adversarial=True, channels=(8, 4)),
    "CLAN": dict(form="twin", adversarial=True, channels=4, plain_iterations=0),
    "TransNormAdaptation": dict(form="twin", norm="TransNorm", adversarial=True, channels=4),
    "PyCDA": dict(form="ppm", threshold=0.4),
    "CBST": dict(form="ppm", portion=0.5, start=1, interval=2),
    "IAST": dict(form="ppm", start=1, interval=2),
    "DAFormer": dict(threshold=0.4, distance_classes=("low", "high")),
    "MIC": dict(threshold=0.4, block=8),
    "ToyPortion": dict(),
    "ToyChain": dict(),
}
"""Arguments of every method; ``form``, ``norm`` and ``adversarial`` are the network's and the optimizers'."""


def adapted(method: str) -> tuple[ConfigDict, bool]:
    """Config of a model with a method, and whether it has discriminators."""
    own = dict(METHODS[method])
    form, norm, adversarial = own.pop("form", None), own.pop("norm", "BN"), own.pop("adversarial", False)
    return network(dict(type=method, **own), form, norm), adversarial


SGD = dict(optimizer=dict(type="SGD", lr=0.05, momentum=0.9), clip_grad=dict(max_norm=5))
ADAM = dict(optimizer=dict(type="Adam", lr=0.001, betas=(0.9, 0.99)), clip_grad=dict(max_norm=5))


def optimizers(adversarial: bool) -> dict[str, Any]:
    """Config of the optimizers."""
    parts = dict(network=SGD, discriminator=ADAM) if adversarial else SGD
    return dict(constructor="AdaptationOptimizers", **parts)


def run_config(
    folder: Path, model: dict[str, Any], adversarial: bool = False, iterations: int = 4, **more: Any
) -> Config:
    """A whole run."""
    loader = dict(num_workers=0, dataset=dict(type="TwoDomains"))
    settings: dict[str, Any] = dict(
        default_scope="mmseg",
        model=model,
        train_dataloader={
            **loader,
            "batch_size": 4,
            "sampler": dict(type="ProportionalSampler"),
            "batch_sampler": dict(type="ProportionalBatches"),
        },
        train_cfg=dict(type="IterBasedTrainLoop", max_iters=iterations),
        optim_wrapper=optimizers(adversarial),
        param_scheduler=[dict(type="PolyLR", power=0.9, begin=0, end=8, by_epoch=False)],
        default_hooks=dict(
            logger=dict(type="LoggerHook", interval=1, log_metric_by_epoch=False),
            checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=2),
        ),
        custom_hooks=[dict(type="SeedEachIter"), dict(type="ShareBuffers"), dict(type="AdaptationHook")],
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=7),
        work_dir=str(folder),
        log_level="WARNING",
        experiment_name=folder.name,
    )
    return Config({**settings, **more})


def two_ranks(function: Callable[..., Any], *args: Any) -> list[Any]:
    """What ``function(rank, *args)`` gives on each of two processes that are joined over gloo."""
    context = torch.multiprocessing.get_context("fork")
    answers = [context.Queue() for _ in range(2)]
    folder = tempfile.TemporaryDirectory()

    def run(rank: int) -> None:
        try:
            torch.distributed.init_process_group("gloo", f"file://{folder.name}/store", rank=rank, world_size=2)
            answers[rank].put(function(rank, *args))
            torch.distributed.destroy_process_group()
        except BaseException:
            answers[rank].put(traceback.format_exc())
            raise

    ranks = [context.Process(target=run, args=(rank,), daemon=True) for rank in range(2)]
    for process in ranks:
        process.start()
    out = [answer.get(timeout=600) for answer in answers]
    assert not any(isinstance(own, str) for own in out), "\n".join(map(str, out))
    for process in ranks:
        process.join()
    folder.cleanup()
    return out


@MODELS.register_module(force=True)
class ToyPortion(SelfTrainingMethod):
    """The threshold of every class is the mean of the largest probabilities of all images."""

    def __init__(self, start: int = 1, interval: int = 2) -> None:
        super().__init__(start, interval)

    def refresh(self, images: TargetImages) -> None:
        """Two passes."""
        sums = torch.zeros(2, dtype=torch.float64)
        for _, logits in images.own():
            sums += torch.tensor([logits.softmax(1).amax(1).double().sum(), logits[:, 0].numel()])
        images.sum(sums)
        self.thresholds.fill_(sums[0] / sums[1])
        for index, logits in images.own():
            confidence, labels = logits.softmax(1).max(1)
            images.write(index, labels.where(confidence >= self.thresholds[0], 255), logits)

    def losses(self, student: Any, source: DomainBatch, target: DomainBatch, step: int) -> dict[str, Tensor]:
        """Supervised on both once there are labels."""
        logits = upsample(student, student.network_logits("student", source.inputs), source.size)
        out = {"loss_source": set_loss(logits, cast(Tensor, source.labels))}
        if self.adapts:
            other = upsample(student, student.network_logits("student", target.inputs), target.size)
            out["loss_target"] = set_loss(other, self.pseudo_labels(target))
        return out | self.round_values()


@MODELS.register_module(force=True)
class ToyChain(ToyPortion):
    """Each image moves the threshold a tenth of the way to its own mean."""

    def refresh(self, images: TargetImages) -> None:
        """One pass in order."""

        def update(logits: list[Tensor], state: Tensor) -> tuple[list[Tensor], Tensor]:
            confidence, labels = logits[0].softmax(1).max(1)
            state = 0.9 * state + 0.1 * confidence.double().mean()
            return [labels.where(confidence >= state[labels], 255)], state

        start = torch.full((CLASSES,), 0.3, dtype=torch.float64)
        self.thresholds.copy_(images.in_order([[i] for i in range(len(images))], update, start))


class GivenImages(TargetImages):
    """Target images of which only the logits are there; labels are kept in ``labels``."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        self.given, self.labels = given, dict[int, np.ndarray]()
        super().__init__(len(given), lambda index: torch.zeros(0), None, self.labels.__setitem__)

    def logits(self, index: int) -> Tensor:
        """(1, C, H, W)."""
        return self.given[index]


def bind(model: Any, folder: Path, dataset: Any) -> None:
    """What ``AdaptationHook`` does before a training."""
    target = dataset.datasets[1]
    names = {f"target/{i}.png": str(i) for i in range(len(target))}

    def read(index: int) -> Tensor:
        return torch.from_numpy(target.arrays(index)[0]).permute(2, 0, 1)

    model.adaptation.bind(folder, names, read)
