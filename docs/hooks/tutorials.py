"""Run what the documents show: each block after the comment ``<!-- run -->``, in order, as a reader would.

    python -m docs.hooks.tutorials OUT [TUTORIAL ...]

Every tutorial gets the folder OUT/<its name>; what a block prints is kept there in ``outputs.json`` and shown in the
site, where the pictures that ``<!-- picture: FILE | caption -->`` names are taken from as well.  A block after
``<!-- file: NAME -->`` is not run but written to that file.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from docs.hooks.blocks import Block, read_blocks
from docs.hooks.links import ROOT

FOLDER = ROOT / "docs" / "tutorials"
OUTPUTS = "outputs.json"
PICTURE = re.compile(r"<!-- picture: (\S+) \| (.+?) -->")
Call = Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]
_COMMAND = re.compile(r"rsseg ")
_RECORD = re.compile(r"^\d\d/\d\d \d\d:\d\d:\d\d - mmengine - \w+ - ", re.MULTILINE)
_TOLD = re.compile(r"(Iter|Epoch)\(|.*tensors loaded|.*written to |[\w ]*\n\+-")
_LINES = 40


def run_document(path: Path, folder: Path, call: Call | None = None) -> list[str]:
    """Run the blocks of a document.

    Args:
        path: The document.
        folder: Where they run; it is made.
        call: Runs ``["rsseg", ...]`` or ``["python", FILE]`` in a folder; by default in a process of its own.

    Returns:
        What each block that was run has printed.

    Raises:
        RuntimeError: A block failed, or a picture that the document names was not made.
    """
    call = call or call_process
    folder.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8")
    outputs = []
    for block in read_blocks(text):
        if block.file:
            (folder / block.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.run:
            outputs.append(_run(block, folder, call, path))
    if missing := [name for name, _ in PICTURE.findall(text) if not (folder / name).is_file()]:
        raise RuntimeError(f"{path.name}: no block made the picture {missing[0]}")
    (folder / OUTPUTS).write_text(json.dumps(outputs), encoding="utf-8")
    return outputs


def _run(block: Block, folder: Path, call: Call, path: Path) -> str:
    if block.language == "python":
        script = folder / "block.py"
        script.write_text(block.text, encoding="utf-8")
        commands: Sequence[list[str] | str] = [["python", str(script)]]
    else:
        lines = [line for line in re.split(r"(?<!\\)\n", block.text) if line.strip() and not line.startswith("#")]
        commands = [_words(line) if _COMMAND.match(line) else line for line in lines]
    printed = ""
    for command in commands:
        done = _shell(command, folder) if isinstance(command, str) else call(command, folder)
        printed += done.stdout or _log_of_mmengine(done.stderr)
        if done.returncode:
            raise RuntimeError(
                f"{path.name}:{block.line}: {command}: exit status {done.returncode}\n{done.stdout}{done.stderr}"
            )
    return printed


def _log_of_mmengine(text: str) -> str:
    """The log of a training, which has no result to print, from the first line of mmengine's on."""
    found = _RECORD.search(text)
    return text[found.start() :] if found else ""


def readable(printed: str) -> str:
    """What a block printed without the parts of mmengine's log that tell nothing about it; its last lines, if long."""
    before, *records = _RECORD.split(printed)
    told = before + "".join(record for record in records if _TOLD.match(record))
    lines = told.strip().splitlines()
    return "\n".join(["..."] * (len(lines) > _LINES) + lines[-_LINES:])


def _words(line: str) -> list[str]:
    return shlex.split(line.replace("\\\n", " "), comments=True)


def _shell(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return _process(["bash", "-euo", "pipefail", "-c", line], folder)


def call_process(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run ``rsseg`` or ``python`` as a process with this interpreter and this checkout."""
    start = [sys.executable, "-m", "rsseg"] if command[0] == "rsseg" else [sys.executable]
    return _process([*start, *command[1:]], folder)


def _process(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def notebook(text: str) -> str:
    """A document as a Jupyter notebook without outputs: its text, and each block that is run as a cell."""
    cells, position = [], 0
    for block in read_blocks(text):
        if not (block.run or block.file):
            continue
        cells.append(_cell("markdown", re.sub(r"<!--.*?-->", "", text[position : block.start])))
        magic = f"%%writefile {block.file}\n" if block.file else "" if block.language == "python" else "%%bash\n"
        cells.append(_cell("code", magic + block.text))
        position = block.end
    cells.append(_cell("markdown", re.sub(r"<!--.*?-->", "", text[position:])))
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1)


def _cell(kind: str, source: str) -> dict[str, object]:
    cell: dict[str, object] = {"cell_type": kind, "metadata": {}, "source": source.strip().splitlines(keepends=True)}
    return cell if kind == "markdown" else {**cell, "execution_count": None, "outputs": []}


def main() -> None:
    """Run the tutorials that the command line names, or all of them."""
    out, names = Path(sys.argv[1]).resolve(), sys.argv[2:]
    for path in sorted(FOLDER.glob("*.md")):
        if path.stem in names or not names:
            sys.stderr.write(f"tutorial {path.stem}\n")
            shutil.rmtree(out / path.stem, ignore_errors=True)
            run_document(path, out / path.stem)


if __name__ == "__main__":
    main()
