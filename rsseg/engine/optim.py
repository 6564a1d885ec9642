"""Optimizer wrappers: bfloat16 autocast on CPU and GPU, and one optimizer for each of several networks."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper, OptimWrapperDict
from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS

from rsseg.errors import ConfigError

__all__ = ["AdaptationOptimizers", "AutocastOptimWrapper", "JointOptimWrapper", "use_autocast"]


@OPTIM_WRAPPERS.register_module()
class AutocastOptimWrapper(OptimWrapper):
    """Run the forward pass under bfloat16 autocast on the model's own device; parameters stay float32.

    bfloat16 has float32's range, so no loss scaling is needed and nothing is added to checkpoints.
    """

    @contextlib.contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[Any]:
        """Autocast around the forward pass (and mmengine's gradient accumulation)."""
        device = next(model.parameters()).device.type
        with super().optim_context(model), torch.autocast(device, dtype=torch.bfloat16):
            yield


class JointOptimWrapper(OptimWrapperDict):
    """Several optimizers, each with its own parameters, that step together after one backward.

    mmengine's ``OptimWrapperDict`` leaves backward and step to the model.  Here the losses of all networks are one sum,
    so that the stock runner and DDP train them; each optimizer clips its own gradients and has its own schedule.  The
    first wrapper's context (autocast, gradient accumulation) is that of the forward pass.
    """

    @property
    def _first(self) -> OptimWrapper:
        return next(iter(self.optim_wrappers.values()))

    @property
    def _accumulative_counts(self) -> int:
        return self._first._accumulative_counts

    def optim_context(self, model: torch.nn.Module) -> Any:
        """The first wrapper's."""
        return self._first.optim_context(model)

    def initialize_count_status(self, model: torch.nn.Module, cur_iter: int, max_iters: int) -> None:
        """As mmengine, for each."""
        for wrapper in self.optim_wrappers.values():
            wrapper.initialize_count_status(model, cur_iter, max_iters)

    def update_params(
        self, loss: torch.Tensor, step_kwargs: dict[str, Any] | None = None, zero_kwargs: dict[str, Any] | None = None
    ) -> None:
        """One backward of the sum of all losses, then every optimizer clips and steps."""
        self._first.backward(self._first.scale_loss(loss))
        for wrapper in self.optim_wrappers.values():
            if wrapper is not self._first:
                wrapper._inner_count += 1
            if wrapper.should_update():
                wrapper.step(**(step_kwargs or {}))
                wrapper.zero_grad(**(zero_kwargs or {}))


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AdaptationOptimizers:
    """Optimizers of a network that is adapted: its own, and one for each discriminator of its method::

        optim_wrapper = dict(
            constructor="AdaptationOptimizers",
            network=dict(optimizer=dict(type="SGD", lr=5e-3, momentum=0.9, weight_decay=5e-4)),
            discriminator=dict(optimizer=dict(type="Adam", lr=1e-4, betas=(0.9, 0.99))),
        )

    Each part is what a config's ``optim_wrapper`` is otherwise; ``discriminator`` holds for every discriminator, each
    with a clipping of its own.  For a method without discriminators write what is in ``network`` directly.  Networks
    that are never trained, such as a teacher, are left out.

    Raises:
        ConfigError: The parts are not those that the model needs.
    """

    def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: dict[str, Any] | None = None) -> None:
        self.config, self.shared = optim_wrapper_cfg, paramwise_cfg

    def __call__(self, model: torch.nn.Module) -> OptimWrapper:
        """Build all optimizers."""
        bare: Any = model.module if is_model_wrapper(model) else model
        method: Any = getattr(bare, "adaptation", None)
        names = tuple(getattr(method, "discriminators", ()))
        expected = {"network", "discriminator"} if names else {"optimizer"}
        given = {key for key in ("network", "discriminator", "optimizer") if key in self.config}
        if given != expected:
            raise ConfigError(
                f"optim_wrapper has {' and '.join(sorted(given)) or 'no optimizer'}, but "
                f"{type(method or bare).__name__} has {len(names) or 'no'} discriminators; expected: "
                f"{' and '.join(sorted(expected))}"
            )
        apart = [getattr(method, name) for name in names]
        network = _Trained(bare, apart)
        if not names:
            return self._build(network, self.config)
        built = {"network": self._build(network, self.config["network"])}
        parts = zip(names, apart, strict=True)
        return JointOptimWrapper(**built, **{n: self._build(part, self.config["discriminator"]) for n, part in parts})

    def _build(self, module: Any, config: Mapping[str, Any]) -> OptimWrapper:
        own = copy.deepcopy(dict(config))
        return DefaultOptimWrapperConstructor(own, own.pop("paramwise_cfg", self.shared))(module)


class _Trained(torch.nn.Module):
    """A view of a module, as an optimizer's constructor reads it, without what it does not train."""

    _view: Any
    _apart: list[torch.nn.Module]

    def __init__(self, module: torch.nn.Module, apart: Sequence[torch.nn.Module]) -> None:
        super().__init__()
        self.__dict__["_view"], self.__dict__["_apart"] = module, list(apart)

    def named_children(self) -> Iterator[tuple[str, torch.nn.Module]]:
        """Children with a parameter that is trained; those that hold a part that stands apart are views, too."""
        for name, child in self._view.named_children():
            within = list(child.modules())
            if any(child is part for part in self._apart) or not any(p.requires_grad for p in child.parameters()):
                continue
            yield name, _Trained(child, self._apart) if any(p in within for p in self._apart) else child

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Any]]:
        """Trained parameters of the module itself and, with ``recurse``, of its children."""
        for name, value in self._view.named_parameters(prefix, False):
            if value.requires_grad:
                yield name, value
        for name, child in self.named_children() if recurse else ():
            own = child.named_parameters(f"{prefix}.{name}" if prefix else name)
            yield from ((key, value) for key, value in own if value.requires_grad)


def use_autocast(optim_wrapper: dict[str, Any]) -> None:
    """Let a config's optimizer wrapper, or each of its parts where it holds several, work under bfloat16, in place.

    Raises:
        ConfigError: It holds no optimizer.
    """
    parts = [
        part for part in (optim_wrapper, *optim_wrapper.values()) if isinstance(part, dict) and "optimizer" in part
    ]
    if not parts:
        raise ConfigError("--amp: the config's optim_wrapper has no optimizer")
    for part in parts:
        part["type"] = "mmseg.AutocastOptimWrapper"
