"""Label files in other encodings than UTF-8: read where they say which, named where they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rsseg.datasets.detection.coco import read_coco
from rsseg.datasets.detection.dior import read_dior
from rsseg.datasets.detection.dota import read_dota
from rsseg.errors import AnnotationError
from rsseg.metainfo import load_metainfo

XML = """<?xml version="1.0" encoding="{0}"?>
<annotation><filename>{1}.jpg</filename><size><width>40</width><height>40</height><depth>3</depth></size>
<object><name>airplane</name><bndbox><xmin>2</xmin><ymin>2</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>
"""
WORDS = {"gbk": "飞机", "big5": "飛機", "shift_jis": "飛行機", "euc-jp": "飛行機", "koi8-r": "самолёт",
         "windows-1252": "Flugzeug für", "iso-8859-15": "à côté €", "utf-8": "飞机"}  # fmt: skip


@pytest.mark.parametrize(("encoding", "word"), WORDS.items())
def test_xml_in_the_encoding_that_it_declares(tmp_path: Path, encoding: str, word: str) -> None:
    (tmp_path / "a.xml").write_bytes(XML.format(encoding.upper(), word).encode(encoding))
    assert len(read_dior(tmp_path / "a.xml", load_metainfo("sior"))) == 1


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be", "utf-8-sig"])
@pytest.mark.parametrize("declared", ["UTF-16", "utf-8", "unicode"])
def test_xml_in_several_bytes(tmp_path: Path, encoding: str, declared: str) -> None:
    """With and without a byte order mark, whatever the file declares."""
    (tmp_path / "a.xml").write_bytes(XML.format(declared, "飞机").encode(encoding))
    assert len(read_dior(tmp_path / "a.xml", load_metainfo("sior"))) == 1


def test_utf_8_that_declares_utf_16(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_bytes(XML.format("UTF-16", "飞机").encode())
    assert len(read_dior(tmp_path / "a.xml", load_metainfo("sior"))) == 1


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (XML.format("utf-8", "für").encode("latin-1"), 2, "not utf-8 text"),
        (XML.format("gbk", "x").encode() + b"\xff\xff", 5, "not gbk text"),
        (XML.format("klingon", "x").encode(), 1, "unknown encoding 'klingon'"),
        (XML.format("zlib", "x").encode(), 1, "unknown encoding 'zlib'"),
        (XML.format("raw_unicode_escape", "x").encode(), 1, "unknown encoding 'raw_unicode_escape'"),
        (XML.format("idna", "x").encode(), 1, "unknown encoding 'idna'"),
        (XML.format("utf-8", "x").encode("utf-16")[:-1], 4, "not utf-16-le text"),
    ],
)
def test_xml_that_cannot_be_decoded_is_named(tmp_path: Path, data: bytes, line: int, reason: str) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(data)
    with pytest.raises(AnnotationError, match=reason) as caught:
        read_dior(path, load_metainfo("sior"))
    assert (caught.value.path, caught.value.line) == (path, line)
    assert len(read_dior(path, load_metainfo("sior"), "skip").problems) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_text_and_json_with_a_mark(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes("imagesource:飞机\r\n2 2 20 2 20 20 2 20 plane 0\r\n".encode(encoding))
    assert len(read_dota(tmp_path / "a.txt", load_metainfo("sota"))) == 1
    rows = {"images": [{"id": 1, "file_name": "飞机.png"}], "annotations": [], "categories": []}
    (tmp_path / "a.json").write_bytes(json.dumps(rows, ensure_ascii=False).encode(encoding))
    assert list(read_coco(tmp_path / "a.json", load_metainfo("sota"))) == ["飞机.png"]
