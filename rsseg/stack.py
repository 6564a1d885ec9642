"""The MM stack (mmcv, mmengine, mmseg, mmpretrain): imported when it is needed, once, without its noise.

Packages of rsseg import their modules when a name is asked for (:func:`lazy_package`), so that reading labels or
``--help`` costs neither torch nor the stack.  Classes of mmseg's registries are registered by importing their modules;
a package that holds such modules names them (``registering``), and they are imported

- at once where mmseg's registries are imported already;
- by :func:`require_stack`, which the packages ``models`` call;
- at the latest when one of mmseg's registries looks for a name for the first time.

So a config's ``custom_imports`` may name a package whether or not a light part of it was imported before.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import sys
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from types import ModuleType
from typing import Any, TextIO

from rsseg.deferred import watch_rare_parts, without_rare_parts
from rsseg.errors import ConfigError, MissingPackageError
from rsseg.imports import after_import

__all__ = ["lazy_package", "require_pretraining", "require_stack"]

INSTALL = 'python -m pip install "rsseg[mm]"  (in a checkout: python -m pip install -e ".[mm]")'
_ACTIVATE = "Activate the environment of rsseg (source .venv/bin/activate), or run"
_NEEDS = {"mmcv": (2, 0), "mmengine": (0, 10), "mmseg": (1, 2)}
_STACK = {*_NEEDS, "mmpretrain"}
_OPS = "mmcv._ext"  # nothing in rsseg uses them, but upstream mmseg imports them
_NOISE = ("Could not import OneDL",)
_NOISY_WARNINGS = ("Fail to import ``MultiScaleDeformableAttention``",)
_waiting: list[str] = []  # modules that register classes, not imported so far


class _LineFilter(io.TextIOBase):
    """Pass text on to a stream, line by line, without the lines known as noise."""

    def __init__(self, stream: TextIO) -> None:
        self.stream, self.rest = stream, ""

    def write(self, text: str) -> int:
        """Forward the complete lines in ``text`` that are no noise; keep an unfinished one back."""
        *lines, self.rest = (self.rest + text).split("\n")
        for line in lines:
            if line.strip() not in _NOISE:
                self.stream.write(line + "\n")
        return len(text)

    def close_line(self) -> None:
        """Forward what is left of an unfinished line."""
        self.stream.write(self.rest)
        self.rest = ""


@contextlib.contextmanager
def _without_noise() -> Iterator[None]:
    streams = _LineFilter(sys.stdout), _LineFilter(sys.stderr)
    try:
        with contextlib.redirect_stdout(streams[0]), contextlib.redirect_stderr(streams[1]):
            yield
    finally:
        for stream in streams:
            stream.close_line()


def require_stack(*only: str) -> None:
    """Import mmcv, mmengine and mmseg once, quietly.

    Two lines of third-party noise (a missing OneDL client, ops that rsseg never uses) are held back; everything else
    that the stack prints or warns about still shows.

    Args:
        only: Packages of the stack that are enough; without any, all of it.

    Raises:
        MissingPackageError: A package is missing or older than rsseg understands, or a part of one: the message says
            which, and the command to run.
    """
    for message in _NOISY_WARNINGS:
        warnings.filterwarnings("ignore", message=message)
    after_import("yapf.yapflib.yapf_api", _format_once)
    with without_rare_parts():
        for name in only or _NEEDS:
            _require(name, _NEEDS[name])
        for name in () if only else ("mmseg.datasets", "mmseg.models", "mmseg.evaluation", "mmseg.engine"):
            _import(name)
    if not only:
        _register_waiting()


def require_pretraining() -> None:
    """Import mmpretrain as well, which only pre-training without labels needs.

    Raises:
        MissingPackageError: As for :func:`require_stack`.
    """
    require_stack()
    _require("mmpretrain", (1, 2))
    for name in ("mmpretrain.datasets", "mmpretrain.models"):
        _import(name)


def _import(name: str) -> ModuleType:
    try:
        with _without_noise():
            return importlib.import_module(name)
    except (ImportError, AssertionError) as error:  # mmseg and mmpretrain assert versions
        raise MissingPackageError(f"rsseg needs the MM stack, but {_missing(name, error)}") from error


def _missing(name: str, error: ImportError | AssertionError) -> str:
    """What exactly is missing where a module of the stack does not import, and the command that brings it."""
    package, needed = name.partition(".")[0], getattr(error, "name", None) or ""
    if needed == _OPS:
        without = isinstance(error, ModuleNotFoundError)
        what = "has none" if without else f"has some that do not load ({error}): they were built for another torch"
        return (
            f"only the compiled operators are missing: {_installed(package)} imports {_OPS}, and {_installed('mmcv')} "
            f"{what}. The rest is there. Install mmcv with its operators, which takes a compiler or a wheel for your "
            'torch: python -m pip install "mmcv>=2.0,<2.2"; or, in an environment of its own, the maintained forks, '
            'which need none: python -m pip install "rsseg[mm]"'
        )
    if isinstance(error, ModuleNotFoundError) and needed and needed.partition(".")[0] not in _STACK:
        return f"{_installed(package)} needs {needed}, which is not installed. Run: python -m pip install {needed}"
    if isinstance(error, ModuleNotFoundError) and needed == package:
        return f"{package} is not installed. {_ACTIVATE}: {INSTALL}"
    others = ", ".join(_installed(other) for other in _NEEDS if other != package)
    return f"{package} does not import ({error}). Beside it: {others}. Run: {INSTALL}"


def _installed(package: str) -> str:
    """A package of the stack, its version, and the distribution that brought it: forks and -lite have other names."""
    from importlib.metadata import distributions

    for found in distributions():
        if package in (found.read_text("top_level.txt") or "").split():
            return f"{package} {found.version} ({found.metadata['Name']})"
    spec = importlib.util.find_spec(package)
    return f"{package} of {spec.origin}" if spec else f"no {package}"


def _require(name: str, oldest: tuple[int, int]) -> None:
    module = _import(name)
    version = getattr(module, "__version__", "0")
    found = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if found < oldest:
        need = ".".join(map(str, oldest))
        raise MissingPackageError(f"rsseg needs {name} >= {need}, found {version}. Run: {INSTALL}")


def lazy_package(
    package: str,
    names: Mapping[str, Iterable[str]],
    registering: Collection[str] = (),
    stack: Collection[str] = (),
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """Make a package import its modules only when one of their names is asked for.

    Use it as ``__all__, __getattr__, __dir__ = lazy_package(__name__, {"module": ["Name", ...]})``.

    Args:
        package: Full name of the package.
        names: What the package offers, by the module (relative to the package) that defines it; a subpackage that is
            offered itself stands under its own name.
        registering: Modules that register classes with mmseg: they are imported as soon as its registries are in use.
        stack: Further modules that need the stack.

    Returns:
        The package's ``__all__``, ``__getattr__`` and ``__dir__``.
    """
    homes = {name: module for module, offered in names.items() for name in offered}
    heavy = {*registering, *stack}

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        if homes[name] in heavy:
            require_stack()
        module = importlib.import_module(f"{package}.{homes[name]}")
        value = module if name == homes[name] else getattr(module, name)
        setattr(sys.modules[package], name, value)
        return value

    watch_rare_parts()
    _waiting.extend(f"{package}.{module}" for module in registering)
    if registering and "mmseg.registry" in sys.modules:
        require_stack()
    elif registering:
        after_import("mmseg.registry", _add_locations)
    return sorted(homes), get, lambda: sorted({*vars(sys.modules[package]), *homes})


def _register_waiting() -> None:
    _explain_taken_names()
    while _waiting:
        name = _waiting.pop(0)
        try:
            importlib.import_module(name)
        except BaseException:
            _waiting.insert(0, name)
            raise


def _add_locations(registries: ModuleType) -> None:
    """Tell mmseg's registries to import what waits before their first answer, and to explain names that are taken."""
    _explain_taken_names()
    for value in vars(registries).values():
        if getattr(value, "scope", None) == "mmseg" and hasattr(value, "_locations"):
            value._locations.extend(_waiting)


