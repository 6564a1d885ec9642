"""What all commands share: the parser with ``--debug``, and one way to end on an error."""

from __future__ import annotations

import argparse
import builtins
import json
import logging
import math
import os
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

import rsseg.errors
from rsseg.errors import ConfigError, UserError
from rsseg.interruption import AGAIN, Watch, call, interrupted
from rsseg.messages import QUIET_VARIABLE, results_apart, results_stream, show_log

__all__ = [
    "DEBUG_VARIABLE",
    "PIXELS_VARIABLE",
    "above",
    "add_workers",
    "arguments_of",
    "at_least",
    "call_tool",
    "error_line",
    "make_parser",
    "numbers",
    "options_of",
    "run_tool",
    "write_result",
]

DEBUG_VARIABLE = "RSSEG_DEBUG"
"""Environment variable that ``--debug`` sets to 1; processes that a command starts show their tracebacks, too."""
JSON_VARIABLE = "RSSEG_JSON"
"""Environment variable that ``--json`` sets to 1."""
PIXELS_VARIABLE = "RSSEG_MAX_PIXELS"
"""Environment variable that ``--max-pixels`` sets, see :mod:`rsseg.io.limits`."""


class _Variable(argparse.Action):
    """An option without a value that sets an environment variable to 1."""

    def __init__(self, option_strings: Any, dest: str, const: str, **kwargs: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, **kwargs)
        self.variable = const

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        setattr(namespace, self.dest, True)
        os.environ[self.variable] = "1"


class _Quiet(_Variable):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        super().__call__(parser, namespace, values, option_string)
        logging.getLogger("rsseg").setLevel(logging.WARNING)


class _Parser(argparse.ArgumentParser):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # As from Python 3.14 on: what begins as a negative number (-25,0 or -1e3) is a value, never an option.
        self._negative_number_matcher = re.compile(r"-\.?\d")
        self.register("type", Path, _local_path)

    def print_help(self, file: Any = None) -> None:
        """Show the help where results go."""
        super().print_help(file or results_stream())


def _local_path(text: str) -> Path:
    """What options of the type ``Path`` take: ``Path`` would make a folder ``s3:`` of an address."""
    if "://" in text and not text.startswith("hf://"):
        raise argparse.ArgumentTypeError(f"{text} is an address; expected a local path")
    return Path(text)


class _MaxPixels(argparse.Action):
    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: Any = None) -> None:
        os.environ[PIXELS_VARIABLE] = str(values)


