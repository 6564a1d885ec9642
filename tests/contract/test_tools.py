"""Commands: their bodies live in the package; that each explains itself is tested in test_startup.py."""

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

from rsseg.cli import COMMANDS

Every = Callable[..., None]
TOOLS = Path(__file__).resolve().parents[2] / "tools"
PYTHON_TOOLS = sorted(TOOLS.glob("*.py"))
SHELL_TOOLS = sorted(TOOLS.glob("*.sh"))
COMMAND_MODULES = sorted((TOOLS.parent / "rsseg" / "cli").glob("[!_]*.py"))
NO_COMMANDS = {"benchmark", "start"}


def test_the_tools_are_there() -> None:
    expected = {"train.py", "test.py", "convert_labels.py", "make_scenes.py", "benchmark.py", "demo.py"}
    assert expected <= {path.name for path in PYTHON_TOOLS}
    distributed = {
        "dist_train.sh",
        "dist_test.sh",
        "dist_convert.sh",
        "dist_map.sh",
        "slurm_train.sh",
        "slurm_convert.sh",
        "slurm_map.sh",
    }
    assert distributed == {path.name for path in SHELL_TOOLS}


def test_a_tool_starts_the_command_of_its_name(every: Every) -> None:
    def check(path: Path) -> None:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        name = next(name for name, module in COMMANDS.items() if module == path.stem)
        assert ast.unparse(tree.body[-1]) == f"if __name__ == '__main__':\n    start('{name}')"
        assert len(tree.body) == 3  # the docstring and the import of start, too

    tools = [path for path in PYTHON_TOOLS if path.stem not in NO_COMMANDS]
    assert {path.stem for path in tools} == set(COMMANDS.values()) == {path.stem for path in COMMAND_MODULES}
    every(tools, check)


def test_command_is_a_thin_shell(every: Every) -> None:
    def check(path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= (100 if path.stem in ("train", "test") else 60)

    every(COMMAND_MODULES, check)


def test_every_command_ends_in_the_same_way() -> None:
    """By ``run_tool``: only what a user can correct is caught, in one place; every other error shows its traceback."""
    wrong = []
    for path in COMMAND_MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if getattr(tree.body[-1], "name", "") != "main":
            wrong.append(f"{path.name}: does not end in main()")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("ArgumentParser", "exit"):
                wrong.append(f"{path.name}:{node.lineno}: {node.attr}; use make_parser of rsseg.commands")
            if isinstance(node, ast.Try) and not _raises_argument_error(node):
                wrong.append(f"{path.name}:{node.lineno}: a command catches no errors; rsseg.commands.run_tool does")
    assert not wrong, "\n".join(wrong)


def test_every_number_has_a_range() -> None:
    """``--workers 0`` or ``--min-area nan`` end before the work, by the types of ``rsseg.commands``."""
    wrong = []
    for path in [*COMMAND_MODULES, *COMMAND_MODULES[0].parents[1].glob("*/options.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.keyword) and node.arg == "type" and ast.unparse(node.value) in ("int", "float"):
                wrong.append(f"{path.name}:{node.value.lineno}: use at_least, above or numbers of rsseg.commands")
    assert not wrong, "\n".join(wrong)


def _raises_argument_error(node: ast.Try) -> bool:
    return all("argparse.ArgumentTypeError" in ast.unparse(handler.body[-1]) for handler in node.handlers)


def test_shell_tool_parses_and_explains_itself(every: Every, tmp_path: Path) -> None:
    def check(path: Path) -> None:
        assert path.stat().st_mode & 0o111, f"{path.name} is not executable"
        subprocess.run(["bash", "-n", str(path)], check=True)
        result = subprocess.run(["bash", str(path)], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert result.returncode == 2
        assert result.stderr.startswith("Usage:") and path.name in result.stderr

    every(SHELL_TOOLS, check)
