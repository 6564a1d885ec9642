"""SAM, SAM 2 and SAM 3 through transformers: the image is encoded once, every object decoded from it."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mmseg.registry import MODELS
from numpy.typing import NDArray

from rsseg.conversion.predictors.base import Prediction
from rsseg.conversion.predictors.sam import mask_input
from rsseg.conversion.predictors.sam2 import square_mask_input
from rsseg.conversion.predictors.sam_keys import sam_folder_of
from rsseg.conversion.predictors.sam_models import own_device
from rsseg.conversion.predictors.upsample import Upsampled, Upsampler
from rsseg.conversion.prompts import Prompts
from rsseg.errors import ConfigError, DataError
from rsseg.io.hub_folder import model_folder
from rsseg.io.pretrained import describe_folder, load_pretrained, load_processor, model_type, transformers_library

__all__ = ["FAMILIES", "TransformersPredictor"]

_BOX_BATCH = 64
"""Objects decoded together on a GPU."""
FAMILIES: dict[str, tuple[str, str]] = {
    "sam": ("SamModel", "SamProcessor"),
    "sam2": ("Sam2Model", "Sam2Processor"),
    "sam2_video": ("Sam2Model", "Sam2Processor"),
    "sam3_tracker": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    "sam3_tracker_video": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
    "sam3_video": ("Sam3TrackerModel", "Sam3TrackerProcessor"),
}
"""What ``config.json`` says the model is -> its class for single images, and that of its processor."""


class _Encoded(NamedTuple):
    """What is kept of an image: the model's own embeddings, (H, W) inside its frame, and (H, W) of the image."""

    embeddings: Any
    input_size: tuple[int, int]
    size: tuple[int, int]


