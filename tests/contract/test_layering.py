"""The architecture, read from the source: imports point down, files stay small, nothing is swallowed."""

import ast
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
LAYERS = {
    # layer 0 has an order within: errors are everybody's, io may use arrays and class tables
    **dict.fromkeys(("command_list", "errors", "imports", "interruption"), -3),
    **dict.fromkeys(("deferred", "messages", "packaged"), -2),
    **dict.fromkeys(("stack", "commands", "metainfo", "structures"), -1),
    "io": 0,
    **dict.fromkeys(("datasets", "models", "evaluation", "engine"), 1),
    **dict.fromkeys(("conversion", "mapping", "reports", "scenes", "experiments"), 2),
    **dict.fromkeys(("api", "completion", "demo", "running"), 3),
    **dict.fromkeys(("grids", "serving"), 4),
    "cli": 5,
    "__main__": 6,
}
Every = Callable[..., None]
FORBIDDEN_NAMES = {"utils", "util", "common", "misc", "helpers", "helper"}
MODULES = sorted((REPO / "rsseg").rglob("*.py"))
TOOLS = sorted((REPO / "tools").rglob("*.py"))
TESTS = sorted((REPO / "tests").rglob("*.py"))


def _name(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and full dotted name of everything a module imports, relative imports resolved."""
    package = list(path.relative_to(REPO).with_suffix("").parts[:-1])
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from ((node.lineno, f"{module}.{alias.name}") for alias in node.names)


def _called(node: ast.Call) -> str:
    return getattr(node.func, "id", None) or getattr(node.func, "attr", "")


def test_there_is_something_to_check() -> None:
    assert len(MODULES) > 5
    assert {p.relative_to(REPO / "rsseg").parts[0] for p in MODULES} > {"metainfo", "structures"}


def _module(path: Path) -> str:
    return ".".join(path.relative_to(REPO).with_suffix("").parts).removesuffix(".__init__")


def test_no_module_imports_itself_by_way_of_others() -> None:
    """No circles, also where an import stands inside a function; a package's ``__init__`` counts where it is named."""
    names = {_module(path) for path in MODULES}
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        graph[_module(path)] = edges = set()
        for _, target in _imports(path):
            found = target if target in names else target.rpartition(".")[0]
            if found in names and found != _module(path):
                edges.add(found)
    circles = sorted(" -> ".join(circle) for circle in _circles(graph))
    assert not circles, "modules import each other in a circle:\n" + "\n".join(circles)


def _circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """A circle through each edge that closes one, found in depth-first order."""
    found, done = [], set[str]()

    def visit(name: str, trail: list[str]) -> None:
        if name in trail:
            found.append([*trail[trail.index(name) :], name])
        elif name not in done:
            for other in sorted(graph[name]):
                visit(other, [*trail, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return found


def test_circles_are_found() -> None:
    assert _circles({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == [["b", "c", "b"]]
    assert _circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_imports_point_down(every: Every) -> None:
    def check(path: Path) -> None:
        parts = path.relative_to(REPO / "rsseg").with_suffix("").parts
        if parts == ("__init__",):
            return
        assert parts[0] in LAYERS, f"rsseg/{parts[0]} is in no layer: {sorted(LAYERS)}"
        wrong = []
        for line, target in _imports(path):
            if not target.startswith("rsseg.") or target == "rsseg.__version__":
                continue
            package = target.split(".")[1]
            if package != parts[0] and LAYERS.get(package, 99) >= LAYERS[parts[0]]:
                wrong.append(f"{_name(path)}:{line}: {parts[0]} (layer {LAYERS[parts[0]]}) imports {target}")
        assert not wrong, "\n".join(wrong)

    every(MODULES, check)


def test_no_catch_all_names(every: Every) -> None:
    def check(path: Path) -> None:
        names = set(path.relative_to(REPO).with_suffix("").parts)
        assert not names & FORBIDDEN_NAMES, "a function lives where it is used, or in the module of its noun"

    every(MODULES, check)


def test_no_forbidden_imports(every: Every) -> None:
    def check(path: Path) -> None:
        for line, target in _imports(path):
            where = f"{_name(path)}:{line}: {target}"
            assert not target.endswith(".*"), f"{where}: star import"
            assert not f"{target}.".startswith("mmcv.ops."), f"{where}: needs compiled ops, which rsseg has not"
            assert not target.startswith(("rsseg.tests", "tests", "tools")), f"{where}: points up"

    every([*MODULES, *TOOLS], check)


def test_nothing_is_swallowed(every: Every) -> None:
    def check(path: Path) -> None:
        wrong = []
        for node in ast.walk(_tree(path)):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                wrong.append((node.lineno, "bare except"))
            if isinstance(node, ast.Name) and node.id == "NotImplementedError":
                wrong.append((node.lineno, "NotImplementedError"))
            if not isinstance(node, ast.Call):
                continue
            if _called(node) == "print":
                wrong.append((node.lineno, "print"))
            for word in node.keywords:
                off = isinstance(word.value, ast.Constant) and word.value.value is False
                if off and (word.arg == "weights_only" or (word.arg == "strict" and _called(node) != "zip")):
                    wrong.append((node.lineno, f"{word.arg}=False"))
        assert not wrong, "\n".join(f"{_name(path)}:{line}: {what}" for line, what in wrong)

    every(MODULES, check)


def test_file_is_small(every: Every) -> None:
    def check(path: Path) -> None:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 400, "split it"

    every([*MODULES, *TESTS], check)


def test_functions_are_small(every: Every) -> None:
    def check(path: Path) -> None:
        functions = [n for n in ast.walk(_tree(path)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        sizes = {f"{_name(path)}:{f.lineno} {f.name}": (f.end_lineno or 0) - f.lineno + 1 for f in functions}
        assert not {where: size for where, size in sizes.items() if size > 60}

    every([*MODULES, *TOOLS], check)


def test_public_things_are_documented(every: Every) -> None:
    def check(path: Path) -> None:
        tree = _tree(path)
        missing = [] if ast.get_docstring(tree) else [f"{_name(path)}: the module"]
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            inner = node.body if isinstance(node, ast.ClassDef) and not node.bases else []
            # A method of a derived class may inherit its contract from the base.
            methods = [n for n in inner if isinstance(n, ast.FunctionDef) and not n.name.startswith("_")]
            missing += [f"{_name(path)}:{n.lineno}: {n.name}" for n in [node, *methods] if not ast.get_docstring(n)]
        assert not missing, "no docstring:\n" + "\n".join(missing)

    every(MODULES, check)
