"""Reading what ``rsseg convert`` wrote."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import Any

from rsseg.command_list import command
from rsseg.datasets.labels.records import Instance, LabelledSet, LabelledTile
from rsseg.errors import DataError
from rsseg.io.coco import read_categories, read_sections, stream_annotations
from rsseg.io.limits import check_pixels
from rsseg.io.output_names import check_name, check_path
from rsseg.io.tables import parse_json, read_csv, read_json
from rsseg.io.tile_formats import tile_suffix
from rsseg.metainfo import IGNORE, ClassTable, load_metainfo
from rsseg.structures.masks import mask_from_coco, rle_to_crop, to_rle

__all__ = ["ConvertedSet", "check_classes", "converted_classes", "manifest_source", "read_tiles", "tile_suffixes"]


class ConvertedSet(LabelledSet):
    """A converted set: ``manifest.json``, ``tiles.csv``, ``instances.json``, ``gray/`` and maybe ``images/``.

    Args:
        root: Output folder of the conversion.
        images: Folder of the source images where no tiles were cut; the one in the manifest by default.
        classes: Class table (name or path of a ``.json``); the one in the manifest by default.

    Raises:
        FileNotFoundError: The conversion has not finished.
        DataError: The set has other classes than the table, or in another order.
    """

    def __init__(self, root: Path, images: Path | None = None, classes: str | None = None) -> None:
        self.root = root
        for name in ("manifest.json", "tiles.csv", "instances.json"):
            if not (root / name).is_file():
                raise FileNotFoundError(f"{root / name} is missing; run {command('convert')} to its end first")
        self.manifest = read_json(root / "manifest.json")
        source = manifest_source(root)
        self.table = load_metainfo(classes or source["classes"])
        check_classes(root, self.table)
        self._images = images or Path(source["images"])
        self._rows = read_tiles(root)
        self._suffixes = tile_suffixes(root, self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[LabelledTile]:
        path = self.root / "instances.json"
        rows = stream_annotations(path)
        tiles = self._resaved(path) if rows is None else self._streamed(path, rows)
        for number, instances in enumerate(tiles):
            yield self.tile(number, instances)

    def _streamed(self, path: Path, rows: Iterator[dict[str, Any]]) -> Iterator[list[Instance]]:
        """Instances of each tile, of a file as the conversion wrote it: one tile in memory."""
        labels = self._labels(path, read_categories(path))
        groups = groupby(rows, key=lambda row: _image_id(row, path))
        number, group = next(groups, (0, iter(())))
        for i, tile in enumerate(self._rows, start=1):
            instances = []
            if number == i:
                instances = [self._instance(path, annotation, tile, labels) for annotation in group]
                number, group = next(groups, (0, iter(())))
            yield instances
        if number:
            raise DataError(f"{path}: image id {number} is not in the order of tiles.csv; merge the conversion again")

    def _resaved(self, path: Path) -> Iterator[list[Instance]]:
        """Instances of each tile, of a file that another program saved; all of it in memory."""
        sections = read_sections(path)
        labels = self._labels(path, sections["categories"])
        find = TileFinder(self._rows)
        tiles = {_id(image, "id", path): find(image, path) for image in sections["images"]}
        found: dict[int, list[dict[str, Any]]] = {}
        for row in sections["annotations"]:
            if _id(row, "image_id", path) not in tiles:
                wrong = f"annotation {row.get('id')} has image_id {row.get('image_id')!r}"
                raise DataError(f'{path}: {wrong}, the id of no entry in "images"')
            found.setdefault(tiles[row["image_id"]], []).append(row)
        for i, tile in enumerate(self._rows):
            yield [self._instance(path, annotation, tile, labels) for annotation in found.pop(i, ())]

    def _labels(self, path: Path, categories: list[dict[str, Any]]) -> dict[Any, int]:
        """Class id by category id; by name, since another program may number categories anew."""
        try:
            return {row["id"]: self.table.index(row["name"]) for row in categories}
        except (KeyError, TypeError) as error:
            raise DataError(f'{path}: an entry of "categories" lacks {error}') from error
        except ValueError as error:
            raise DataError(f"{path}: {error}") from error

    def files(self, number: int) -> list[Path]:
        """``tiles.csv``, ``instances.json`` and the label map."""
        return [self.root / "tiles.csv", self.root / "instances.json", self._label_path(self._rows[number]["tile"])]

    def _label_path(self, name: str) -> Path:
        return self.root / "gray" / f"{name}{self._suffixes[1]}"

    def tile(self, number: int, instances: Sequence[Instance] = ()) -> LabelledTile:
        """The tile of a row of ``tiles.csv``, numbered from 0, with some instances."""
        row = self._rows[number]
        name = row["tile"]
        places = (self.root / "images" / f"{name}{self._suffixes[0]}", self._images / row["source"])
        return LabelledTile(
            name=name,
            source=row["source"],
            image=next((path for path in places if path.is_file()), None),
            labels=self._label_path(name),
            size=(int(row["height"]), int(row["width"])),
            offset=(int(row["x"]), int(row["y"])),
            split=row["split"],
            instances=list(instances),
        )

    def categories(self) -> dict[Any, int]:
        """Class id by category id.

        Raises:
            DataError: ``instances.json`` has other classes than the table.
        """
        path = self.root / "instances.json"
        return self._labels(path, read_categories(path))

    def instance(self, row: dict[str, Any], number: int, labels: dict[Any, int]) -> Instance:
        """The instance that a row of ``instances.json`` describes.

        Args:
            row: The row.
            number: Row of its tile, from 0.
            labels: As :meth:`categories` gives them.

        Raises:
            DataError: It is damaged.
        """
        return self._instance(self.root / "instances.json", row, self._rows[number], labels)

    def _instance(self, path: Path, row: dict[str, Any], tile: dict[str, str], labels: dict[Any, int]) -> Instance:
        size = int(tile["height"]), int(tile["width"])
        where = f"{path}: annotation {row.get('id')} (tile {tile['tile']})"
        category = row.get("category_id")
        if labels and category not in labels:
            raise DataError(f"{where}: category_id {category!r} is none of {sorted(labels)}")
        try:
            rle, area, box = _mask(row, size)
        except (ValueError, TypeError) as error:
            raise DataError(f'{where}: "segmentation" {error}') from error
        at_border = area > 0 and (min(box[:2]) == 0 or box[2] == size[1] or box[3] == size[0])
        return Instance(
            label=labels[category] if labels else int(category or 0) - 1,
            rle=rle,
            area=area,
            bbox=box,
            predicted_iou=row.get("predicted_iou"),
            stability=row.get("stability"),
            mask_to_box=row.get("mask_to_box"),
            touches_border=row.get("touches_border", at_border),
            prompt_box=_tuple(row.get("prompt_box")),
            rbox=_tuple(row.get("rbox")),
            qbox=_tuple(row.get("qbox")),
            source_object_id=row.get("source_object_id"),
        )


def _id(row: Any, key: str, path: Path) -> int | str:
    """An id of an entry of a COCO file."""
    value = row.get(key) if isinstance(row, dict) else None
    if not isinstance(value, int | str):
        raise DataError(f'{path}: "{key}" must be a whole number or text, in {str(row)[:80]}')
    return value


def _image_id(row: Any, path: Path) -> int:
    value = _id(row, "image_id", path)
    if not isinstance(value, int):
        raise DataError(f"{path}: image id {value!r} is not in the order of tiles.csv; merge the conversion again")
    return value


def _mask(row: dict[str, Any], size: tuple[int, int]) -> tuple[dict[str, Any], int, tuple[int, int, int, int]]:
    """Compressed RLE, area and tight box x1 y1 x2 y2 of an annotation's mask, however it is stored."""
    shape, box = row.get("segmentation"), row.get("bbox")
    if isinstance(shape, dict) and isinstance(shape.get("counts"), str) and shape.get("size") == list(size):
        if "area" in row and box is not None:  # as the conversion wrote it; another program may make floats of them
            x, y, width, height = (round(value) for value in box)
            return shape, round(row["area"]), (x, y, x + width, y + height)
        mask = rle_to_crop(shape)
        return shape, mask.area, mask.bbox
    mask = mask_from_coco(shape, size)
    return to_rle(mask, size), mask.area, mask.bbox