@MODELS.register_module()
class TransformersPredictor:
    """Masks from SAM, SAM 2, SAM 2.1 or SAM 3's tracker, prompted with a point, a box, a mask or several of these.

    With ``box_batch=1`` masks have the same bits as those of the library: its processor, its model with
    ``multimask_output=False`` and its ``post_process_masks``, called object by object.

    Args:
        checkpoint: Folder of a model that transformers has saved, or ``hf://OWNER/NAME[@REVISION]``, with weights as
            safetensors; or the ``.pth`` file of segment_anything's ViT-H, L or B, whose weights are renamed.
        box_batch: Objects decoded together; above 1 is not exact.  By default 1 on a CPU, where more are no faster,
            and 64 on a GPU.
        dynamic_multimask: SAM 2 and 3: choose among three masks where the single one is unstable, as the library does;
            ``False`` takes the single mask, as :class:`SAM2Predictor` does by default.
        backend: What resizes images for SAM: ``torchvision``, the library's default, or ``pil``, which gives the pixels
            of segment_anything's own predictor.
        device: ``cpu``, ``cuda:1`` ...; by default this process's own GPU where there are any.

    Raises:
        MissingPackageError: transformers is not installed.
        FileNotFoundError: There is no such folder or file.
        UserError: No checkpoint is given, it is no such model, or its weights do not fit.

    Source: Kirillov et al. 2023, Ravi et al. 2024, and their ports in transformers.
    """

    needs_gt_masks = False
    reads_points = True

    def __init__(
        self,
        checkpoint: str | None = None,
        box_batch: int | None = None,
        dynamic_multimask: bool = True,
        backend: str = "torchvision",
        device: str | None = None,
    ) -> None:
        if checkpoint is None:
            raise ConfigError(
                "TransformersPredictor needs weights: --cfg-options predictors.NAME.checkpoint=FOLDER, or "
                "hf://OWNER/NAME (for example hf://facebook/sam2.1-hiera-large)"
            )
        if backend not in ("torchvision", "pil"):
            raise ConfigError(f"backend must be 'torchvision' or 'pil', not {backend!r}")
        self.device = torch.device(device or own_device())
        self.box_batch = box_batch if box_batch is not None else 1 if self.device.type == "cpu" else _BOX_BATCH
        if self.box_batch < 1:
            raise ConfigError(f"box_batch must be at least 1, not {self.box_batch}")
        self.backend, self.dynamic_multimask = backend, dynamic_multimask
        self._load(checkpoint)
        self.model.to(self.device)

    def _load(self, checkpoint: str) -> None:
        who = type(self).__name__
        library = transformers_library(who)
        if Path(checkpoint).suffix == ".pth":
            self.family = "sam"
            self.model, processor, files = sam_folder_of(Path(checkpoint).expanduser(), library)
        else:
            folder = model_folder(checkpoint)
            self.family = model_type(folder)
            if self.family not in FAMILIES:
                raise DataError(
                    f"{checkpoint}: is a model of type {self.family!r}; expected one of: {', '.join(FAMILIES)}"
                )
            kinds = FAMILIES[self.family]
            self.model, processor = load_pretrained(kinds[0], folder, who), load_processor(kinds[1], folder, who)
            files = describe_folder(folder)
        self.pixels = processor.image_processor
        if self.backend == "pil":
            if self.family != "sam":
                raise ConfigError(f"backend='pil' is for SAM; {self.family} squeezes images by torchvision")
            self.pixels = library.SamImageProcessorPil(**_settings(self.pixels))
        if self.family != "sam":
            self.model.mask_decoder.dynamic_multimask_via_stability = self.dynamic_multimask
        self._about = {"name": who, "model": self.family, "weights": str(checkpoint), "files": files,
                       "transformers": library.__version__}  # fmt: skip

    @property
    def exact(self) -> bool:
        """Whether objects are decoded one by one."""
        return self.box_batch == 1

    def exact_twin(self) -> TransformersPredictor:
        """This model decoding objects one by one; it shares the weights."""
        twin = copy.copy(self)
        twin.box_batch = 1
        return twin

    def describe(self) -> dict[str, Any]:
        """Settings, files with their sha256, and the version of transformers, for the manifest."""
        names = ("box_batch", "dynamic_multimask", "backend")
        return {**self._about, **{name: getattr(self, name) for name in names}}

    def predict(self, image: NDArray[np.uint8], prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in ``image`` (H, W, 3) uint8 RGB of any size.

        Raises:
            ConfigError: There are no prompts that the model understands.
        """
        if not prompts.count:
            return Prediction([], np.zeros(0), np.zeros(0))
        return self.decode(self.encode([image])[0], prompts)

    @torch.no_grad()
    def encode(self, images: Sequence[NDArray[np.uint8]]) -> list[Any]:
        """What the model keeps of each image (H, W, 3) uint8 RGB of any size."""
        encoded = []
        for image in images:
            inputs = self.pixels([np.ascontiguousarray(image)], input_data_format="channels_last", return_tensors="pt")
            size = int(image.shape[0]), int(image.shape[1])
            within = inputs["reshaped_input_sizes"][0] if self.family == "sam" else inputs["pixel_values"].shape[-2:]
            embeddings = self.model.get_image_embeddings(inputs["pixel_values"].to(self.device))
            encoded.append(_Encoded(embeddings, (int(within[0]), int(within[1])), size))
        return encoded

    @torch.no_grad()
    def decode(self, encoded: Any, prompts: Prompts) -> Prediction:
        """Masks of the prompted objects in an image that went through :meth:`encode`.

        Raises:
            ConfigError: There are no prompts that the model understands.
        """
        if prompts.points is None and prompts.boxes is None and not prompts.has_masks:
            raise ConfigError(
                "TransformersPredictor needs points, boxes or masks; choose a prompt such as 'hbox' or 'cp+hbox'"
            )
        masks, scores, stability = [], np.zeros(prompts.count), np.zeros(prompts.count)
        upsampler = self._upsampler(encoded)
        for rows in self._batches(prompts):
            out = self.model(
                image_embeddings=encoded.embeddings, multimask_output=False, **self._arguments(encoded, prompts, rows)
            )
            scores[rows.start : rows.stop] = out.iou_scores[0, :, 0].cpu().numpy()
            for i, row in enumerate(rows):
                found = self._find(upsampler, out.pred_masks[:, i], encoded)
                masks.append(found.mask)
                stability[row] = found.stability
        return Prediction(masks, scores, stability)

    def _batches(self, prompts: Prompts) -> Iterator[range]:
        """Objects that are decoded together; mask prompts go one by one, since the library has one for all."""
        step = 1 if prompts.has_masks else self.box_batch
        for start in range(0, prompts.count, step):
            yield range(start, min(start + step, prompts.count))

    def _arguments(self, encoded: _Encoded, prompts: Prompts, rows: range) -> dict[str, torch.Tensor]:
        """What the model is told: points (1, B, P, 2), labels (1, B, P), boxes (1, B, 4), one mask (1, 1, h, w)."""
        some = slice(rows.start, rows.stop)
        told: dict[str, torch.Tensor] = {}
        if prompts.points is not None and prompts.point_labels is not None:
            told["input_points"] = self._scaled(prompts.points[some], encoded)[None]
            told["input_labels"] = torch.as_tensor(prompts.point_labels[some])[None]
        if prompts.boxes is not None:
            corners = self._scaled(prompts.boxes[some].reshape(-1, 2, 2), encoded)
            told["input_boxes"] = corners.reshape(1, -1, 4)
        if prompts.has_masks:
            told["input_masks"] = torch.as_tensor(self._mask_input(encoded, prompts.draw_mask(rows[0], encoded.size)))
        return {name: value.to(self.device) for name, value in told.items()}

    def _scaled(self, points: NDArray[np.float64], encoded: _Encoded) -> torch.Tensor:
        """Points (..., 2) in the model's frame, rounded as by the processors: SAM's keeps float64."""
        out = torch.as_tensor(points, dtype=torch.float64 if self.family == "sam" else torch.float32).clone()
        for axis in (0, 1):  # x, y
            out[..., axis] = out[..., axis] * (encoded.input_size[1 - axis] / encoded.size[1 - axis])
        return out

    def _mask_input(self, encoded: _Encoded, drawn: NDArray[np.bool_]) -> NDArray[np.float32]:
        side, low = self._frame()
        if self.family == "sam":
            return mask_input(drawn, encoded.input_size, side, low)[None, None]
        return square_mask_input(drawn, side, low[::-1])[None, None]

    def _frame(self) -> tuple[int, tuple[int, int]]:
        """Side of the model's input, and (h, w) of its small logits."""
        settings = self.model.config.prompt_encoder_config
        grid = self.model.prompt_encoder.image_embedding_size
        return int(settings.image_size), (4 * int(grid[0]), 4 * int(grid[1]))

    def _upsampler(self, encoded: _Encoded) -> Upsampler:
        """SAM enlarges logits to its frame and then, without the padding, to the image; SAM 2 and 3 in one step."""
        side, low = self._frame()
        if self.family == "sam":
            return Upsampler(low, side, encoded.input_size, encoded.size, device=str(self.device))
        return Upsampler(low, encoded.size, encoded.size, encoded.size, device=str(self.device))

    def _find(self, upsampler: Upsampler, low: torch.Tensor, encoded: _Encoded) -> Upsampled:
        def exact() -> NDArray[np.float32]:
            sizes = [[encoded.size], [encoded.input_size]] if self.family == "sam" else [[encoded.size]]
            values = self.pixels.post_process_masks([low], *sizes, binarize=False)[0]
            return np.asarray(values[0, 0].cpu().numpy(), np.float32)

        found = upsampler.find(low[0, 0].cpu().numpy(), exact)
        assert found is not None  # only a margin makes it refuse
        return found


def _settings(pixels: Any) -> dict[str, Any]:
    names = ("size", "pad_size", "image_mean", "image_std", "mask_size", "mask_pad_size")
    found = {name: getattr(pixels, name) for name in names}
    return {name: dict(value) if hasattr(value, "keys") else value for name, value in found.items()}