def make_parser(description: str | None, results: bool = False) -> argparse.ArgumentParser:
    """A parser that shows ``description`` as it is written, with the options of all commands.

    Values may be negative, also in lists: ``--range -25,0``.

    Args:
        description: Text for ``--help``.
        results: The command calls :func:`write_result`, and therefore has the option ``--json``.
    """
    parser = _Parser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debug", action=_Variable, const=DEBUG_VARIABLE, help="show the traceback of every error")
    quiet = "show no progress, only results and warnings"
    parser.add_argument("--quiet", action=_Quiet, const=QUIET_VARIABLE, help=quiet)
    if results:
        parser.add_argument("--json", action=_Variable, const=JSON_VARIABLE, help="print the result as JSON")
    limit = "pixels of an image that is decoded as a whole (default: 178956970, Pillow's limit; 0: any)"
    parser.add_argument(
        "--max-pixels", metavar="N", action=_MaxPixels, type=at_least(0), help=limit, default=argparse.SUPPRESS
    )
    return parser


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options of one command, without those that all have, which act when they are read."""
    return {name: value for name, value in vars(args).items() if name not in ("debug", "quiet", "json")}


def arguments_of(add: Callable[[argparse.ArgumentParser], None], options: Mapping[str, Any]) -> argparse.Namespace:
    """Options that a function was called with, as the command line gives them: with the defaults of the others.

    Args:
        add: Adds the command's options to a parser.
        options: Values by name, with ``_`` for ``-``.

    Raises:
        ConfigError: There is no such option, or a number is not one that it takes.
    """
    parser = argparse.ArgumentParser()
    add(parser)
    known = {action.dest: action for action in parser._actions if action.dest != "help"}
    if unknown := sorted(options.keys() - known.keys()):
        raise ConfigError(f"unknown option {unknown[0]!r}; expected one of: {', '.join(sorted(known))}")
    for name, value in options.items():
        kind = known[name].type
        if isinstance(value, (int, float)) and not isinstance(value, bool) and callable(kind):
            try:
                kind(str(value))
            except (ValueError, argparse.ArgumentTypeError) as error:
                what = getattr(kind, "__name__", "valid value").rstrip(",")
                raise ConfigError(f"{name}={value!r}: expected a {what}") from error
    return argparse.Namespace(**{**{name: action.default for name, action in known.items()}, **options})


def write_result(text: str, data: Any) -> None:
    """Print what a command was asked for on stdout, where nothing else goes: a text, or with ``--json`` one document.

    Args:
        text: For people.
        data: The same for programs: what ``json`` can write; other values become text.
    """
    found = (
        json.dumps(data, indent=2, ensure_ascii=False, default=str) if os.environ.get(JSON_VARIABLE) == "1" else text
    )
    stream = results_stream()
    stream.write(f"{found}\n")
    stream.flush()


def numbers(kind: Callable[[str], Any], count: int | None = None) -> Callable[[str], tuple[Any, ...]]:
    """The ``type`` of an option whose value is a list of numbers with commas, such as ``-25,0``.

    Args:
        kind: ``int`` or ``float``.
        count: How many there must be; None allows any number.
    """

    def read(text: str) -> tuple[Any, ...]:
        values = tuple(kind(part) for part in text.split(","))
        if count is not None and len(values) != count:
            raise ValueError
        return values

    read.__name__ = f"{count} numbers with a comma" if count else "list of numbers with commas"
    return read


def at_least(least: float, kind: Callable[[str], Any] = int) -> Callable[[str], Any]:
    """The ``type`` of an option whose value is a number that is not smaller than ``least``.

    Args:
        least: The smallest value.
        kind: ``int`` or ``float``; infinity and NaN are no values.
    """

    def read(text: str) -> Any:
        value = kind(text)
        if not (value >= least and math.isfinite(value)):
            raise ValueError
        return value

    read.__name__ = f"{'whole ' if kind is int else ''}number from {least} on,"
    return read


def above(least: float) -> Callable[[str], float]:
    """The ``type`` of an option whose value is a finite number that is larger than ``least``."""

    def read(text: str) -> float:
        value = float(text)
        if not (value > least and math.isfinite(value)):
            raise ValueError
        return value

    read.__name__ = f"number above {least}"
    return read


def add_workers(parser: argparse.ArgumentParser, default: int | None = None, what: str = "threads") -> None:
    """Add the option ``--workers``: how many threads or processes share the work; by default one per core."""
    shown = "one per core" if default is None else default
    count = default or os.cpu_count() or 1
    parser.add_argument("--workers", type=at_least(1), default=count, help=f"{what} (default: {shown})")


def run_tool(main: Callable[[], int | str | None], again: str = AGAIN) -> NoReturn:
    """Run a command and end the process with its exit status.

    0 where all went well, 1 where something could not be done, 2 where arguments are wrong (by argparse), 130 after
    Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.  :class:`UserError` and ``OSError`` become one line on stderr, and so
    does an interruption, unless ``--debug`` or the environment's ``RSSEG_DEBUG=1`` asks for the traceback; any other
    exception is a bug and shows it always.  What an interrupted command has started ends with it.  Only
    :func:`write_result` writes to stdout; the log, and what libraries print, go to stderr.

    Args:
        main: The command; what it returns is the exit status, or text for stderr that says what could not be done.
        again: What to do after an interruption.
    """
    watch = Watch(again)
    logging.getLogger("rasterio").setLevel(logging.CRITICAL)  # errors say what GDAL said
    try:
        status = _status(main)
    except SystemExit as error:
        status = error.code
    except BaseException as error:  # also one that came while another was looked at, as where several children end
        if isinstance(error, KeyboardInterrupt) or watch.follows():
            if _debugging():
                traceback.print_exc()
            watch.end()
        raise
    if interrupted():
        watch.end()
    sys.exit(status)


def _status(main: Callable[[], int | str | None]) -> int | str | None:
    try:
        with show_log(), results_apart():
            return main()
    except BaseException as error:
        known = isinstance(error, (UserError, OSError)) or _of_worker(error) or _is_missing(error)
        if _debugging() or not known:
            raise
        return error_line(error)


def call_tool(
    root: Path,
    name: str,
    args: Sequence[object],
    log: Path,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> int:
    """Run a tool of a checkout in a process of its own and wait for it.

    Args:
        root: Checkout with ``tools/``; its ``rsseg`` is the one the tool imports.
        name: Name of the tool, without ``.py``.
        args: Its arguments.
        log: File to which all that it prints is appended.
        environment: Variables set for it, beside those of this process.
        keep_open: File descriptors, such as those of held locks, that it inherits.

    Returns:
        The exit status; negative where a signal ended the tool.

    Raises:
        KeyboardInterrupt: This command was interrupted; the tool was ended.
    """
    path = os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, str(root / "tools" / f"{name}.py"), *map(str, args)]
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n$ {' '.join(command)}\n")
        file.flush()
        return call(command, {**os.environ, "PYTHONPATH": path, **(environment or {})}, file, keep_open)


def error_line(error: BaseException) -> str:
    """An error as a command reports it: its kind and its message, which names the file where that is known."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"
    if isinstance(error, ModuleNotFoundError) and _is_missing(error):
        text = (
            f"the package {error.name!r} is not installed for {sys.executable}. Activate the environment of rsseg "
            '(source .venv/bin/activate); a checkout makes it by: make setup. Or: python -m pip install "rsseg[mm]"'
        )
    kind, text = _of_worker(error) or (type(error).__name__, text)
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)
    return f"{kind}: {text}"


def _of_worker(error: BaseException) -> tuple[str, str] | None:
    """Kind and message of an error that a user can correct and that a worker of a data loader has raised.

    torch gives it as one of the same kind (or a ``RuntimeError``, where it cannot make one), with the whole traceback
    as its message, whose last line of this kind has the message of the worker.
    """
    found = re.match(r"Caught (\w+) in .*\n", str(error))
    if found is None:
        return None
    name = found[1]
    same = type(error) if type(error).__name__ == name else None
    kind = same or getattr(rsseg.errors, name, None) or getattr(builtins, name, None)
    if not (isinstance(kind, type) and issubclass(kind, (UserError, OSError))):
        return None
    return name, re.split(rf"^(?:[\w.]+\.)?{name}: ", str(error), flags=re.MULTILINE)[-1].strip()


def _is_missing(error: BaseException) -> bool:
    """Whether a package of others is not installed, as where the environment is not active."""
    return isinstance(error, ModuleNotFoundError) and (error.name or "rsseg").partition(".")[0] != "rsseg"


def _debugging() -> bool:
    return os.environ.get(DEBUG_VARIABLE) == "1"
