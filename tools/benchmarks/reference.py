"""One dense tile after SAM's decoder, in two ways: as rsseg converts it, and in the loop that the SAMRS release runs.

Both start from the same made-up small logits and end with files on disk.  Ours is the code of a conversion (the
predictor's ``decode``, the transforms ``PaintLabels`` and ``PackInstances``, the PNG encoder) with a network that
returns the logits.  The loop follows the release: batches of 20, two interpolations to full size, boolean masks of the
whole tile, gray and colour painted over the whole tile, run lengths and area of the whole tile, two PNGs and a pickle.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["DenseTile"]

_SIZE, _BATCH = 1024, 20


class DenseTile:
    """The work: ``count`` objects in a tile of 1024 x 1024.

    Args:
        count: Number of objects.
        root: Where the files go.
        logits: Gives the logits (256, 256) float32 of one object.
    """

    def __init__(self, count: int, root: Path, logits: Callable[[int], np.ndarray]) -> None:
        from rsseg.datasets.detection import Detections
        from rsseg.metainfo import load_metainfo
        from rsseg.structures.boxes import hbox_to_qbox

        self.count, self.root, self.logits = count, root, logits
        self.table = load_metainfo("sota")
        rng = np.random.default_rng(0)
        corner = rng.uniform(0, _SIZE - 64, (count, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(8, 64, (count, 2))], axis=1)
        self.detections = Detections(
            root / "P1.txt",
            "P1",
            hbox=boxes,
            qbox=hbox_to_qbox(boxes),
            labels=rng.integers(0, self.table.num_classes, count),
            difficult=np.zeros(count, bool),
            oriented=np.zeros(count, bool),
            object_ids=[str(i) for i in range(count)],
        )
        self.predictor = _predictor(self.low)

    def low(self, rows: range) -> Any:
        """Small logits (B, 1, 256, 256) of some objects."""
        import torch

        return torch.as_tensor(np.stack([self.logits(i) for i in rows]))[:, None]

    def ours(self) -> tuple[np.ndarray, list[str]]:
        """Label map and run lengths as rsseg makes them."""
        from rsseg.conversion.predictors.sam import Encoded
        from rsseg.conversion.prompts import make_prompts
        from rsseg.conversion.storage import encode_labels
        from rsseg.conversion.transforms import PackInstances, PaintLabels

        prompts = make_prompts("hbox", self.detections.hbox, self.detections.qbox)
        whole = (_SIZE, _SIZE)
        results: dict[str, Any] = {
            "image": np.broadcast_to(np.uint8(0), (*whole, 3)),
            "window": np.array([0, 0, _SIZE, _SIZE]),
            "detections": self.detections,
            "prompts": prompts,
        }
        features: Any = None  # the logits are there already
        results |= self.predictor.decode(Encoded(features, whole, whole), prompts)._asdict()
        results = PackInstances()(PaintLabels()(results))
        (self.root / "gray.png").write_bytes(encode_labels(results["label_map"], self.table))
        (self.root / "part.json").write_text(json.dumps(results["instances"]))
        return results["label_map"], [row["segmentation"]["counts"] for row in results["instances"]]

    def reference(self) -> tuple[np.ndarray, list[str]]:
        """Label map and run lengths as the release makes them.  Source: sections 1.5 to 1.7 of its study."""
        from PIL import Image
        from pycocotools import mask as coco

        gray = np.full((_SIZE, _SIZE), 255, np.uint8)
        colour = np.full((_SIZE, _SIZE, 3), 255, np.uint8)
        rows = []
        for start in range(0, self.count, _BATCH):
            batch = range(start, min(start + _BATCH, self.count))
            logits = self.predictor.sam.postprocess_masks(self.low(batch), (_SIZE, _SIZE), (_SIZE, _SIZE))
            masks = (logits > 0).squeeze(1).cpu().numpy()
            for i, mask in zip(batch, masks, strict=True):
                label = int(self.detections.labels[i])
                where = np.nonzero(mask)
                gray[where] = label
                colour[where] = self.table.palette[label]
                rle = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
                rle["counts"] = rle["counts"].decode("ascii")
                row = {"mask": rle, "bbox": self.detections.hbox[i], "category": self.table.classes[label]}
                rows.append({**row, "label": label, "size": np.sum(mask)})
        Image.fromarray(gray).save(self.root / "gray_reference.png")
        Image.fromarray(colour).save(self.root / "color_reference.png")
        (self.root / "ins_reference.pkl").write_bytes(pickle.dumps(rows))
        return gray, [row["mask"]["counts"] for row in rows]


def _predictor(low: Callable[[range], Any]) -> Any:
    """The real predictor on a CPU, with a network that hands out logits."""
    import logging

    import torch

    from rsseg.conversion.predictors import SAMPredictor

    class FixedLogits(SAMPredictor):
        def _logits(self, encoded: Any, prompts: Any, rows: range) -> tuple[torch.Tensor, torch.Tensor]:
            return low(rows), torch.zeros(len(rows), 1)

    logging.getLogger("rsseg").setLevel(logging.ERROR)  # its weights are random, and not used
    tiny = {"embed_dim": 16, "depth": 1, "num_heads": 1, "global_attn_indexes": [0]}
    return FixedLogits(tiny, random_seed=0, device="cpu")
