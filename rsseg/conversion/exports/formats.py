"""What a labelled set can be exported to, tile by tile: SAMRS's pickles, colour images, YOLO polygons."""

from __future__ import annotations

import json
import os
import shutil
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path

import cv2
import numpy as np

from rsseg.conversion.exports.rings import mask_outline
from rsseg.conversion.storage import encode_labels
from rsseg.datasets.labels import Instance, LabelledSet, LabelledTile, PickledObject, pack_objects
from rsseg.errors import DataError
from rsseg.io.files import replacing
from rsseg.io.labels import read_labels
from rsseg.io.output_names import check_name
from rsseg.structures.boxes import hbox_to_qbox, rbox_to_qbox
from rsseg.structures.masks import rle_to_crop
from rsseg.structures.pictures import colourise

__all__ = ["ColourExport", "Export", "PickleExport", "YoloExport", "write_file"]


def write_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: Writing failed; the message names the file.
    """
    with replacing(path) as file:
        file.write(data)


class Export(ABC):
    """One format in the making.

    Args:
        source: What is exported.
        out: Folder to write below.

    Attributes:
        place: What to name in the summary.
        folders: Where its files go; made before the first is written.
    """

    place: str
    folders: list[Path]

    def __init__(self, source: LabelledSet, out: Path) -> None:
        self.source, self.out = source, out

    @abstractmethod
    def files(self, tile: LabelledTile) -> list[Path]:
        """The files of a tile; where all are there, the tile is finished."""

    @abstractmethod
    def write(self, tile: LabelledTile) -> Counter[str]:
        """Write the files of a tile; returns what is worth counting.  Called from several threads."""

    def lists(self, tiles: list[tuple[Path, str | None]]) -> dict[Path, str]:
        """Files about all tiles and their texts; ``tiles`` are names of image files and splits."""
        return {}


class PickleExport(Export):
    """``ins/<tile>.pkl`` as in the SAMRS release, and next to it gray/ and the lists where ``out`` is another folder.

    Rotated prompts give FAST's keys (rbox, rhbox), others those of SOTA and SIOR (bbox; float32 from DIOR).
    """

    def __init__(self, source: LabelledSet, out: Path) -> None:
        super().__init__(source, out)
        manifest = source.manifest or {}
        self.rotated = any(part.startswith("r") for part in manifest.get("prompt", "").split("+"))
        self.single = manifest.get("config", {}).get("source", {}).get("format") == "dior"
        self.complete = out.resolve() != source.root.resolve()
        self.place = f"{out / 'ins'}"
        self.folders = [out / "ins", *([out / "gray"] if self.complete else [])]

    def files(self, tile: LabelledTile) -> list[Path]:
        name = check_name(tile.name, self.source.root)
        return [folder / f"{name}{'.pkl' if folder.name == 'ins' else '.png'}" for folder in self.folders]

    def write(self, tile: LabelledTile) -> Counter[str]:
        if self.complete:
            write_file(self.files(tile)[1], self._gray(tile.labels))
        write_file(self.files(tile)[0], pack_objects([self._object(item) for item in tile.instances]))
        tight = sum(item.prompt_box is None for item in tile.instances)
        return Counter(instances=len(tile.instances)) + Counter({"tight boxes, since there are no prompt boxes": tight})

    def _gray(self, labels: Path) -> bytes:
        """A label map as PNG, the only format of the release."""
        return labels.read_bytes() if labels.suffix == ".png" else encode_labels(read_labels(labels), self.source.table)

    def _object(self, item: Instance) -> PickledObject:
        box = item.bbox if item.prompt_box is None else item.prompt_box
        hbox = np.array(box, np.float32) if self.single else np.array(box, np.float64)
        qbox = None
        if self.rotated:
            qbox = hbox_to_qbox(hbox) if item.rbox is None else rbox_to_qbox(item.rbox)
            qbox = qbox if item.qbox is None else np.array(item.qbox, np.float64).reshape(4, 2)
        return PickledObject(item.rle, self.source.table.classes[item.label], item.label, item.area, hbox, qbox)

    def lists(self, tiles: list[tuple[Path, str | None]]) -> dict[Path, str]:
        found = {}
        for split, name in (("train", "train.txt"), ("val", "valid.txt")):
            names = [path.stem for path, own in tiles if own == split]
            if self.complete and names:
                found[self.out / name] = "".join(f"{line}\n" for line in names)
        return found


class ColourExport(Export):
    """``color/<tile>.png``: 24-bit RGB by the class table's palette, white where there is no label."""

    def __init__(self, source: LabelledSet, out: Path) -> None:
        super().__init__(source, out)
        self.folders = [out / "color"]
        self.place = f"{out / 'color'}"

    def files(self, tile: LabelledTile) -> list[Path]:
        return [self.folders[0] / f"{check_name(tile.name, self.source.root)}.png"]

    def write(self, tile: LabelledTile) -> Counter[str]:
        pixels = colourise(read_labels(tile.labels), self.source.table.palette)
        done, data = cv2.imencode(".png", pixels[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])
        if not done:
            raise DataError(f"cannot encode {tile.labels} in colour")
        write_file(self.files(tile)[0], data.tobytes())
        return Counter()


