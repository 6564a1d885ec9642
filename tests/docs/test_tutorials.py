"""The tutorials do what they say: every block is run, and every picture is made."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docs.hooks.tutorials import FOLDER, notebook, run_document
from rsseg.cli import COMMANDS

TUTORIALS = sorted(path.stem for path in FOLDER.glob("*.md"))
Call = Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]


@pytest.fixture
def call(start_tool: Callable[..., Any]) -> Call:
    """Run a command of a block as a fork of the tool server."""

    def run(command: list[str], folder: Path) -> "subprocess.CompletedProcess[str]":
        if command[0] == "python":
            return start_tool(command[1], cwd=folder).wait()
        count = 2 if " ".join(command[1:3]) in COMMANDS else 1
        module = COMMANDS[" ".join(command[1 : count + 1])]
        return start_tool(module, *command[count + 1 :], cwd=folder).wait()

    return run


@pytest.mark.slow
@pytest.mark.stack
@pytest.mark.parametrize("name", TUTORIALS)
def test_tutorial(name: str, tmp_path: Path, call: Call) -> None:
    assert run_document(FOLDER / f"{name}.md", tmp_path / name, call)


def test_a_failing_block_and_a_missing_picture_are_named(tmp_path: Path) -> None:
    document = tmp_path / "a.md"
    document.write_text("# A\n\n<!-- run -->\n```bash\necho 1 > x\nfalse\n```\n")
    with pytest.raises(RuntimeError, match=r"a\.md:4: false: exit status 1"):
        run_document(document, tmp_path / "a")
    document.write_text("<!-- file: b/c.txt -->\n```text\nhello\n```\n<!-- run -->\n```bash\ncat b/c.txt\n```\n")
    assert run_document(document, tmp_path / "a") == ["hello\n"]
    document.write_text("<!-- picture: x.png | X -->\n")
    with pytest.raises(RuntimeError, match=r"no block made the picture x\.png"):
        run_document(document, tmp_path / "a")


def test_a_tutorial_is_a_notebook() -> None:
    cells = json.loads(notebook((FOLDER / f"{TUTORIALS[0]}.md").read_text(encoding="utf-8")))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    assert any(text.startswith("%%bash\nrsseg ") for text in code)
    assert any(text.startswith("%%writefile ") for text in code)
    assert not any("<!--" in "".join(cell["source"]) for cell in cells)
