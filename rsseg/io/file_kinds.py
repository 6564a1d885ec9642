"""What a file is that is not what its name says: web pages, Git LFS pointers, archives, files that are cut short."""

from __future__ import annotations

from typing import BinaryIO

__all__ = ["explain_file"]

_ARCHIVES = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7-Zip", b"Rar!": "RAR"}
_ZIP, _ZIP_END = b"PK\x03\x04", b"PK\x05\x06"
_TAIL = (1 << 16) + 22
"""Bytes in which the end of a ZIP archive's list of files begins."""


def explain_file(file: BinaryIO) -> str | None:
    """What a file with weights is that cannot be one, and what to do; None where nothing tells.

    Args:
        file: The open file; its position is moved.
    """
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(512)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not size:
        return "it is empty; download or copy it again"
    if head.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the file itself; run 'git lfs pull' in its repository to get that"
    if text.startswith((b"<!doctype", b"<html", b"<head", b"<?xml")):
        return (
            "it is a web page (HTML), not the file: the address led to a page, perhaps to log in or to confirm; "
            "download the file itself, and compare its size with the published one"
        )
    if text.startswith((b"{", b"[")) and head.isascii():
        return f"it is text, not weights: {head[:60].decode('ascii').splitlines()[0]!r}; download the file again"
    for magic, name in _ARCHIVES.items():
        if head.startswith(magic):
            return f"it is a {name} archive; unpack it, and name the file in it"
    if head.startswith(_ZIP):
        file.seek(max(0, size - _TAIL))
        if _ZIP_END not in file.read():
            return f"it is cut short after {size} bytes; download or copy it again, and compare its size"
    return None
