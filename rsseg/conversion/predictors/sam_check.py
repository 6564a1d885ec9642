"""Whether ``SAMPredictor`` gives the masks of segment_anything's own predictor, counted in pixels, for any weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rsseg.conversion.predictors.sam import SAMPredictor, mask_input
from rsseg.conversion.predictors.upsample import Upsampler
from rsseg.conversion.prompts import Prompts, make_prompts
from rsseg.structures.boxes import rbox_to_qbox

__all__ = ["Agreement", "check_sam", "made_up_logits"]

KINDS = ("hbox", "cp", "cp+rhbox", "rbox_m", "cp+hbox+rhbox_m")


class Agreement(NamedTuple):
    """One comparison.

    Attributes:
        size: (H, W) of the image.
        what: Kind of prompt, or what else was compared.
        masks: Masks that were compared.
        set_pixels: Pixels that are set in all of them together.
        differing: Pixels that differ.
    """

    size: tuple[int, int]
    what: str
    masks: int
    set_pixels: int
    differing: int


def check_sam(
    predictor: SAMPredictor, sizes: Sequence[tuple[int, int]], objects: int = 4, kinds: Sequence[str] = KINDS
) -> Iterator[Agreement]:
    """Compare on random images, prompt by prompt, and on logits made up for each size, as they get ready.

    Args:
        predictor: The predictor in question.
        sizes: (H, W) of the images.
        objects: Objects per image and kind.
        kinds: Kinds of prompt.
    """
    from segment_anything import SamPredictor

    rng = np.random.default_rng(0)
    for size in sizes:
        image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
        centre, sides = rng.uniform(0, min(size), (objects, 2)), rng.uniform(10, min(size) / 3, (objects, 2))
        qbox = rbox_to_qbox(np.concatenate([centre, sides, rng.uniform(-1, 1, (objects, 1))], axis=1))
        hbox = np.concatenate([centre - sides / 2, centre + sides / 2], axis=1)
        encoded = predictor.encode([image])[0]
        theirs = SamPredictor(predictor.sam)
        theirs.set_image(image)
        for kind in kinds:
            prompts = make_prompts(kind, hbox, qbox)
            ours = [mask.full(size) for mask in predictor.decode(encoded, prompts).masks]
            yield _compare(size, kind, ours, [_alone(theirs, prompts, i) for i in range(objects)])
        yield _check_logits(predictor.sam, encoded.input_size, size)


def _alone(theirs: Any, prompts: Prompts, i: int) -> NDArray[np.bool_]:
    size, frame, device = theirs.original_size, theirs.transform, theirs.device
    points = labels = boxes = masks = None
    if prompts.points is not None and prompts.point_labels is not None:
        points = frame.apply_coords_torch(torch.as_tensor(prompts.points[i : i + 1], dtype=torch.float), size)
        points, labels = points.to(device), torch.as_tensor(prompts.point_labels[i : i + 1], device=device)
    if prompts.boxes is not None:
        boxes = frame.apply_boxes_torch(torch.as_tensor(prompts.boxes[i : i + 1], dtype=torch.float), size).to(device)
    if prompts.has_masks:
        drawn = mask_input(
            prompts.draw_mask(i, size),
            theirs.input_size,
            theirs.model.image_encoder.img_size,
            theirs.model.prompt_encoder.mask_input_size,
        )
        masks = torch.as_tensor(drawn, device=device)[None, None]
    found, _, _ = theirs.predict_torch(points, labels, boxes, masks, multimask_output=False)
    return np.asarray(found[0, 0].cpu().numpy())


def made_up_logits(count: int, side: int = 256, seed: int = 0) -> Iterator[NDArray[np.float32]]:
    """Logits (side, side) float32 as trained weights give them: one object each, all else far below zero.

    One object in twenty is large, the others have semi-axes of up to a sixteenth of the side.

    Args:
        count: How many, one at a time.
        side: Height and width.
        seed: Of places, shapes and noise.
    """
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side].astype(np.float32)
    for i in range(count):
        (cx, cy), angle = rng.uniform(0, side, 2), rng.uniform(0, np.pi)
        least, most = (side / 8, side / 2) if i % 20 == 19 else (side / 256, side / 16)
        a, b = np.exp(rng.uniform(np.log(least), np.log(most), 2))
        u, v = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        logits = 8 * (1 - np.hypot(u / a, v / b)) + rng.normal(0, 0.3, (side, side))
        yield np.clip(logits, -15, 12).astype(np.float32)


def _check_logits(sam: Any, input_size: tuple[int, int], size: tuple[int, int], count: int = 50) -> Agreement:
    side, device = sam.prompt_encoder.mask_input_size[0], str(sam.device)
    upsampler = Upsampler((side, side), sam.image_encoder.img_size, input_size, size, sam.mask_threshold, device)
    ours, theirs = [], []
    for logits in made_up_logits(count, side):
        low = torch.as_tensor(logits, device=device)[None, None]
        whole = sam.postprocess_masks(low, input_size, size)[0, 0].cpu().numpy()
        found = upsampler.find(logits, lambda whole=whole: whole)  # type: ignore[misc]
        assert found is not None
        ours.append(found.mask.full(size))
        theirs.append(whole > sam.mask_threshold)
    return _compare(size, "made-up logits", ours, theirs)


def _compare(
    size: tuple[int, int], what: str, ours: list[NDArray[np.bool_]], theirs: list[NDArray[np.bool_]]
) -> Agreement:
    differing = sum(int((a != b).sum()) for a, b in zip(ours, theirs, strict=True))
    return Agreement(size, what, len(theirs), sum(int(mask.sum()) for mask in theirs), differing)
