"""Segment Anything 2, through its own package: the image is encoded once, every object decoded from it."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.predictors.sam_models import SAM2_TRUNKS, looks_like, own_device, read_sam_state
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file
from rsseg.structures.keys import compare_keys
from rsseg.structures.masks import MaskCrop, crop_mask

__all__ = ["SAM2_CONFIGS", "SAM2Predictor", "square_mask_input"]

_log = logging.getLogger("rsseg")

SAM2_CONFIGS: dict[str, str] = {
    f"{version}_{trunk}": f"configs/{version}/{version}_{trunk}.yaml"
    for version in ("sam2.1", "sam2")
    for trunk in SAM2_TRUNKS.values()
}
"""Model name -> config inside the package sam2."""

_MASK_PROMPT = 1000.0
"""Logit inside a mask prompt, and minus that outside.  Source: SAMRS release, section 1.10 of its study (for SAM)."""
_STABILITY_OFFSET = 1.0


@MODELS.register_module()
class SAM2Predictor:
    """Masks from Segment Anything 2, prompted with a point, a box, a mask or several of these.

    With ``box_batch=1`` masks are those of ``SAM2ImagePredictor.predict`` called object by object.

    Args:
        config: A name such as ``sam2.1_hiera_l`` (or ``_b+``, ``_s``, ``_t``; ``sam2_...`` for the first release), or
            a ``.yaml`` file as the package's ``build_sam2`` takes it.
        checkpoint: Weights of that model (``sam2.1_hiera_large.pt`` ...); read with ``weights_only=True``.
        random_seed: Without a checkpoint: seed for random weights, for trying out a pipeline only.
        box_batch: Objects decoded together; above 1 is not exact.
        dynamic_multimask: Let the model choose among its three masks where the single one is unstable, as the
            package does by default; off as in SAMRS, which takes the single mask.
        device: ``cpu``, ``cuda:1`` ...; by default this process's own GPU where there are any.

    Raises:
        ImportError: The package sam2 is not installed.
        FileNotFoundError: There is no such checkpoint.
        UserError: Neither checkpoint nor seed is given, the config is unknown, or the weights do not fit.

    Source: Ravi et al. 2024, SAM 2: Segment Anything in Images and Videos.
    """

    needs_gt_masks = False
    reads_points = True

    def __init__(
        self,
        config: str = "sam2.1_hiera_l",
        checkpoint: str | None = None,
        random_seed: int | None = None,
        box_batch: int = 1,
        dynamic_multimask: bool = False,
        device: str | None = None,
    ) -> None:
        if config not in SAM2_CONFIGS and not config.endswith(".yaml"):
            raise ConfigError(
                f"unknown SAM 2 model {config!r}; expected one of: {', '.join(SAM2_CONFIGS)}, or give a .yaml file"
            )
        if box_batch < 1:
            raise ConfigError(f"box_batch must be at least 1, not {box_batch}")
        if checkpoint is None and random_seed is None:
            raise ConfigError(
                "SAM2Predictor needs weights: --cfg-options predictors.sam2.checkpoint=FILE "
                "(for example sam2.1_hiera_large.pt from the SAM 2 repository)"
            )
        self.box_batch = box_batch
        self._about: dict[str, Any] = {
            "name": "SAM2Predictor",
            "config": config,
            "dynamic_multimask": dynamic_multimask,
        }
        device = device or own_device()
        if checkpoint is not None:
            path = local_file(checkpoint)
            state = read_sam_state(path, "predictors.sam2.checkpoint")
            self.predictor = _build(config, dynamic_multimask, device)
            _load(self.predictor.model, state, path, config)
            self._about |= {"weights": path.name, "sha256": sha256_of(path)}
        elif random_seed is not None:
            _log.warning("SAM 2 RUNS WITH RANDOM WEIGHTS (seed %d): its masks are not usable.", random_seed)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(random_seed)
                self.predictor = _build(config, dynamic_multimask, device)
            self._about |= {"weights": "random weights", "random_seed": random_seed}

    @property
    def exact(self) -> bool:
        """Whether objects are decoded one by one, as by the package's own predictor."""
        return self.box_batch == 1

    def exact_twin(self) -> SAM2Predictor:
        """This model decoding objects one by one; it shares the weights."""
        twin = copy.copy(self)
        twin.box_batch = 1
        return twin

    def describe(self) -> dict[str, Any]:
        """Settings and sha256 of the weights, for the manifest."""
        return {**self._about, "box_batch": self.box_batch}

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in ``image`` (H, W, 3) uint8 RGB of any size.

        Raises:
            ConfigError: There are no prompts that SAM 2 understands.
        """
        if not prompts.count:
            return Prediction([], np.zeros(0), np.zeros(0))
        return self.decode(self.encode([image])[0], prompts)

    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """A ``SAM2ImagePredictor`` that holds the image, for each image (H, W, 3) uint8 RGB; they share the model."""
        encoded = []
        for image in images:
            holder = copy.copy(self.predictor)
            with _root_logger_untouched():
                holder.set_image(np.ascontiguousarray(image))
            encoded.append((holder, (int(image.shape[0]), int(image.shape[1]))))
        return encoded

    def decode(self, encoded: Any, prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in an image that went through :meth:`encode`.

        Raises:
            ConfigError: There are no prompts that SAM 2 understands.
        """
        if prompts.points is None and prompts.boxes is None and not prompts.has_masks:
            raise ConfigError("SAM2Predictor needs points, boxes or masks; choose a prompt such as 'hbox' or 'cp+hbox'")
        holder, size = encoded
        # The package repeats the image for several objects only where there are points or boxes.
        step = self.box_batch if prompts.points is not None or prompts.boxes is not None else 1
        masks: list[MaskCrop] = []
        scores, stability = np.zeros(prompts.count), np.zeros(prompts.count)
        for start in range(0, prompts.count, step):
            rows = range(start, min(start + step, prompts.count))
            found, iou, _ = holder.predict(
                **_arguments(prompts, rows, size, holder.model), multimask_output=False, return_logits=True
            )
            scores[rows.start : rows.stop] = iou.reshape(len(rows))
            for row, logits in zip(rows, found.reshape(len(rows), *size), strict=True):
                masks.append(crop_mask(logits > holder.mask_threshold))
                stability[row] = _stability(logits, holder.mask_threshold)
        return Prediction(masks, scores, stability)


