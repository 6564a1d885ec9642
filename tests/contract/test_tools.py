"""Commands: their bodies live in the package; that each explains itself is tested in test_startup.py."""

import ast
import subprocess
from collections.abc import Callable
from pathlib import Path

Every = Callable[..., None]
TOOLS = Path(__file__).resolve().parents[2] / "tools"
PYTHON_TOOLS = sorted(TOOLS.glob("*.py"))
SHELL_TOOLS = sorted(TOOLS.glob("*.sh"))
LONGER = {"train", "test", "benchmark", "demo"}


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
    }
    assert distributed == {path.name for path in SHELL_TOOLS}


def test_tool_is_a_thin_shell(every: Every) -> None:
    def check(path: Path) -> None:
        lines = path.read_text(encoding="utf-8").splitlines()
        assert len(lines) <= (100 if path.stem in LONGER else 60)

    every(PYTHON_TOOLS, check)


def test_every_tool_ends_in_the_same_way() -> None:
    """By ``run_tool``: only what a user can correct is caught, in one place; every other error shows its traceback."""
    wrong = []
    for path in PYTHON_TOOLS:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if ast.unparse(tree.body[-1]) != "if __name__ == '__main__':\n    run_tool(main)":
            wrong.append(f"{path.name}: does not end in run_tool(main)")
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("ArgumentParser", "exit"):
                wrong.append(f"{path.name}:{node.lineno}: {node.attr}; use make_parser and run_tool of rsseg.commands")
            if isinstance(node, ast.Try) and not _raises_argument_error(node):
                wrong.append(f"{path.name}:{node.lineno}: a tool catches no errors; rsseg.commands.run_tool does")
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