def manifest_source(root: Path) -> dict[str, Any]:
    """What the manifest of a converted set says of its source: ``images``, ``annotations``, ``classes`` ...

    Raises:
        FileNotFoundError: There is no manifest.
        DataError: It is damaged.
    """
    path = root / "manifest.json"
    try:
        source = dict(read_json(path)["config"]["source"])
        Path(source["images"])
        str(source["classes"])
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: config.source with 'images' and 'classes' is missing ({error}); convert again"
        ) from error
    return source


def read_tiles(root: Path) -> list[dict[str, str]]:
    """Rows of a converted set's ``tiles.csv``: tile, source, x, y, width, height (whole numbers) and split.

    Raises:
        FileNotFoundError: The file is missing.
        DataError: It lacks a column, holds something else than numbers, or names files that are not below the folders
            of the set; or two tiles have one name, whatever the case.
    """
    path, rows, lines = root / "tiles.csv", [], dict[str, int]()
    for line, row in read_csv(path, ("tile", "source", "x", "y", "width", "height", "split")):
        wrong = [key for key in ("x", "y", "width", "height") if not row[key].isdecimal() or len(row[key]) > 9]
        if wrong:
            raise DataError(f"{path}:{line}: {wrong[0]} must be a whole number, found {row[wrong[0]][:40]!r}")
        check_pixels((int(row["height"]), int(row["width"])), f"{path}:{line}", "the tile")
        first = lines.setdefault(check_name(row["tile"], f"{path}:{line}").casefold(), line)
        if first != line:
            raise DataError(
                f"{path}:{line}: tile {row['tile']!r} is already in line {first}; remove one of these lines"
            )
        check_path(row["source"], f"{path}:{line}")
        rows.append(row)
    return rows


