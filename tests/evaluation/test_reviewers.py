"""Agreement of reviewers: by hand, and by what others have published or computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsseg.datasets.labels.decision_files import add_decision
from rsseg.datasets.labels.decisions import Decision
from rsseg.errors import DataError
from rsseg.evaluation.reviewers import Rated, compare_reviewers
from rsseg.reports.reviewers import agreement_of_files, reviewers_text, write_reviewers
from rsseg.structures.confusion import cohen_kappa, nominal_alpha

SET = "0123456789abcdef"


def rated(*rows: str, group: str = "ship") -> list[Rated]:
    """Objects from texts such as ``ar-``: what anna, ben and cleo said, ``-`` for nothing."""
    words = {"a": "accept", "r": "reject", "p": "class: plane"}
    names = ("anna", "ben", "cleo")
    return [
        Rated(
            ("s", "t", f"{group}{i}", "x"), group, {n: words[c] for n, c in zip(names, row, strict=False) if c != "-"}
        )
        for i, row in enumerate(rows)
    ]


def test_two_reviewers_by_hand() -> None:
    """Equal: 3 of 5; anna accepts 3 of 5, ben 3 of 5, so 0.6 x 0.6 + 0.4 x 0.4 = 0.52 are equal by chance."""
    found = compare_reviewers(rated("aa", "aa", "ar", "ra", "rr", "a-"))
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.items) == ("anna", "ben", 5)
    assert pair.equal == pytest.approx(0.6) and pair.kappa == pytest.approx(0.08 / 0.48)
    assert found.counts == {"anna": {"accept": 4, "reject": 2}, "ben": {"accept": 3, "reject": 2}}
    everything, ships = found.groups
    assert (everything.name, ships.name, ships.items) == ("all", "ship", 5)
    # Of 10 judgements 6 accept: 4 differ and 2 x 6 x 4 / 9 would by chance.
    assert everything.equal == pytest.approx(0.6) and everything.alpha == pytest.approx(1 - 4 / (48 / 9))
    assert [row.name[2] for row in found.disagreements] == ["ship2", "ship3"]


def test_several_reviewers_by_hand() -> None:
    found = compare_reviewers([*rated("aaa", "aar", "-pp"), *rated("rr-", "a--", group="plane")])
    assert [(p.first, p.second, p.items, p.equal) for p in found.pairs] == [
        ("anna", "ben", 3, 1.0), ("anna", "cleo", 2, 0.5), ("ben", "cleo", 3, pytest.approx(2 / 3)),
    ]  # fmt: skip
    everything, planes, ships = found.groups
    # Pairs of judgements: 3 + 3 + 1 + 1, of which 3 + 1 + 1 + 1 are equal.
    assert (everything.items, everything.equal) == (4, pytest.approx(12 / 16))
    assert (planes.name, planes.items, planes.equal, planes.alpha) == ("plane", 1, 1.0, 1.0)
    assert (ships.items, ships.equal) == (3, pytest.approx(10 / 14))
    # 10 judgements: accept 5, reject 3, plane 2; 2 x 2 / 2 differ, by chance (100 - 25 - 9 - 4) / 9 would.
    assert everything.alpha == pytest.approx(1 - 2 / (62 / 9))
    assert compare_reviewers([]).groups[0].items == 0


def test_alpha_of_the_published_example() -> None:
    """Krippendorff 2011, section C: four observers, twelve units with gaps, alpha = 0.743 for nominal data."""
    observers = (
        (1, 2, 3, 3, 2, 1, 4, 1, 2, 0, 0, 0),
        (1, 2, 3, 3, 2, 2, 4, 1, 2, 5, 0, 3),
        (0, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, 0),
        (1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, 0),
    )
    values = np.array(observers).T
    counts = np.stack([(values == k).sum(1) for k in range(1, 6)], 1)
    assert nominal_alpha(counts) == pytest.approx(0.743, abs=5e-4)


def test_kappa_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    first = rng.integers(0, 4, 200)
    second = np.where(rng.random(200) < 0.7, first, rng.integers(0, 4, 200))
    confusion = metrics.confusion_matrix(first, second)
    assert cohen_kappa(confusion) == pytest.approx(metrics.cohen_kappa_score(first, second))
    assert cohen_kappa(np.array([[3, 0], [0, 0]])) == 1.0
    assert cohen_kappa(np.array([[2, 1], [6, 3]])) == 0.0, "exactly, not -0.00"


def _write(path: Path, reviewer: str, *decisions: str, set_id: str = SET) -> Path:
    for i, word in enumerate(decisions):
        own: dict[str, Any] = {"source": "s.png", "tile": "s", "object_id": str(i), "state": SET, "label": "ship"}
        add_decision(path, Decision(set_id, reviewer, "2026-11-30T06:40:00Z", word, **own))
    return path


def test_the_command(tmp_path: Path, run_tool: Callable[..., Any]) -> None:
    files = [
        _write(tmp_path / "anna.jsonl", "anna", "accept", "reject", "accept"),
        _write(tmp_path / "ben.jsonl", "ben", "accept", "accept"),
    ]
    result = run_tool("report_review", *files, "--out", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    text = reviewers_text(agreement_of_files(files))
    assert result.stdout == f"{text}\n"
    assert "| anna, ben     |       2 |    50.0 |         0.000 |" in text
    assert "1 objects about which they disagree:\n  s, object 1 (ship): anna: reject, ben: accept" in text
    read = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert read["disagreements.csv"] == (
        f"source,tile,object,state,class,anna,ben\ns.png,s,1,{SET},ship,reject,accept\n"
    )
    assert read["pairs.csv"].splitlines()[1] == "anna,ben,2,0.5,0.0"
    assert read["reviewers.csv"] == "reviewer,accept,reject\nanna,2,1\nben,2,0\n"
    assert read["classes.csv"].splitlines()[1].startswith("all,2,0.5,")


def test_files_of_two_sets(tmp_path: Path) -> None:
    files = [_write(tmp_path / "a", "anna", "accept"), _write(tmp_path / "b", "ben", "accept", set_id="f" * 16)]
    with pytest.raises(DataError, match=r"a has decisions about the set 0123456789abcdef, but .*b about the set ffff"):
        agreement_of_files(files)
    write_reviewers(agreement_of_files(files[:1]), tmp_path / "one")
    assert (tmp_path / "one/pairs.csv").read_text().count("\n") == 1
