"""Parts of the MM stack that few runs use: imported when something in them is used, not with the rest.

mmengine brings sharded training (``torch.distributed.fsdp``) and, for one optimizer, transformers along; mmseg brings
timm for one backbone and SciPy for four functions.  Together they take longer than torch and the rest of the stack.
While the stack is imported, stand-ins take their places (:func:`without_rare_parts`); afterwards every name leads to
the real thing: as an attribute of the package that offers it, and in the registry that knows it.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from types import ModuleType
from typing import Any, NamedTuple

from rsseg.imports import after_import, import_without

__all__ = ["watch_rare_parts", "without_rare_parts"]

_SCIPY: dict[str, tuple[str, ...]] = {
    "scipy.interpolate": (),
    "scipy.ndimage": ("distance_transform_edt", "gaussian_filter"),
    "scipy.optimize": ("linear_sum_assignment",),
}
"""Modules that mmseg imports, and what it takes out of them."""
_BUILDER, _TIMM = "mmengine.optim.optimizer.builder", "mmseg.models.backbones.timm_backbone"


class _Part(NamedTuple):
    """A module of mmengine with one class: ``packages`` offer it too, and ``registry`` knows it by its name."""

    module: str
    name: str
    packages: tuple[str, ...]
    registry: str


_PARTS = (
    _Part(
        "mmengine.model.wrappers.fully_sharded_distributed",
        "MMFullyShardedDataParallel",
        ("mmengine.model.wrappers", "mmengine.model"),
        "MODEL_WRAPPERS",
    ),
    _Part("mmengine._strategy.fsdp", "FSDPStrategy", ("mmengine._strategy",), "STRATEGIES"),
    _Part(
        "mmengine.optim.optimizer.zero_optimizer",
        "ZeroRedundancyOptimizer",
        ("mmengine.optim.optimizer", "mmengine.optim"),
        "OPTIMIZERS",
    ),
)


class _Later(ModuleType):
    """Stands for a module, which is imported when something in it is used.

    Args:
        name: Full name of the module.
        functions: What may be imported by name without importing the module; calling it does.
        path: Where the modules in it lie, if it is a package.
    """

    def __init__(self, name: str, functions: Iterable[str] = (), path: Iterable[str] = ()) -> None:
        super().__init__(name)
        self.__path__ = list(path)  # else every import of a name from it would ask for this
        for function in functions:
            setattr(self, function, _late_function(name, function))

    def __getattr__(self, name: str) -> Any:
        if sys.modules.get(self.__name__) is self:
            if name.startswith("__"):  # inspect asks every module for its file
                raise AttributeError(name)
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


def _late_function(module: str, name: str) -> Callable[..., Any]:
    def call(*args: Any, **options: Any) -> Any:
        return getattr(importlib.import_module(module), name)(*args, **options)

    call.__name__ = call.__qualname__ = name
    return call


class _Known(dict[str, Any]):
    """What a registry knows by name; ``late`` registers further names as soon as one is looked for."""

    def __init__(self, known: dict[str, Any]) -> None:
        super().__init__(known)
        self.late: dict[str, Callable[[], Any]] = {}

    def __contains__(self, name: object) -> bool:
        if name in self.late:
            self.late.pop(str(name))()
        return super().__contains__(name)


def watch_rare_parts() -> None:
    """Let mmengine and mmseg import without transformers and timm, and mmpretrain beside transformers, by whomever."""
    import_without(_BUILDER, "transformers")
    after_import(_BUILDER, _offer_adafactor)
    import_without(_TIMM, "timm")
    after_import(_TIMM, _give_timm)
    after_import("mmpretrain.utils.dependency", _without_multimodal)


@contextlib.contextmanager
def without_rare_parts() -> Iterator[None]:
    """Import the stack without the parts that few runs use.  What has been imported before stays as it is."""
    watch_rare_parts()
    if importlib.util.find_spec("onedl") is None:  # the client of mmseg's OneDL dataset, which brings mmpretrain along
        import_without("mmseg.datasets", "mmseg.datasets.onedl")
    new = [part for part in _PARTS if part.module not in sys.modules]
    try:
        with _standing_in(new):
            yield
    finally:
        for part in new:
            _offer(part)


@contextlib.contextmanager
def _standing_in(parts: Iterable[_Part]) -> Iterator[None]:
    modules: dict[str, ModuleType] = {part.module: ModuleType(part.module) for part in parts}
    for part in parts:
        setattr(modules[part.module], part.name, part)
    scipy = importlib.util.find_spec("scipy")
    if scipy is not None:  # else mmseg says that it is missing
        for name in _SCIPY.keys() - sys.modules.keys():
            folders = [f"{folder}/{name.partition('.')[2]}" for folder in scipy.submodule_search_locations or ()]
            modules[name] = _Later(name, _SCIPY[name], folders)
    sys.modules.update(modules)
    try:
        yield
    finally:
        for name, module in modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


def _offer(part: _Part) -> None:
    """Let the packages and the registry of a part import it, where they hold its stand-in."""
    for name in part.packages:
        package = sys.modules.get(name)
        if package is not None and vars(package).get(part.name) is part:
            delattr(package, part.name)
            package.__getattr__ = _getter(package, part)  # type: ignore[method-assign]
            _known(part.registry).late[part.name] = lambda: importlib.import_module(part.module)


def _getter(package: ModuleType, part: _Part) -> Callable[[str], Any]:
    def get(name: str) -> Any:
        if name != part.name:
            raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(part.module), name)
        setattr(package, name, value)
        return value

    return get


def _known(registry: str) -> _Known:
    own: Any = getattr(importlib.import_module("mmengine.registry"), registry)
    if not isinstance(own._module_dict, _Known):
        own._module_dict = _Known(own._module_dict)
    return own._module_dict


def _offer_adafactor(builder: Any) -> None:
    if not builder.TRANSFORMERS_OPTIMIZERS:
        register = builder.register_transformers_optimizers
        _known("OPTIMIZERS").late["Adafactor"] = lambda: builder.TRANSFORMERS_OPTIMIZERS.extend(register())


def _give_timm(backbone: Any) -> None:
    if backbone.timm is None and importlib.util.find_spec("timm") is not None:
        backbone.timm = _Later("timm")


def _without_multimodal(dependency: Any) -> None:
    """Let mmpretrain leave out its language models: with transformers 4.28 or newer none of its models imports.

    It takes them in where transformers and pycocotools are installed, by names that transformers no longer has.
    """
    dependency.WITH_MULTIMODAL = False
