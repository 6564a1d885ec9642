"""``ins/*.pkl``: old and new NumPy names, the release's keys, and files that must not be run."""

import io
import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsseg.datasets.labels.pickles import PickledObject, pack_objects, read_objects
from rsseg.io.unpickling import load_plain

MASK = {"size": [3, 4], "counts": "525"}  # two pixels, see test_converted.py


def released(dtype: str = "f8") -> list[dict[str, Any]]:
    """What the release's hbox script stores."""
    bbox = np.array([1.5, 0, 3.5, 3], dtype)
    return [{"mask": MASK, "bbox": bbox, "category": "ship", "label": 5, "size": np.int64(2)}]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("dtype", ["f4", "f8", ">f8"])
def test_every_protocol_and_numpy(tmp_path: Path, protocol: int, old: bool, dtype: str) -> None:
    data = pickle.dumps(released(dtype), protocol=protocol)
    if old:
        data = data.replace(b"numpy._core.", b"numpy.core.").replace(b"\x8c\x16numpy.core", b"\x8c\x15numpy.core")
        data = data.replace(b"\x8c\x13numpy.core", b"\x8c\x12numpy.core")
        frame = len(data) - 11
        data = data[:3] + struct.pack("<Q", frame) + data[11:] if protocol > 3 else data
    (item,) = read_objects(write(tmp_path / "a.pkl", data))
    assert item.rle == MASK and item.category == "ship" and item.label == 5 and item.area == 2 and item.qbox is None
    assert item.hbox.tolist() == [1.5, 0, 3.5, 3] and item.hbox.dtype == np.dtype(dtype).newbyteorder("=")


def test_written_files_are_the_releases(tmp_path: Path) -> None:
    corners = np.array([[0, 0], [4, 0], [4, 3], [0, 3]], np.float64)
    hbox = np.array([0, 0, 4, 3], np.float64)
    plain = PickledObject(MASK, "ship", 5, 2, hbox.astype(np.float32))
    rotated = PickledObject({"size": [3, 4], "counts": "<"}, "Van", 35, 0, hbox, corners)
    data = pack_objects([plain, rotated])
    assert b"numpy.core.multiarray" in data and b"_core" not in data
    first, second = pickle.loads(data)
    assert list(first) == ["mask", "bbox", "category", "label", "size"]
    assert list(second) == ["mask", "rbox", "rhbox", "category", "label", "size"]
    assert first["mask"] == MASK and first["bbox"].dtype == np.float32 and type(first["label"]) is int
    assert type(first["size"]) is np.int64 and first["size"] == 2
    assert second["rbox"].shape == (4, 2) and second["rbox"].dtype == second["rhbox"].dtype == np.float64
    again = read_objects(write(tmp_path / "a.pkl", data))
    assert again[1].qbox is not None and again[1].qbox.tolist() == corners.tolist() and again[1].area == 0
    assert pack_objects(again) == data and pack_objects([]) == pickle.dumps([], protocol=3)


def test_before_names_were_stored(tmp_path: Path) -> None:
    row = released()[0]
    row["category"] = row.pop("label")
    (item,) = read_objects(write(tmp_path / "a.pkl", pickle.dumps([row])))
    assert item.label == 5 and item.category is None


class _Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("made-by-a-pickle",)


@pytest.mark.parametrize("protocol", range(6))
def test_nothing_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path / "evil.pkl", pickle.dumps([_Evil()], protocol=protocol))
    name = f"{os.mkdir.__module__}.mkdir"
    with pytest.raises(ValueError, match=name if protocol else "instruction") as error:
        read_objects(path)
    assert "evil.pkl" in str(error.value) and not (tmp_path / "made-by-a-pickle").exists()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a readable pickle"),
        (pickle.dumps(released())[:-30], "not a readable pickle"),
        (b"\x80\x04cbuiltins\neval\n(\x8c\x011tR.", "builtins.eval"),
        (b"\x80\x03cnumpy\nload\n.", "numpy.load"),
        (b"\x80\x03cnumpy.core.multiarray\nfromfile\n.", "fromfile"),
        (b"\x80\x02(inumpy\ndtype\n.", "INST"),
        (b"\x80\x02cnumpy\ndtype\n)\x81.", "NEWOBJ"),
        (b"\x80\x02\x82\x01.", "EXT1"),
        (b"\x80\x02Pabc\n.", "PERSID"),
        (b"\x80\x04]r" + struct.pack("<I", 2**31) + b".", "remembered"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"abc.", "not a readable pickle"),
        (b"\x80\x03cnumpy\ndtype\n.", "numpy.dtype"),
        (b"\x80\x03cnumpy\ndtype\n}b.", "not a readable"),
        (b"\x80\x03cnumpy.core.multiarray\n_reconstruct\n)R.", "without content"),
        (pickle.dumps([np.array([{}], object)]), "plain numbers"),
        (pickle.dumps([np.zeros(2, [("a", "f8")])]), "plain numbers"),
        (pickle.dumps([np.array(["text"])]), "plain numbers"),
        (pickle.dumps({1, 2}), "EMPTY_SET"),
        (pickle.dumps([[[[[[[[[[1]]]]]]]]]]), "deep"),
    ],
)  # fmt: skip
def test_damage_and_tricks_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_plain(data)


def test_arrays_state_their_size() -> None:
    whole = pickle.dumps(np.arange(4.0), protocol=3)
    place = next(at for op, value, at in pickletools.genops(whole) if op.name == "BININT1" and value == 4)
    claimed = whole[: place or 0] + b"J" + struct.pack("<i", 2**31 - 1) + whole[(place or 0) + 2 :]
    with pytest.raises(ValueError, match="32 bytes for an array of shape"):
        load_plain(claimed)
    with pytest.raises(ValueError, match="too many"):
        load_plain(whole, limit=20)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": np.int64(3)}, "object 0: says size 3, but its mask has 2"),
        ({"mask": {"size": [3, 5], "counts": "525"}}, "object 0: run lengths add up to 12"),
        ({"mask": {"size": [0, 5], "counts": ""}}, "mask of size 0 x 5"),
        ({"bbox": np.zeros(5)}, "finite numbers"),
        ({"bbox": np.array([0, 0, np.nan, 1])}, "finite numbers"),
        ({"bbox": "1 2 3 4"}, "finite numbers"),
        ({"category": None, "label": None}, "object 0"),
    ],
)  # fmt: skip
def test_entries_are_checked(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = write(tmp_path / "P1.pkl", pickle.dumps([{**released()[0], **change}]))
    with pytest.raises(ValueError, match=message) as error:
        read_objects(path)
    assert "P1.pkl" in str(error.value)


def test_shapes_of_files(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"P1.pkl: contains a dict"):
        read_objects(write(tmp_path / "P1.pkl", pickle.dumps({})))
    with pytest.raises(ValueError, match="object 0: lacks 'mask'"):
        read_objects(write(tmp_path / "P1.pkl", pickle.dumps([{}])))
    other = {**released()[0], "mask": {"size": [4, 3], "counts": "525"}}
    with pytest.raises(ValueError, match="different sizes"):
        read_objects(write(tmp_path / "P1.pkl", pickle.dumps([released()[0], other])))
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    with pytest.raises(ValueError, match=r"P1.pkl"):
        read_objects(write(tmp_path / "P1.pkl", buffer.getvalue()))
