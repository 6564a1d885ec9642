"""Adapters of encoders in checkpoints: kept without the weights beside them, completed and merged as they load."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS, MODELS
from torch import nn

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError, DataError
from rsseg.io.checkpoints import load_file, state_of
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file
from rsseg.structures.keys import to_adapted

__all__ = [
    "CompleteAdapters",
    "KeepAdapters",
    "complete_adapters",
    "fresh_adapters",
    "name_base",
    "settle_adapters",
    "without_adapters",
]

_META = "adapters"
_SETTINGS = ("rank", "alpha", "dropout", "targets", "also")


def _adapted(model: nn.Module) -> Iterator[tuple[str, Any]]:
    """Encoders that have adapters, by name."""
    for name, module in model.named_modules():
        if _adapts(module):
            yield name, module


def _adapts(module: nn.Module) -> bool:
    return bool(getattr(getattr(module, "tuning", None), "adapts", False))


def _under(name: str) -> str:
    return f"{name}." if name else ""


@HOOKS.register_module()
class KeepAdapters(Hook):
    """Keep adapters and all that is trained in checkpoints, and of the weights beside adapters file and SHA-256 only.

    Part of every run with :class:`CompleteAdapters`, see :func:`rsseg.engine.launch.prepare_config`.  An encoder that
    began without a file is kept whole.
    """

    priority = "LOWEST"  # behind averages of weights

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Take out what the encoder's file has."""
        model = bare_model(runner.model)
        about, dropped = {}, set[str]()
        for name, part in _adapted(model):
            about[name] = part.tuning.describe()
            if part.tuning.base is not None:
                trained = {key for key, value in part.named_parameters() if value.requires_grad}
                dropped |= {_under(name) + key for key in part.state_dict() if key not in trained | part.tuning.kept}
        if not about:
            return
        checkpoint.setdefault("meta", {})[_META] = about
        for kind in ("state_dict", "ema_state_dict"):
            state = checkpoint.get(kind) or {}
            for key in [key for key in state if key.removeprefix("module.") in dropped]:
                del state[key]


