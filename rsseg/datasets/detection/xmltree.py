"""A small XML tree that knows the line of every element, for label files; no DTDs, no entities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from rsseg.datasets.detection.detections import Detections, Entry, collect
from rsseg.datasets.detection.values import AnnotationError, OnError, check_on_error, parse_number, settle
from rsseg.io.text import decode_text, xml_encoding
from rsseg.metainfo import ClassTable

__all__ = ["Element", "parse_xml", "read_objects", "stated_size"]


_DEEPEST, _MOST = 100, 1 << 19
"""Elements that may lie within one another, and that a file may have."""


@dataclass(slots=True, eq=False)
class Element:
    """One XML element.

    Attributes:
        tag: Its name.
        line: Line of its opening tag, from 1.
        path: The file.
        text: Characters directly inside it, up to the first element inside it.
        children: Elements directly inside it, in file order.
    """

    tag: str
    line: int
    path: Path
    text: str = ""
    children: list[Element] = field(default_factory=list)

    @property
    def value(self) -> str:
        """``text`` without surrounding white space."""
        return self.text.strip()

    def all(self, tag: str) -> list[Element]:
        """Direct children of that name."""
        return [child for child in self.children if child.tag == tag]

    def find(self, tag: str) -> Element | None:
        """The direct child of that name, ``None`` where there is none.

        Raises:
            AnnotationError: There are several.
        """
        found = self.all(tag)
        if len(found) > 1:
            raise found[1].error(f"<{tag}>", f"<{self.tag}> must contain only one <{tag}>")
        return found[0] if found else None

    def one(self, tag: str) -> Element:
        """The only direct child of that name.

        Raises:
            AnnotationError: There is none, or several.
        """
        found = self.find(tag)
        if found is None:
            raise self.error(f"<{tag}>", f"<{self.tag}> has no required element")
        return found

    def number(self, tag: str, *, positive: bool = False) -> float:
        """The finite number in the only child of that name.

        Raises:
            AnnotationError: There is no such child, or no such number in it.
        """
        child = self.one(tag)
        return parse_number(child.value, self.path, child.line, f"<{tag}>", positive=positive)

    def error(self, value: object, reason: str) -> AnnotationError:
        """An error at the line of this element, to be raised."""
        return AnnotationError(self.path, self.line, value, reason)


def parse_xml(path: Path, root: str) -> Element:
    """Read an XML file whose outermost element is ``root``.

    Raises:
        AnnotationError: The file is cut short or malformed, is not in the encoding that it declares, declares a
            DOCTYPE, or holds something else.
        FileNotFoundError: There is no such file.
    """
    content = _text(path)
    stack = [Element("", 0, path)]
    count = 0
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def start(tag: str, _: dict[str, str]) -> None:
        nonlocal count
        count += 1
        if len(stack) > _DEEPEST or count > _MOST:
            reason = f"label files have at most {_MOST} elements, {_DEEPEST} within one another"
            raise AnnotationError(path, parser.CurrentLineNumber, f"<{tag[:40]}>", reason)
        element = Element(tag, parser.CurrentLineNumber, path)
        stack[-1].children.append(element)
        stack.append(element)

    def text(characters: str) -> None:
        if not stack[-1].children:  # between elements there is nothing to read, and adding pieces takes ever longer
            stack[-1].text += characters

    def doctype(name: str, *_: object) -> None:
        reason = "label files must not declare a DOCTYPE; remove it"
        raise AnnotationError(path, parser.CurrentLineNumber, f"<!DOCTYPE {name}", reason)

    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(content, True)
    except expat.ExpatError as error:
        reason = f"not a complete XML file ({expat.errors.messages.get(error.code, error)})"
        raise AnnotationError(path, error.lineno, _line(content, error.lineno), reason) from None
    outer = stack[0].children[0]
    if outer.tag != root:
        raise outer.error(f"<{outer.tag}>", f"the outermost element must be <{root}>")
    return outer


def stated_size(holder: Element | None, height: str, width: str) -> tuple[int, int] | None:
    """(H, W) in pixels from two children of ``holder``; ``None`` where ``holder`` or both are absent.

    Raises:
        AnnotationError: Only one is there, or one is no whole number above 0.
    """
    if holder is None or (holder.find(height) is None and holder.find(width) is None):
        return None
    sides = [holder.number(tag, positive=True) for tag in (height, width)]
    for tag, side in zip((height, width), sides, strict=True):
        if side != int(side):
            raise holder.one(tag).error(holder.one(tag).value, f"<{tag}> must be a whole number of pixels")
    return int(sides[0]), int(sides[1])


def _text(path: Path) -> str:
    """Content of an XML file, whatever its encoding; only the mark of UTF-8 may be left out."""
    data = path.read_bytes()
    encoding = xml_encoding(data)
    try:
        return decode_text(data, encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, value = data[: error.start].count(b"\n") + 1, data[error.start : error.start + 1]
        reason = f"not {error.encoding} text, which it must be; declare its encoding, or save it as UTF-8"
        raise AnnotationError(path, line, value, reason) from None
    except LookupError as error:
        raise AnnotationError(path, 1, encoding, f"{error}; save it as UTF-8") from None


def _line(content: str, number: int) -> str:
    lines = content.splitlines()
    return lines[number - 1].strip()[:80] if 0 < number <= len(lines) else ""


def read_objects(
    path: Path | str,
    root_tag: str,
    head: Callable[[Element], tuple[list[Element], tuple[int, int] | None]],
    parse: Callable[[int, Element], Entry],
    table: ClassTable,
    on_error: OnError,
) -> Detections:
    """What all XML readers share: parse the file, find its objects, build the record.

    Args:
        path: The ``.xml`` file.
        root_tag: Name of the root element.
        head: From the root element to the objects in file order and the stated (H, W), or ``None``.
        parse: See :func:`~rsseg.datasets.detection.detections.collect`.
        table: Class table of the labels.
        on_error: ``"raise"`` the first problem, or ``"skip"`` such objects, all of them where parsing or ``head``
            fails.

    Raises:
        AnnotationError: The file or an object is unusable and ``on_error`` is ``"raise"``.
        FileNotFoundError: There is no such file.
    """
    check_on_error(on_error)
    path = Path(path)
    try:
        objects, size = head(parse_xml(path, root_tag))
    except AnnotationError as error:
        settle([error], on_error)
        return Detections(path, path.stem, problems=[error.with_traceback(None)])
    return collect(path, objects, parse, table, size=size, on_error=on_error)