class YoloExport(Export):
    """YOLO segmentation: one line ``class x1 y1 x2 y2 ...`` per instance, coordinates as shares of width and height.

    YOLO knows one ring per object: several parts are joined into one, holes are filled, empty masks left out; each
    is counted.  Images are linked (copied where links are not possible).
    """

    def __init__(self, source: LabelledSet, out: Path) -> None:
        super().__init__(source, out)
        self.root = out / "yolo"
        self.folders = [self.root / "labels", self.root / "images"]
        self.place = f"{self.root}"

    def files(self, tile: LabelledTile) -> list[Path]:
        suffix = tile.image.suffix if tile.image else ".png"
        name = check_name(tile.name, self.source.root)
        return [self.root / "labels" / f"{name}.txt", self.root / "images" / f"{name}{suffix}"]

    def write(self, tile: LabelledTile) -> Counter[str]:
        if tile.image is None:
            raise FileNotFoundError(f"no image of {tile.name} was found; name the folder of the images with --images")
        labels, image = self.files(tile)
        if not image.exists():
            _link(tile.image, image)
        counts: Counter[str] = Counter()
        lines = [_line(item, tile.size, counts) for item in tile.instances if item.area]
        counts["empty masks left out"] += len(tile.instances) - len(lines)
        write_file(labels, "".join(lines).encode())
        return counts

    def lists(self, tiles: list[tuple[Path, str | None]]) -> dict[Path, str]:
        splits: dict[str, list[str]] = {}
        for path, split in tiles:
            splits.setdefault(split or "test", []).append(f"./images/{path.name}\n")
        if "train" not in splits:
            splits = {"train": [line for lines in splits.values() for line in lines]}
        text = [f"{split}: {split}.txt" for split in ("train", "val", "test") if split in splits]
        text += ["names:", *(f"  {i}: {json.dumps(name)}" for i, name in enumerate(self.source.table.classes))]
        found = {self.root / f"{split}.txt": "".join(lines) for split, lines in splits.items()}
        return {**found, self.root / "data.yaml": "\n".join(text) + "\n"}


def _line(item: Instance, size: tuple[int, int], counts: Counter[str]) -> str:
    outline = mask_outline(rle_to_crop(item.rle))
    counts["instances"] += 1
    counts["of several parts, joined"] += outline.parts > 1
    counts["with holes, filled"] += outline.filled > 0
    shares = (outline.ring / [size[1], size[0]]).ravel().tolist()
    return f"{item.label} {' '.join(f'{value:.7g}' for value in shares)}\n"


def _link(target: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    try:
        os.symlink(target.resolve(), path)
    except OSError:
        with target.open("rb") as source, replacing(path) as file:
            shutil.copyfileobj(source, file)
