"""The tutorials do what they say: every block is run, and every picture is made.

Trainings and scenes are made smaller here, as the command lines and configs are what can be wrong; ``make docs`` runs
the tutorials as they are written.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from docs.hooks.tutorials import FOLDER, notebook, readable, run_document
from rsseg.cli import COMMANDS

TUTORIALS = sorted(path.stem for path in FOLDER.glob("*.md"))
# Iterations, epochs and scenes: as the document says, and here.
SMALLER = {
    "boxes_to_map": {"120": "2", "--size 384": "--size 256", "--size 768": "--size 256"},
    "few_labels": {"80": "2", "60": "2", "--count 16": "--count 6"},
    "own_words": {"40": "2"},
    "sentinel2": {"12": "2"},
}
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
    text = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for told, small in SMALLER.get(name, {}).items():
        text, count = re.subn(rf"(?<!\d){told}(?!\d)", small, text)
        assert count, f"{name}.md: {told} stands nowhere any more"
    document = tmp_path / f"{name}.md"
    document.write_text(text, encoding="utf-8")
    assert run_document(document, tmp_path / name, call)


@pytest.fixture
def world(tmp_path: Path, call: Call) -> Path:
    """A folder with the configs, and drawn data where the recipes expect data."""
    (tmp_path / "configs").symlink_to(FOLDER.parents[1] / "configs")
    for words in (
        "scenes dota data/scenes/dota --count 3 --size 256 --theme port",
        "scenes landcover data/scenes/landcover --count 5 --size 128 --val 1 --test 1",
        "scenes landcover data/openearthmap --count 5 --size 128 --val 1 --test 1",
        "convert configs/scenes/convert_dota_scenes.py --predictor box --out data/samrs/sota",
    ):
        done = call(["rsseg", *words.split()], tmp_path)
        assert done.returncode == 0, done.stderr
    return tmp_path


@pytest.mark.slow
@pytest.mark.stack
def test_recipes(world: Path, call: Call) -> None:
    recipes = sorted((FOLDER.parent / "howto").glob("*.md"))
    ran = {path.stem: len(run_document(path, world, call)) for path in recipes}
    assert sum(ran.values()) >= 6, ran


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


def test_the_log_of_a_training_is_shortened() -> None:
    head = "11/29 03:37:02 - mmengine - INFO - "
    log = (
        f"a\n{head}Config:\nb=1\n{head}Iter(train) [1/2] loss: 1\n{head}\nSystem environment:\n{head}per class\n+--+\n"
    )
    assert readable(log).splitlines() == ["a", "Iter(train) [1/2] loss: 1", "per class", "+--+"]
    assert readable("x\n" * 100).splitlines() == ["...", *["x"] * 40]
