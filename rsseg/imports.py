"""Do something once another package is imported; nothing of rsseg or of anyone else is imported before.

Installed as ``_rsseg_startup`` as well, for the .pth file that setup.py adds; hence it imports nothing of rsseg itself,
and changes nothing for programs that do not ask for rsseg.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # from typing, it would delay every start of Python by 3 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["after_import", "import_without", "watch_mmengine", "watch_pkg_resources"]


class _Watch:
    """A finder of modules that lets the other finders find, and adds actions to the execution of what they find."""

    def __init__(self) -> None:
        self.actions: dict[str, list[Callable[[Any], None]]] = {}
        self.hidden: dict[str, set[str]] = {}

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> Any:
        """The usual spec of a module that is waited for, with the actions behind it; None for other modules."""
        if fullname not in self.actions:
            return None
        others = [finder for finder in sys.meta_path if finder is not self and hasattr(finder, "find_spec")]
        spec = next(filter(None, (finder.find_spec(fullname, path, target) for finder in others)), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_act(module: Any) -> None:
                hidden = self.hidden.get(fullname, set()) - set(sys.modules)
                sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: "there is none"
                try:
                    execute(module)
                finally:
                    for name in hidden:
                        sys.modules.pop(name, None)
                for action in self.actions[fullname]:
                    action(module)

            spec.loader.exec_module = execute_and_act  # type: ignore[method-assign]
        return spec


# That of the .pth file where there is one: two of them would wait for each other.
_WATCH: _Watch = getattr(sys.modules.get("_rsseg_startup"), "_WATCH", None) or _Watch()


def after_import(name: str, action: Callable[[Any], None]) -> None:
    """Call ``action(module)`` whenever a module has been executed, and at once if it is imported already.

    Args:
        name: Full name of the module.
        action: What to do with it; doing it twice must do no harm.
    """
    if _WATCH not in sys.meta_path:
        sys.meta_path.insert(0, _WATCH)
    actions = _WATCH.actions.setdefault(name, [])
    if action not in actions:
        actions.append(action)
        if name in sys.modules:
            action(sys.modules[name])


def import_without(name: str, package: str) -> None:
    """Let a module be imported as if a package that it can do without were not installed.

    Args:
        name: Full name of the module.
        package: Name of the package; where it is imported already, the module sees it.
    """
    after_import(name, _nothing)
    _WATCH.hidden.setdefault(name, set()).add(package)


def _nothing(module: Any) -> None:
    """What :func:`import_without` does once the module is there."""


def watch_mmengine() -> None:
    """Let configs inherit from rsseg by name, and mmseg know its class tables; that is when rsseg is imported."""
    after_import("mmengine.config.config", _name_configs)
    after_import("mmseg.utils.class_names", _name_classes)


def watch_pkg_resources() -> None:
    """Tell pkg_resources where an editable installation lies: by it, mim looks for ``.mim``.

    It takes the folder of the metadata for that of the package, which in an editable installation is elsewhere.
    """
    after_import("pkg_resources", _locate)


def _name_configs(module: Any) -> None:
    """``_base_ = "rsseg::samrs/upernet_swin_sep.py"`` means the file of :func:`rsseg.packaged.packaged_config`.

    mmengine knows the packages of OpenMMLab alone.  Unlike theirs, our configs are inherited as if by path: mmengine
    marks what it inherits with a scope, which has to be a registry, and rsseg registers into mmseg's and mmpretrain's.
    """
    names = sys.modules["mmengine.config.utils"].MODULE2PACKAGE
    if "rsseg" in names or not _folder():
        return
    names["rsseg"] = "rsseg"  # for mmengine.hub.get_config
    usual = module.Config._get_cfg_path

    def path_and_scope(cfg_path: str, filename: str) -> tuple[str, str | None]:
        scope, mark, name = cfg_path.partition("::")
        if not mark or scope != "rsseg":
            return usual(cfg_path, filename)
        return str(_ours("packaged").packaged_config(name)), None

    module.Config._get_cfg_path = staticmethod(path_and_scope)


def _name_classes(module: Any) -> None:
    """``get_classes`` and ``get_palette`` of mmseg know ours, see :func:`rsseg.metainfo.datasets.name_classes`."""
    if "rsseg" in sys.modules:  # at once: somebody may hold mmseg's functions already
        _ours("metainfo.datasets").name_classes(module)
        return
    for function in ("get_classes", "get_palette"):
        usual = getattr(module, function)
        if not hasattr(usual, "usual"):
            setattr(module, function, _asking(module, usual))


def _asking(module: Any, usual: Any) -> Any:
    def find(dataset: str) -> Any:
        try:
            return usual(dataset)
        except ValueError:
            if not _folder():
                raise
        _ours("metainfo.datasets").name_classes(module)
        return usual(dataset)

    find.usual = usual  # type: ignore[attr-defined]
    find.__name__, find.__doc__ = usual.__name__, usual.__doc__
    return find


def _locate(module: Any) -> None:
    found, folder = module.working_set.by_key.get("rsseg"), _folder()
    if found is not None and folder:
        found.location = folder


def _ours(name: str) -> Any:
    from importlib import import_module

    return import_module(f"rsseg.{name}")


def _folder() -> str | None:
    """The folder that holds the package; None for an editable installation whose checkout is gone."""
    from importlib.util import find_spec

    spec = find_spec("rsseg")
    return os.path.dirname(os.path.dirname(spec.origin)) if spec and spec.origin else None
