"""Configs of strangers, read as data: assignments of plain values and ``dict(...)``, of which nothing is run.

mmengine runs a ``.py`` config as a program.  What ``rsseg push`` writes is only a list of settings; here it is parsed,
and refused where it is anything else, or where a setting would lead mmengine to code outside of the registries.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rsseg.errors import ConfigError

if TYPE_CHECKING:
    from mmengine.config import Config

__all__ = ["parse_settings", "read_plain"]

_SCOPES = "mmseg|mmpretrain|mmengine|mmcv"
_TYPE = re.compile(rf"(({_SCOPES})\.)?\w+", re.ASCII)
_LONGEST = 1 << 20
_ADVICE = "Read it yourself, and use it with --trust if you trust its maker"


def read_plain(path: Path) -> Config:
    """A config without bases, from a file of plain settings.

    Raises:
        ConfigError: It has more than plain settings, a ``type`` that is no name of a registry, a base, or imports
            modules that are not rsseg's.
    """
    from mmengine.config import Config
    from mmengine.utils import import_modules_from_strings

    settings = parse_settings(path.read_text(encoding="utf-8"), str(path))
    _check_settings(settings, str(path))
    if imported := settings.get("custom_imports"):
        import_modules_from_strings(**imported)
    return Config(settings, filename=str(path))


def parse_settings(text: str, name: str) -> dict[str, Any]:
    """Settings by name of a config's text.

    Args:
        text: Lines ``name = value``; values are numbers, texts, None, True, False, lists, tuples, ``{...}`` with such
            keys, and ``dict(key=value)``.
        name: What errors call it.

    Raises:
        ConfigError: It has anything else, or is longer than 1 MiB.
    """
    try:
        if len(text) > _LONGEST:
            raise ValueError(f"is longer than {_LONGEST} characters")
        out = {}
        for node in ast.parse(text).body:
            if not (isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)):
                raise ValueError(f"line {node.lineno} is no line 'name = value'")
            out[node.targets[0].id] = _value(node.value)
    except SyntaxError as error:
        raise ConfigError(f"{name}:{error.lineno}: is no Python ({error.msg}). {_ADVICE}") from error
    except (ValueError, TypeError, RecursionError, MemoryError) as error:  # TypeError: a list as a key
        reason = f"{error}" if isinstance(error, ValueError | TypeError) else "is nested too deep"
        raise ConfigError(f"{name}: configs from the hub are settings only, but it {reason}. {_ADVICE}") from error
    return out


def _value(node: ast.expr) -> Any:
    match node:
        case ast.Constant(value=str() | int() | float() | None as value):
            return value
        case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float() as value)):
            return -value
        case ast.List(elts=parts):
            return [_value(part) for part in parts]
        case ast.Tuple(elts=parts):
            return tuple(_value(part) for part in parts)
        case ast.Dict(keys=keys, values=parts) if None not in keys:
            return {_value(key): _value(part) for key, part in zip(keys, parts, strict=True) if key is not None}
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=pairs) if all(pair.arg for pair in pairs):
            return {str(pair.arg): _value(pair.value) for pair in pairs}
        case ast.Call(func=ast.Name(id="dict"), args=[ast.Dict() as pairs], keywords=[]):  # as mmengine writes {"0": 1}
            return _value(pairs)
    raise ValueError(f"has {ast.unparse(node)[:60]!r} in line {node.lineno}, which is no plain value")


def _check_settings(settings: Mapping[str, Any], name: str) -> None:
    imported = settings.get("custom_imports") or {}
    modules = imported.get("imports", []) if isinstance(imported, dict) else [imported]
    modules = [modules] if isinstance(modules, str) else modules
    wrong = [f"imports {module!r}" for module in modules if not re.fullmatch(r"rsseg(\.\w+)*", str(module))]
    wrong += [f"has {key}" for key in ("_base_",) if key in settings]
    wrong += [f"has the type {kind!r}" for kind in _types(settings) if not _TYPE.fullmatch(str(kind))]
    scope = settings.get("default_scope", "mmseg")
    wrong += [] if re.fullmatch(_SCOPES, str(scope)) else [f"has default_scope={scope!r}"]
    if wrong:
        raise ConfigError(f"{name}: configs from the hub name classes of registries only, but it {wrong[0]}. {_ADVICE}")


def _types(node: Any) -> Iterator[Any]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "type":
                yield value
            yield from _types(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _types(value)
