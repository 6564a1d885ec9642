"""Do the sources fit the Python that runs this?  Needs no package, only an interpreter from 3.10 on.

python3.10 .ci/check_python.py            compiles every source, and looks up every name of the standard library
python3.10 .ci/check_python.py --light    prints the requirements that need neither torch nor the MM stack
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import re
import sys
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
FOLDERS = ("rsseg", "tools", "tests", "configs", "docs", ".ci")
# What belongs to torch or to the MM stack, and the names that the stack brings along and the light packages need.
HEAVY = {"torch", "torchvision", "segment-anything", "open_clip_torch", "mypy", "ruff", "playwright", "schemathesis"}
BROUGHT = ("opencv-python", "scipy", "matplotlib", "prettytable", "pyyaml", "packaging", "setuptools")


def sources() -> list[Path]:
    """Every Python file of the checkout."""
    return sorted([REPO / "setup.py", *(path for folder in FOLDERS for path in (REPO / folder).rglob("*.py"))])


def _parts(tree: ast.Module) -> Iterator[tuple[int, str, str]]:
    """Line, module and name of what a file uses of the standard library."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                name = alias.name if alias.asname else alias.name.partition(".")[0]
                modules[alias.asname or name] = name
                yield node.lineno, alias.name, ""
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, node.module or "", alias.name) for alias in node.names)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in modules:
            yield node.lineno, modules[node.value.id], node.attr


def _missing(module: str, name: str) -> bool:
    if module.partition(".")[0] not in sys.stdlib_module_names or name == "*":
        return module.partition(".")[0] in {"tomllib"} - sys.stdlib_module_names  # modules younger than 3.10
    try:
        found = importlib.import_module(module)
        return bool(name) and not hasattr(found, name) and not importlib.util.find_spec(f"{module}.{name}")
    except ModuleNotFoundError:
        return module.partition(".")[0] not in {"winreg", "msvcrt", "_winapi"}


def problems() -> list[str]:
    """What this interpreter cannot read or does not have, with file and line."""
    found = []
    for path in sources():
        where = path.relative_to(REPO).as_posix()
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"), filename=where)
            compile(tree, where, "exec")
        except SyntaxError as error:
            found.append(f"{where}:{error.lineno}: {error.msg}")
            continue
        if path.is_relative_to(REPO / "configs"):
            continue  # names of mmengine's text configs come from _base_
        uses = {(module, name): line for line, module, name in _parts(tree)}
        found += [f"{where}:{uses[use]}: no {'.'.join(filter(None, use))}" for use in uses if _missing(*use)]
    return found


def light_requirements() -> list[str]:
    """Requirements of reading, counting and drawing, without torch and the MM stack."""
    lines = [
        re.sub(r"\s*#.*", "", line).strip()
        for name in ("runtime", "optional", "tests")
        for line in (REPO / "requirements" / f"{name}.txt").read_text(encoding="utf-8").splitlines()
    ]
    kept = [line for line in lines if line and re.split(r"[<>=!~\[ ]", line)[0] not in HEAVY]
    return sorted({*kept, *BROUGHT})


def main() -> None:
    """Check, or print the light requirements."""
    if "--light" in sys.argv[1:]:
        print("\n".join(light_requirements()))
        return
    wrong, version = problems(), ".".join(map(str, sys.version_info[:3]))
    if wrong:
        sys.exit(f"Python {version} cannot run:\n" + "\n".join(wrong))
    print(f"Python {version}: {len(sources())} sources compile, and it has all they use of the standard library")


if __name__ == "__main__":
    main()