def _format_once(yapf: ModuleType) -> None:
    """Remember the last texts that yapf has formatted.

    mmengine has a run's config formatted for the log, for its file, and for every checkpoint: 0.8 s each time.
    """
    format_code = yapf.FormatCode
    done: dict[tuple[str, str], Any] = {}
    if format_code.__module__ == __name__:
        return

    def remember(text: str, **options: Any) -> Any:
        key = text, repr(options)
        if key not in done:
            while len(done) >= 4:
                del done[next(iter(done))]
            done[key] = format_code(text, **options)
        return done[key]

    yapf.FormatCode = remember  # type: ignore[attr-defined]


def _explain_taken_names() -> None:
    """Let every registry say which two classes have one name, where one of them is rsseg's."""
    from mmengine.registry import Registry

    register: Callable[..., None] = Registry._register_module
    if register.__module__ == __name__:
        return

    def _register_module(self: Any, module: Any, module_name: Any = None, force: bool = False) -> None:
        names = [module_name] if isinstance(module_name, str) else module_name
        for name in names or [getattr(module, "__name__", "")]:
            there = self.module_dict.get(name)
            if there is not None and not force and "rsseg" in {_package(there), _package(module)}:
                raise ConfigError(
                    f"two classes want the name {name!r} in the registry {self.name!r} of {self.scope}: {_place(there)}"
                    f" has it already, and {_place(module)} is new. Register yours under another name "
                    f"(@MODELS.register_module(name='My{name}')), or with force=True in rsseg's place"
                )
        register(self, module, module_name, force)

    Registry._register_module = _register_module


def _package(module: Any) -> str:
    return str(getattr(module, "__module__", "")).partition(".")[0]


def _place(module: Any) -> str:
    """Full name of a class or function, and its file."""
    file = getattr(sys.modules.get(module.__module__), "__file__", None)
    return f"{module.__module__}.{getattr(module, '__qualname__', module)}" + (f" ({file})" if file else "")
