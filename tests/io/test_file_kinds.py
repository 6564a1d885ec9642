"""Files in the place of weights: each says what it is, and only a whole one with foreign objects offers to run code."""

from __future__ import annotations

import io

import pytest

torch = pytest.importorskip("torch")

from rsseg.errors import DataError  # noqa: E402
from rsseg.io.checkpoints import load_file  # noqa: E402


def _checkpoint() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": torch.zeros(2000)}, buffer)
    return buffer.getvalue()


class _Foreign:
    pass


def _foreign() -> bytes:
    buffer = io.BytesIO()
    torch.save({"a": _Foreign()}, buffer)
    return buffer.getvalue()


KINDS = {
    "page": (b"\n<!DOCTYPE html><html><head><title>Sign in</title>", r"a web page \(HTML\), not the file"),
    "pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 1\n",
        "a Git LFS pointer.*git lfs pull",
    ),
    "empty": (b"", "it is empty; download"),
    "answer": (b'{"message": "Not Found"}', "it is text, not weights: .*Not Found"),
    "packed": (b"\x1f\x8b\x08\x00rest", "a gzip archive; unpack it"),
    "cut": (_checkpoint()[:3000], "it is cut short after 3000 bytes"),
    "noise": (b"\x00\x01\x02" * 50, "damaged or no file with weights .*Download or copy it again"),
}


@pytest.mark.parametrize("suffix", [".pth", ".safetensors", ".npz"])
@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_it_is_and_never_to_trust_it(tmp_path, kind, suffix):
    content, said = KINDS[kind]
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"weights\{suffix}: not loaded.*{said}") as error:
        load_file(path)
    assert "--trust" not in str(error.value)


def test_foreign_objects_in_a_whole_file_can_be_trusted(tmp_path):
    (tmp_path / "weights.pth").write_bytes(_foreign())
    with pytest.raises(DataError, match=r"holds more than tensors and arrays .*_Foreign.*add --trust"):
        load_file(tmp_path / "weights.pth")
