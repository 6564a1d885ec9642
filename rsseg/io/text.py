"""The text of files that people and programs of all sorts have saved: its encoding by what the file itself says."""

from __future__ import annotations

import codecs
import re

__all__ = ["decode_text", "xml_encoding"]

_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
          (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))  # fmt: skip
_STARTS = ((b"<\0\0\0", "utf-32-le"), (b"\0\0\0<", "utf-32-be"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
"""How XML begins in encodings of several bytes without a mark."""
_DECLARED = re.compile(rb"""\s*<\?xml[^>]*?\bencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,40})["']""")
_NOT_OF_FILES = {"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape", "mbcs", "oem", "utf-7"}


def decode_text(data: bytes, encoding: str = "utf-8") -> str:
    """Text of a file: by its byte order mark where it has one, else by ``encoding``.

    Raises:
        LookupError: There is no such encoding of text; the message names it.
        UnicodeDecodeError: Bytes are not of the encoding.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), encoding)
    try:
        if codecs.lookup(encoding).name.replace("-", "_") in {name.replace("-", "_") for name in _NOT_OF_FILES}:
            raise LookupError
        return data.decode(encoding)
    except LookupError:
        raise LookupError(f"unknown encoding {encoding!r}") from None


def xml_encoding(data: bytes) -> str:
    """The encoding of an XML file without a byte order mark: as it begins, else as it declares, else UTF-8."""
    found = next((name for start, name in _STARTS if data.startswith(start)), None)
    declared = _DECLARED.match(data)
    if found or declared is None:
        return found or "utf-8"
    name = declared[1].decode("ascii")
    several = re.sub("[-_]", "", name.lower()).startswith(("utf16", "utf32", "ucs", "unicode"))
    return "utf-8" if several else name  # some programs declare UTF-16 and write UTF-8
