"""Files of decisions: what stands in a line, what is refused, and what a killed process leaves."""

import json
import logging
import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsseg.datasets.labels.decision_files import add_decision, read_all_decisions, read_decisions
from rsseg.datasets.labels.decisions import Decision, last_decisions, set_id_of, state_of, unseen_decisions
from rsseg.errors import DataError
from rsseg.structures.masks import MaskCrop, to_rle

ROW: dict[str, Any] = {
    "set": "0123456789abcdef", "reviewer": "anna", "time": "2026-11-30T06:40:00Z", "source": "a/b.png",
    "tile": "b__0_0", "object": "1", "state": "fedcba9876543210", "label": "ship", "decision": "accept",
}  # fmt: skip
MASK = to_rle(MaskCrop(1, 1, np.ones((2, 2), bool)), (4, 5))


def make(**changes: Any) -> Decision:
    """A decision to accept."""
    row = {"set_id": ROW["set"], "object_id": "1"}
    return Decision(**{**{k: v for k, v in ROW.items() if k not in ("set", "object")}, **row, **changes})


def test_lines_are_read_as_they_were_added(tmp_path: Path) -> None:
    path = tmp_path / "reviews/anna.jsonl"
    written = [
        make(comment="two\nlines, and ü"),
        make(decision="class", new_class="plane"),
        make(decision="box", box=(1.0, 2.5, 3.0, 4.0), new_class="plane"),
        make(decision="mask", mask=MASK),
        make(decision="undo"),
        Decision(ROW["set"], "anna", ROW["time"], "finished"),
        Decision(ROW["set"], "anna", ROW["time"], "reopened", state="0" * 16),
    ]
    for decision in written:
        add_decision(path, decision)
    assert path.read_bytes().count(b"\n") == 7
    assert json.loads(path.read_bytes().split(b"\n")[0]) == {**ROW, "comment": "two\nlines, and ü"}
    assert read_decisions(path, ["ship", "plane"]) == written
    assert [d.verdict for d in written[:4]] == ["accept", "class: plane", "redraw: plane", "redraw"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decision": "maybe"}, r"decision must be one of accept, .*found 'maybe'"),
        ({"decision": "class", "class": "car"}, r"no class 'car'; expected one of: ship, plane"),
        ({"decision": "class"}, r"needs exactly class of class, box and mask, found none"),
        ({"class": "ship"}, r"'accept' needs exactly none of .*found class"),
        ({"decision": "box", "box": [3, 1, 3, 4]}, r"x1 < x2 and y1 < y2, found \[3, 1, 3, 4\]"),
        ({"decision": "box", "box": [0, 1, 1e400, 4]}, r"'box' must be"),
        ({"decision": "box", "box": [0, 1, True, 4]}, r"'box' must be"),
        ({"decision": "mask", "mask": {"size": [4, 5], "counts": "0"}}, r"'mask': run lengths add up to"),
        ({"decision": "mask", "mask": to_rle(MaskCrop(0, 0, np.zeros((0, 0), bool)), (4, 5))}, r"has no pixels"),
        ({"decision": "mask", "mask": {"size": [10**6, 10**6], "counts": "0"}}, r"more than"),
        ({"reviewer": "../x"}, r"'reviewer' must consist of letters.*found '\.\./x'"),
        ({"reviewer": ".x"}, r"'reviewer' must consist"),
        ({"set": "1"}, r"'set' must consist of 16 hexadecimal digits, found '1'"),
        ({"time": "today"}, r"'time' must be UTC as 2026-.*found 'today'"),
        ({"tile": "a/b"}, r"'a/b' cannot be the name of a file"),
        ({"source": "../a"}, r"'\.\./a' must be a path below"),
        ({"state": 3}, r"'state' must be a text"),
        ({"object": None}, r"'object' must be a text, found None"),
        ({"comment": "x" * 1001}, r"'comment' must be a text of up to 1000"),
        ({"colour": 1}, r"unknown key 'colour'"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f"{json.dumps(ROW)}\n{json.dumps({**ROW, **changes})}\n")
    with pytest.raises(DataError, match=rf"a\.jsonl:2: .*{message}"):
        read_decisions(path, ["ship", "plane"])


def test_other_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for line, message in ((b"[]", "must be a JSON object"), (b"{\xff}", "no JSON object")):
        path.write_bytes(line + b"\n")
        with pytest.raises(DataError, match=message):
            read_decisions(path)
    with pytest.raises(FileNotFoundError):
        read_decisions(tmp_path / "none.jsonl")


def test_what_editors_and_copies_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A byte order mark, other ends of lines and empty lines say nothing; an older copy of a file counts once."""
    path, copy = tmp_path / "a.jsonl", tmp_path / "copy.jsonl"
    given = [make(), make(time="2026-11-30T06:41:00Z", decision="reject", comment="ü")]
    for decision in given:
        add_decision(path, decision)
    text = path.read_bytes()
    for changed in (b"\xef\xbb\xbf" + text, text.replace(b"\n", b"\r\n"), text.replace(b"\n", b"\n \n") + b"\n\t"):
        path.write_bytes(changed)
        assert read_decisions(path) == given
    assert not caplog.records
    path.write_bytes(text)
    copy.write_bytes(text)
    undone = make(time="2026-11-30T06:42:00Z", decision="undo")
    add_decision(path, undone)
    for paths in ([path, copy], [copy, path], [path, path]):
        found = read_all_decisions(paths)
        assert sorted(own.time for _, own in found) == sorted(own.time for own in [*given, undone])
        ((_, own),) = last_decisions(own for _, own in found).items()
        assert own["anna"].decision == "accept"
    path.write_bytes(text + text)
    assert len(read_all_decisions([path])) == 4


def test_a_cut_line_is_left_out_and_taken_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.jsonl"
    add_decision(path, make())
    whole = path.read_bytes()
    for end in (whole[:1], whole[:-2]):
        path.write_bytes(whole + end)
        with caplog.at_level(logging.WARNING, "rsseg"):
            assert read_decisions(path) == [make()]
        assert f"{path}:2: the last line is cut off" in caplog.text
        add_decision(path, make(object_id="2"))
        assert path.read_bytes() == whole + whole.replace(b'"1"', b'"2"')
    path.write_bytes(whole + whole[:-1])  # nothing is lost but the end of the line
    assert read_decisions(path) == [make(), make()]
    add_decision(path, make(object_id="2"))
    assert [d.object_id for d in read_decisions(path)] == ["1", "1", "2"]


def _add(path: Path, name: str) -> None:
    for i in range(50):
        add_decision(path, make(reviewer=name, object_id=str(i)))


def test_two_processes_write_one_file(tmp_path: Path) -> None:
    path, context = tmp_path / "both.jsonl", multiprocessing.get_context("fork")
    processes = [context.Process(target=_add, args=(path, name)) for name in ("anna", "ben")]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    found = read_decisions(path)
    for name in ("anna", "ben"):
        assert [d.object_id for d in found if d.reviewer == name] == [str(i) for i in range(50)]


def test_the_last_decision_counts() -> None:
    later = "2026-11-30T06:41:00Z"
    given = [
        make(time=later, decision="reject"),
        make(),
        make(reviewer="ben", object_id="2"),
        make(reviewer="ben", object_id="2", decision="undo"),
        make(reviewer="ben", object_id="2", decision="undo"),
        make(reviewer="cleo", decision="reject"),
        make(reviewer="cleo"),
        make(reviewer="cleo", decision="undo"),
        make(reviewer="ben"),
        Decision(ROW["set"], "ben", later, "finished"),
    ]
    found = last_decisions(given)
    assert {key[2]: {n: d.decision for n, d in own.items()} for key, own in found.items()} == {
        "1": {"anna": "reject", "ben": "accept", "cleo": "reject"}
    }


def test_what_is_decided_after_the_end_counts_for_no_agreement() -> None:
    def mark(kind: str, state: str, minute: int) -> Decision:
        return Decision(ROW["set"], "anna", f"2026-11-30T07:{minute:02}:00Z", kind, state=state)

    def own(minute: int, **changes: Any) -> Decision:
        return make(time=f"2026-11-30T07:{minute:02}:00Z", object_id=str(minute), **changes)

    given = [
        own(1), mark("finished", "a", 2), own(3), mark("reopened", "a", 4), own(5), own(5, reviewer="ben"),
        mark("reopened", "b", 6), own(7), mark("finished", "b", 8), mark("reopened", "a", 9), own(10),
        mark("reopened", "c", 11), own(12), mark("finished", "", 13), mark("reopened", "d", 14), own(15),
    ]  # fmt: skip
    assert [(one.reviewer, one.object_id) for one in unseen_decisions(reversed(given))] == [
        ("anna", "1"), ("ben", "5"), ("anna", "7"), ("anna", "12"),
    ]  # fmt: skip
    assert [key[2] for key in last_decisions(given)] == ["1", "10", "12", "15", "3", "5", "7"]
    back = [
        own(1), mark("finished", "a", 2), mark("reopened", "a", 3), replace(own(4, decision="reject"), object_id="1"),
        mark("reopened", "b", 5), replace(own(6, decision="undo"), object_id="1"),
    ]  # fmt: skip
    assert unseen_decisions(back) == back[:1], "what is taken back did not count"


def test_ids_of_sets_and_states() -> None:
    depends = {"prompt": "hbox", "tiling": None, "source": {"format": "dota", "images": "a"}, "keep_empty": False}
    one = set_id_of(depends)
    assert len(one) == 16 and one == set_id_of({**depends, "source": {"format": "dota", "images": "b"}})
    assert one != set_id_of({**depends, "prompt": "rhbox"}) != set_id_of({**depends, "tiling": {"size": 4}})
    row = {"segmentation": MASK, "prompt_box": [1.0, 1.0, 3.0, 3.0], "area": 4}
    state = state_of("ship", row)
    assert state == state_of("ship", json.loads(json.dumps({**row, "area": 5})))
    others = {state_of("plane", row), state_of("ship", {**row, "prompt_box": None}),
              state_of("ship", {**row, "segmentation": {**MASK, "counts": "x"}})}  # fmt: skip
    assert len({state, *others}) == 4