def tile_suffixes(root: Path, rows: Sequence[Mapping[str, str]]) -> tuple[str, str]:
    """Suffixes of the images and of the label maps of a converted set, by its first tile.

    Args:
        root: Its folder.
        rows: Rows of ``tiles.csv``.
    """
    first = rows[0]["tile"] if rows else ""
    return tile_suffix(root / "images", first), tile_suffix(root / "gray", first)


class TileFinder:
    """Which tile of a converted set an entry of COCO's ``images`` is, whatever another program made of its name.

    Args:
        rows: Rows of ``tiles.csv``.
    """

    def __init__(self, rows: Sequence[Mapping[str, str]]) -> None:
        self._by_name: list[dict[str, list[int]]] = [{}, {}, {}]
        for i, row in enumerate(rows):
            names = row["tile"], row["source"], PurePosixPath(row["source"]).name
            for found, name in zip(self._by_name, names, strict=True):
                found.setdefault(name, []).append(i)

    def __call__(self, image: Mapping[str, Any], path: Path) -> int:
        """Number of the row.

        Raises:
            DataError: There is no such tile, or several have that name.
        """
        name = str(image.get("file_name", "")).replace("\\", "/")
        last = PurePosixPath(name)
        for which, key in ((1, name), (0, last.stem), (2, last.name)):
            rows = self._by_name[which].get(key, [])
            if len(rows) == 1:
                return rows[0]
        wrong = f"image {image.get('id')} has file_name {image.get('file_name')!r}"
        raise DataError(f"{path}: {wrong}, which matches no tile of tiles.csv")


def converted_classes(root: Path) -> tuple[str, ...] | None:
    """Class names of a converted set, by the ids in its label maps; None where nothing in the folder says so.

    They stand in ``manifest.json``; sets of earlier versions have them in the categories of ``instances.json`` only.

    Raises:
        DataError: A file is damaged.
    """
    manifest, instances = root / "manifest.json", root / "instances.json"
    try:
        known = parse_json(manifest.read_bytes()).get("classes") if manifest.is_file() else None
        if known is None and instances.is_file():
            rows = read_categories(instances)
            known = [row["name"] for row in sorted(rows, key=lambda row: row["id"])]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{root}: manifest.json or instances.json is damaged ({error}); convert again") from error
    return tuple(known) if known else None


def check_classes(root: Path, table: ClassTable) -> None:
    """See that the ids in a converted set's label maps mean the classes of a table.

    Classes of the table that stand for unlabelled pixels (255) or for none may come on top.

    Raises:
        DataError: They mean others, or in another order; the message has both lists.
    """
    known = converted_classes(root)
    if known is None:
        return
    own = {name: values for name, values in zip(table.classes, table.raw_values, strict=True) if set(values) - {IGNORE}}
    if own != {name: (i,) for i, name in enumerate(known)}:
        given = sorted(own, key=lambda name: own[name])
        raise DataError(
            f"{root} was converted with the classes {', '.join(known)}; the class table {table.name} has "
            f"{', '.join(given)}. Names and order must be the same: load it with the table that it was converted with, "
            "or convert again with this one"
        )


def _tuple(values: list[float] | None) -> tuple[float, ...] | None:
    return None if values is None else tuple(values)