def _build(config: str, dynamic_multimask: bool, device: str) -> Any:
    """The package's image predictor around a model with fresh weights."""
    try:
        from sam2.build_sam import build_sam2
        from sam2.sam2_image_predictor import SAM2ImagePredictor
    except ImportError as error:
        raise MissingPackageError(
            f'SAM2Predictor needs the package sam2 ({error}): pip install --no-build-isolation "rsseg[sam2]"'
        ) from error
    file = SAM2_CONFIGS.get(config, config)
    return SAM2ImagePredictor(build_sam2(file, None, device=device, apply_postprocessing=dynamic_multimask))


def _load(model: torch.nn.Module, state: dict[str, torch.Tensor], path: Path, config: str) -> None:
    problem = compare_keys(state, model.state_dict())
    if problem:
        raise DataError(f"{path}: these weights do not fit SAM 2 {config!r}; {looks_like(state)} ({problem})")
    model.load_state_dict(state)
    _log.info("%s: %d tensors loaded", path, len(state))


def _arguments(prompts: Prompts, rows: range, size: tuple[int, int], model: Any) -> dict[str, Any]:
    """Arguments of ``SAM2ImagePredictor.predict`` for some objects: (B, P, 2), (B, P), (B, 4), (B, 1, 256, 256)."""
    some = slice(rows.start, rows.stop)
    arguments: dict[str, Any] = {}
    if prompts.points is not None and prompts.point_labels is not None:
        arguments |= {"point_coords": prompts.points[some], "point_labels": prompts.point_labels[some]}
    if prompts.boxes is not None:
        arguments["box"] = prompts.boxes[some]
    if prompts.has_masks:
        low_wh = tuple(model.sam_prompt_encoder.mask_input_size)[::-1]
        drawn = [square_mask_input(prompts.draw_mask(i, size), int(model.image_size), low_wh) for i in rows]
        arguments["mask_input"] = np.stack(drawn)[:, None]
    return arguments


def square_mask_input(mask: NDArray[np.bool_], side: int, low_wh: tuple[int, int]) -> NDArray[np.float32]:
    """SAMRS's recipe for mask prompts (H, W) in the frame of SAM 2, which squeezes an image to a square."""
    logits = np.where(mask, np.float32(_MASK_PROMPT), np.float32(-_MASK_PROMPT))
    square = cv2.resize(logits, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.resize(square, low_wh, interpolation=cv2.INTER_LINEAR), np.float32)


def _stability(logits: NDArray[np.float32], threshold: float) -> float:
    """Overlap of the masks at threshold + 1 and - 1, 0 where both are empty."""
    inner = np.count_nonzero(logits > threshold + _STABILITY_OFFSET)
    outer = np.count_nonzero(logits > threshold - _STABILITY_OFFSET)
    return inner / outer if outer else 0.0


@contextmanager
def _root_logger_untouched() -> Iterator[None]:
    """The package logs through ``logging.info``, which gives a root logger without handlers one that prints."""
    quiet = logging.NullHandler()
    logging.root.addHandler(quiet)
    try:
        yield
    finally:
        logging.root.removeHandler(quiet)
