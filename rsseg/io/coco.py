"""COCO instances files: written one annotation a line, read also after another program has saved them anew.

Source: COCO data format, https://cocodataset.org/#format-data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rsseg.errors import AnnotationError, DataError
from rsseg.io.tables import json_text, parse_json

__all__ = [
    "SECTIONS", "CocoWriter", "annotation_lines", "annotation_of", "read_categories", "read_sections",
    "stream_annotations",
]  # fmt: skip

SECTIONS = ("images", "annotations", "categories")
_START, _END = b'"annotations":[', b"]"
Row = dict[str, Any]


class CocoWriter:
    """Writes an instances file: categories, then annotations as they come, one a line, then the images.

    Ids are numbers from 1 in the order of writing; a category's id is its class id + 1.  The rows of the images are
    kept in memory until the end, annotations are not.

    Args:
        file: An open file.
        description: What the set is.
        classes: Names of the classes by id.
    """

    def __init__(self, file: IO[bytes], description: str, classes: Sequence[str]) -> None:
        self._file, self._images = file, list[str]()
        self.annotations = 0
        categories = [{"id": i + 1, "name": name} for i, name in enumerate(classes)]
        file.write(f'{{"info":{json_text({"description": description})},\n'.encode())
        file.write(f'"categories":{json_text(categories)},\n"annotations":['.encode())

    def add_image(self, row: Mapping[str, Any]) -> None:
        """Add an image; annotations that follow are of this one.

        Args:
            row: ``file_name``, ``height``, ``width`` and what else is known.
        """
        self._images.append(json_text({"id": len(self._images) + 1, **row}))

    def add_annotation(self, label: int, row: Mapping[str, Any]) -> None:
        """Add an object of the last image.

        Args:
            label: Class id, 0-based.
            row: ``segmentation``, ``bbox``, ``area`` and what else is known.
        """
        self.add_encoded([label], [json_text(row).encode()])

    def add_encoded(self, labels: Sequence[int], rows: Sequence[bytes], more: Mapping[str, Any] | None = None) -> None:
        """Add objects of the last image whose rows are JSON already; a million of them take seconds.

        Args:
            labels: Class ids, 0-based.
            rows: As for :meth:`add_annotation`, each the text of an object that is not empty.
            more: What else is known of all of them.
        """
        end = b"," + json_text(more).encode()[1:] if more else b"}"
        image, lines = len(self._images), []
        for number, (label, row) in enumerate(zip(labels, rows, strict=True), start=self.annotations + 1):
            ids = b'{"id":%d,"image_id":%d,"category_id":%d,"iscrowd":0,' % (number, image, label + 1)
            lines.append(ids + row[1:-1] + end)
        if lines:
            self._file.write((b",\n" if self.annotations else b"\n") + b",\n".join(lines))
        self.annotations += len(lines)

    def close(self) -> None:
        """Write the images and end the file's content; the file itself stays open."""
        self._file.write(b'\n],\n"images":[\n' + ",\n".join(self._images).encode() + b"\n]}\n")


def stream_annotations(path: Path) -> Iterator[Row] | None:
    """The annotations of a file that :class:`CocoWriter` wrote, one at a time in memory.

    Returns:
        None where another program saved the file: :func:`read_sections` reads it.

    Raises:
        DataError: A line is no annotation, or the file is cut short (when the annotations are asked for).
    """
    with path.open("rb") as file:
        ours = any(file.readline().startswith(_START) for _ in range(3))
    return _annotations(path) if ours else None


def _annotations(path: Path) -> Iterator[Row]:
    return (row for _, _, row in annotation_lines(path))


def annotation_lines(path: Path) -> Iterator[tuple[int, int, Row]]:
    """First byte, length in bytes and content of each annotation of a file that :class:`CocoWriter` wrote.

    Raises:
        DataError: A line is no annotation, or the file is cut short, or another program saved it.
    """
    inside, start = False, 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not inside:
                inside = line.startswith(_START)
            elif line.startswith(_END):
                return
            else:
                yield start, len(line), annotation_of(line, f"{path}, line {number}")
            start += len(line)
    raise DataError(f"{path} does not have one annotation per line to its end; run the conversion again")


def annotation_of(line: bytes, where: str) -> Row:
    """The annotation that stands in a line of a file that :class:`CocoWriter` wrote.

    Args:
        line: The line.
        where: Opens the message: file and line.

    Raises:
        DataError: It is none.
    """
    try:
        row = parse_json(line.rstrip(b",\r\n"))
    except ValueError as error:
        raise DataError(f"{where}: not one annotation ({error}); convert again") from error
    if not isinstance(row, dict):
        raise DataError(f"{where}: not one annotation; convert again")
    return row


def read_categories(path: Path) -> list[Row]:
    """The categories of a file, none where it does not say, without reading all of one that :class:`CocoWriter` wrote.

    Raises:
        ValueError: The file is damaged.
        AttributeError: It holds no object.
    """
    start = b'"categories":'
    with path.open("rb") as file:
        for line in (file.readline() for _ in range(2)):
            if line.startswith(start):
                return list(parse_json(line[len(start) :].rstrip(b",\r\n")))
    return list(parse_json(path.read_bytes()).get("categories", ()))


def read_sections(path: Path) -> dict[str, list[Any]]:
    """The lists ``images``, ``annotations`` and ``categories`` of a file in any layout, all in memory.

    Raises:
        AnnotationError: The file is no JSON in UTF-8, or lacks a list.
        FileNotFoundError: There is no such file.
    """
    try:
        data = parse_json(path.read_bytes())
    except json.JSONDecodeError as error:
        line = error.doc.splitlines()[error.lineno - 1 : error.lineno]
        value = "".join(line)[max(0, error.colno - 40) :][:80]
        raise AnnotationError(path, error.lineno, value, f"not a complete JSON file ({error.msg})") from None
    except ValueError as error:  # not UTF-8, or numbers of thousands of digits
        raise AnnotationError(path, None, error, "the file must be JSON in UTF-8") from None
    if not isinstance(data, dict):
        reason = f"the file must hold an object with the lists {', '.join(SECTIONS)}"
        raise AnnotationError(path, None, type(data).__name__, reason)
    for key in SECTIONS:
        if not isinstance(data.get(key), list):
            value = type(data[key]).__name__ if key in data else "absent"
            raise AnnotationError(path, None, value, f'"{key}" must be a list of objects')
    return {key: data[key] for key in SECTIONS}
