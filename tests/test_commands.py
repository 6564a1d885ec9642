"""How commands end: one line for what a user can correct, a traceback for a bug."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rsseg.commands import above, add_workers, at_least, error_line, make_parser, numbers
from rsseg.errors import DataError

TOOL = """
import sys
from rsseg.commands import make_parser, run_tool
from rsseg.errors import AnnotationError, MissingPackageError, UserError

def main():
    make_parser("Say hello.").parse_args()
    {body}

run_tool(main)
"""


def run(tmp_path: Path, repo: Path, body: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "tool.py"
    script.write_text(TOOL.format(body=body))
    command = [sys.executable, str(script), *arguments]
    return subprocess.run(command, env={"PYTHONPATH": str(repo)}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise UserError('a.txt: 7 is not allowed')", "UserError: a.txt: 7 is not allowed"),
        (
            "raise AnnotationError('a.txt', 3, 'x', 'must be a number')",
            "AnnotationError: a.txt:3: must be a number: 'x'",
        ),
        ("raise MissingPackageError('install lmdb')", "MissingPackageError: install lmdb"),
        ("open('/no/such/file')", "FileNotFoundError: /no/such/file: No such file or directory"),
        ("raise FileNotFoundError('x: no such list')", "FileNotFoundError: x: no such list"),
        ("return '2 files could not be read'", "2 files could not be read"),
    ],
)
def test_a_user_error_is_one_line_and_debug_shows_more(tmp_path: Path, repo: Path, body: str, line: str) -> None:
    result = run(tmp_path, repo, body)
    assert (result.returncode, result.stderr, result.stdout) == (1, f"{line}\n", "")
    result = run(tmp_path, repo, body, "--debug")
    assert result.returncode == 1
    assert ("Traceback" in result.stderr) == (not body.startswith("return"))


WORKER = """Caught {0} in DataLoader worker process 1.
Original Traceback (most recent call last):
  File "worker.py", line 349, in _worker_loop
    data = fetcher.fetch(index)
{1}{0}: a.tif: is damaged
"""


@pytest.mark.parametrize(
    ("kind", "place", "caught"),
    [
        ("DataError", "rsseg.errors.", "DataError"),
        ("AnnotationError", "rsseg.errors.", "RuntimeError"),
        ("PermissionError", "", "PermissionError"),
    ],
)
def test_an_error_in_a_worker_of_a_data_loader_is_one_line(
    tmp_path: Path, repo: Path, kind: str, place: str, caught: str
) -> None:
    body = f"from rsseg.errors import DataError\n    raise {caught}({WORKER.format(kind, place)!r})"
    result = run(tmp_path, repo, body)
    assert (result.returncode, result.stderr) == (1, f"{kind}: a.tif: is damaged\n")
    assert "Traceback" in run(tmp_path, repo, body, "--debug").stderr


def test_a_bug_in_a_worker_shows_its_traceback(tmp_path: Path, repo: Path) -> None:
    assert "worker.py" in run(tmp_path, repo, f"raise KeyError({WORKER.format('KeyError', '')!r})").stderr


@pytest.mark.parametrize("error", ["ValueError", "KeyError", "RuntimeError", "ImportError"])
def test_any_other_error_is_a_bug_and_shows_its_traceback(tmp_path: Path, repo: Path, error: str) -> None:
    result = run(tmp_path, repo, f"raise {error}('oops')")
    assert result.returncode == 1
    assert "Traceback" in result.stderr and "oops" in result.stderr


@pytest.mark.parametrize(
    ("body", "arguments", "status"),
    [("return None", (), 0), ("return 3", (), 3), ("raise KeyboardInterrupt", (), 130), ("", ("--no-such",), 2)],
)
def test_exit_status(tmp_path: Path, repo: Path, body: str, arguments: tuple[str, ...], status: int) -> None:
    result = run(tmp_path, repo, body or "pass", *arguments)
    assert result.returncode == status
    assert "Traceback" not in result.stderr
    if status != 2:
        line = "interrupted (SIGINT); run the same command again to continue\n"
        assert result.stderr == (line if status == 130 else "")


def test_debug_is_in_the_help() -> None:
    assert "--debug" in make_parser("Say hello.").format_help()


def test_the_line_of_an_error_without_a_file() -> None:
    assert error_line(OSError(28, "No space left on device")) == "OSError: [Errno 28] No space left on device"


def test_the_line_of_an_error_from_a_loaders_process() -> None:
    """torch's message has the worker's traceback in it."""
    trace = 'Original Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\n'
    for kind, name in ((DataError, "rsseg.errors.DataError"), (FileNotFoundError, "FileNotFoundError")):
        error = kind(f"Caught {kind.__name__} in DataLoader worker process 0.\n{trace}{name}: a.png: is cut short\n")
        assert error_line(error) == f"{kind.__name__}: a.png: is cut short"
    assert error_line(DataError("Caught nothing")) == "DataError: Caught nothing"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--range", "-25,0"], {"range": (-25, 0)}),
        (["--range", "-25.5,-.5", "x.tif"], {"range": (-25.5, -0.5), "source": "x.tif"}),
        (["--range=-25,0"], {"range": (-25, 0)}),
        (["--range", "-1e3,1e-3"], {"range": (-1000, 0.001)}),
        (["--limit", "-1e3"], {"limit": -1000}),
        (["--bounds", "-10.5", "-3", "2", "-.5"], {"bounds": [-10.5, -3, 2, -0.5]}),
        (["--options", "a=-1", "b=[-1,2]", "-3,4"], {"options": ["a=-1", "b=[-1,2]", "-3,4"]}),
    ],
)
def test_values_may_be_negative(arguments: list[str], expected: dict[str, object]) -> None:
    parser = make_parser("x")
    parser.add_argument("source", nargs="?")
    parser.add_argument("--range", type=numbers(float, 2))
    parser.add_argument("--limit", type=float)
    parser.add_argument("--bounds", type=float, nargs=4)
    parser.add_argument("--options", nargs="+")
    found = vars(parser.parse_args(arguments))
    assert {key: found[key] for key in expected} == expected


def test_a_list_of_another_length_and_an_unknown_option_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser("x")
    parser.add_argument("--range", type=numbers(float, 2))
    for arguments, message in ((["--range", "-1,2,3"], "2 numbers with a comma"), (["--rnage", "-1,2"], "--rnage")):
        with pytest.raises(SystemExit):
            parser.parse_args(arguments)
        assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "good", "bad", "name"),
    [
        (at_least(0, float), ["0", "0.5", "1e3"], ["-1", "-0.1", "nan", "inf", "x"], "number from 0 on,"),
        (above(0), ["0.5", "1e3"], ["0", "-1", "nan", "inf"], "number above 0"),
    ],
)
def test_numbers_have_a_least_value(
    capsys: pytest.CaptureFixture[str], kind: Callable[[str], float], good: list[str], bad: list[str], name: str
) -> None:
    parser = make_parser("x")
    parser.add_argument("--area", type=kind)
    assert [parser.parse_args(["--area", text]).area for text in good] == [float(text) for text in good]
    for text in bad:
        with pytest.raises(SystemExit):
            parser.parse_args(["--area", text])
        assert f"argument --area: invalid {name} value: '{text}'" in capsys.readouterr().err


def test_workers(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser("x")
    add_workers(parser)
    assert (parser.parse_args([]).workers, parser.parse_args(["--workers", "3"]).workers) == (os.cpu_count(), 3)
    for text in ("0", "-1"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--workers", text])
        assert "--workers: invalid whole number from 1 on," in capsys.readouterr().err


def test_whole_numbers_have_a_least_value(capsys: pytest.CaptureFixture[str]) -> None:
    parser = make_parser("x")
    parser.add_argument("--size", type=at_least(1), nargs="*")
    assert parser.parse_args(["--size", "1", "7"]).size == [1, 7]
    for wrong in ("0", "-3", "1.5"):
        with pytest.raises(SystemExit):
            parser.parse_args(["--size", wrong])
        assert f"argument --size: invalid whole number from 1 on, value: '{wrong}'" in capsys.readouterr().err
