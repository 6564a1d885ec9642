"""Do something once another package is imported; nothing of rsseg or of anyone else is imported before.

Installed as ``_rsseg_startup`` as well, for the .pth file that setup.py adds; hence it imports nothing of rsseg itself.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

__all__ = ["after_import", "watch_mmengine"]


class _Watch:
    """A finder of modules that finds one, by those after it, and adds an action to its execution."""

    def __init__(self, name: str, action: Callable[[Any], None]) -> None:
        self.name, self.action = name, action

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """The usual spec of the module that is waited for, with the action behind it; None for other modules."""
        if fullname != self.name:
            return None
        from importlib.util import find_spec

        sys.meta_path.remove(self)
        spec = find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_act(module: Any) -> None:
                execute(module)
                self.action(module)

            spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec


def after_import(name: str, action: Callable[[Any], None]) -> None:
    """Call ``action(module)`` as soon as a module is imported, at once if it is already.

    Args:
        name: Full name of the module.
        action: What to do with it.
    """
    if name in sys.modules:
        action(sys.modules[name])
    elif not any(isinstance(finder, _Watch) and finder.name == name for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watch(name, action))


def watch_mmengine() -> None:
    """Let configs inherit from rsseg by name, and mmseg know its class tables, as soon as these are imported."""
    after_import("mmengine.config.config", lambda module: _call("rsseg.packaged", "name_configs", module))
    after_import("mmseg.utils.class_names", lambda module: _call("rsseg.metainfo.datasets", "name_classes", module))


def _call(source: str, function: str, module: Any) -> None:
    from importlib import import_module
    from importlib.util import find_spec

    if find_spec("rsseg"):  # else an editable installation whose checkout is gone
        getattr(import_module(source), function)(module)