@HOOKS.register_module()
class CompleteAdapters(Hook):
    """Put into a checkpoint what :class:`KeepAdapters` took out, from the file, which has to be the same."""

    priority = "VERY_HIGH"  # before averages of weights

    def __init__(self) -> None:
        self._start: str | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Complete what the runner resumes or starts from.

        Raises:
            ConfigError: The checkpoint has adapters and the config none, or others.
            DataError: The file is missing or another one.
        """
        meta, state = checkpoint.get("meta"), checkpoint.get("state_dict")
        if not (isinstance(meta, dict) and isinstance(state, dict)):
            return
        source, model = str(runner._load_from or runner.work_dir), bare_model(runner.model)
        for name, _, part in _parts(meta, model, source):
            if not _adapts(part):
                raise ConfigError(
                    f"{source}: has adapters, but {name} of the config has none (tune='lora'); to go on with other "
                    "settings begin a new run with the hook LoadPretrained"
                )
        if not meta.get(_META) and not runner._resume and any(True for _ in _adapted(model)):
            self._start = source
        complete_adapters(state, meta, model, source)
        average = checkpoint.get("ema_state_dict")
        if average:
            checkpoint["ema_state_dict"] = {**{f"module.{key}": value for key, value in state.items()}, **average}

    def before_train(self, runner: Runner) -> None:
        """Note the plain checkpoint that the runner has loaded as what adapters stand beside."""
        if self._start is not None:
            name_base(bare_model(runner.model), self._start)
        self._start = None


def _parts(meta: Mapping[str, Any], model: nn.Module, source: str) -> Iterator[tuple[str, Mapping[str, Any], Any]]:
    """Encoders of a model for which a checkpoint has adapters: name, what it says, module."""
    for name, about in (meta.get(_META) or {}).items():
        try:
            yield name, about, model.get_submodule(name)
        except AttributeError as error:
            raise DataError(
                f"{source}: has adapters of {name}, which {type(model).__name__} of the config lacks"
            ) from error


def complete_adapters(
    state: dict[str, torch.Tensor], meta: Mapping[str, Any], model: nn.Module, source: str
) -> list[Any]:
    """Make model and weights those of a model with adapters, where a checkpoint has some.

    Args:
        state: The checkpoint's weights; those beside the adapters are added, in place.
        meta: What the checkpoint says about itself.
        model: The model; where it has no adapters, it gets those of the checkpoint.
        source: The checkpoint, for errors.

    Returns:
        Encoders that were plain, in which the adapters are to be merged after loading.

    Raises:
        ConfigError: The config has adapters of other settings.
        DataError: The file beside which they were trained is missing or another one.
    """
    plain = []
    for name, about, part in _parts(meta, model, source):
        expected = {key: about[key] for key in _SETTINGS}
        if not _adapts(part):
            MODELS.get("Tuned")(encoder=part, tune="lora", **expected)
            plain.append(part)
        own = part.tuning.describe()
        differing = [key for key in _SETTINGS if own[key] != expected[key] and key != "dropout"]
        if differing:
            raise ConfigError(
                f"{source}: its adapters of {name} have "
                f"{', '.join(f'{key}={expected[key]!r}' for key in differing)}, those of the config "
                f"{', '.join(f'{key}={own[key]!r}' for key in differing)}; set them to the former"
            )
        if about["file"] is not None:
            _load_base(name, part, about, source)
            for key, value in part.state_dict().items():
                state.setdefault(_under(name) + key, value)
    return plain


def _load_base(name: str, part: Any, about: Mapping[str, Any], source: str) -> None:
    """Load the weights that adapters stand beside, unless they are there already."""
    tuning = part.tuning
    if tuning.base is not None and tuning.base.sha256 == about["sha256"]:
        return
    tried = []
    for file in dict.fromkeys([tuning.file_of(part), about["file"]]):
        if file is None:
            continue
        try:
            path = local_file(file)
            found = sha256_of(path)
        except OSError:
            tried.append(f"{file} is not there")
            continue
        if found == about["sha256"]:
            break
        tried.append(f"{file} has {found[:12]}...")
    else:
        raise DataError(
            f"{source}: holds adapters alone, trained beside the weights {about['file']} with the SHA-256 "
            f"{about['sha256']}; {'; '.join(tried)}. Put that file there, or name it in the config: "
            f"model.{name}.weights (DINOv3) or model.{name}.init_cfg.checkpoint"
        )
    if about.get("prefix") is None:
        tuning.use_file(part, file)
        part.init_weights()
        return
    prefix, own = about["prefix"], part.state_dict()
    weights = {
        key.removeprefix(prefix): v for key, v in state_of(load_file(path), path).items() if key.startswith(prefix)
    }
    fitting = {key: value for key, value in to_adapted(weights, own).items() if key in own}
    part.load_state_dict({**own, **fitting})
    tuning.note_base(part, file, about["prefix"])


def name_base(model: nn.Module, source: str) -> None:
    """Note that the weights beside all adapters of a model are now those of a plain checkpoint of such a model."""
    for name, part in _adapted(model):
        part.tuning.note_base(part, source, _under(name))


def fresh_adapters(state: Mapping[str, Any], own: Mapping[str, Any]) -> list[str]:
    """Keys of a model's adapters where a checkpoint has none: they stay as they begin, without an effect."""
    return [] if any("lora_" in key for key in state) else [key for key in own if "lora_" in key]


def settle_adapters(model: nn.Module, plain: Sequence[Any], source: str | None, training: bool) -> None:
    """After loading: merge adapters, or note what they stand beside.

    Args:
        model: The model.
        plain: Its encoders that :func:`complete_adapters` has given adapters; they are merged.
        source: The checkpoint, where it is a plain one of a model with adapters; None otherwise.
        training: The model is to be trained: its own adapters stay.  Otherwise all are merged.
    """
    for part in plain if training else [part for _, part in _adapted(model)]:
        part.tuning.merge(part)
    if source is not None and training:
        name_base(model, source)


def without_adapters(config: Any) -> Any:
    """A config's settings for the model with merged adapters: ``tune`` is "full", ``Tuned`` is its encoder."""
    if isinstance(config, dict):
        if str(config.get("type")).rpartition(".")[2] == "Tuned":
            return without_adapters(config["encoder"])
        changed = {key: without_adapters(value) for key, value in config.items()}
        if changed.get("tune") == "lora":
            changed = {**{key: value for key, value in changed.items() if key != "adapters"}, "tune": "full"}
        return changed
    return [without_adapters(value) for value in config] if isinstance(config, list) else config
