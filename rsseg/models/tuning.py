"""How much of an encoder is trained: all of it, nothing, or small adapters beside its layers (LoRA)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import torch
from mmseg.registry import MODELS
from torch import nn

from rsseg.errors import ConfigError, DataError, MissingPackageError
from rsseg.io.checkpoints import load_file, state_of
from rsseg.io.files import sha256_of
from rsseg.io.hub import local_file
from rsseg.models.adapted_attention import use_exact_attention
from rsseg.structures.keys import plain_key, to_adapted

__all__ = ["TUNED", "AdapterSettings", "Base", "Tuning", "tune_encoder", "tuned"]

TUNED = ("full", "frozen", "lora")
_NAME = "default"
"""Of the one set of adapters, as peft calls it."""


@dataclass(frozen=True)
class AdapterSettings:
    """Size and place of the adapters.

    Attributes:
        rank: Columns of each adapter.
        alpha: What an adapter gives is multiplied by ``alpha / rank``.
        dropout: Share of an adapter's inputs that is dropped in training; 0 beside attention modules of PyTorch.
        targets: Regular expression of the full names of the layers within the encoder; None takes all linear layers
            and attention modules.
        also: Regular expression of the full names of other parameters that are trained, such as norms which the
            pre-trained file lacks.
    """

    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    targets: str | None = None
    also: str | None = None

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha <= 0 or not 0 <= self.dropout < 1:
            raise ConfigError(
                f"adapters of rank={self.rank}, alpha={self.alpha}, dropout={self.dropout}: expected a rank of at "
                "least 1, an alpha above 0 and a dropout from 0 to below 1"
            )
        for name in ("targets", "also"):
            try:
                re.compile(getattr(self, name) or "")
            except re.error as error:
                raise ConfigError(
                    f"adapters: {name}={getattr(self, name)!r} is no regular expression: {error}"
                ) from error


class Base(NamedTuple):
    """The weights that adapters were trained beside."""

    file: str
    """File, or its address on the hub."""
    sha256: str
    prefix: str | None = None
    """What the encoder's weights are called in the file, such as ``backbone.``; None where it is an encoder's own."""


class Tuning:
    """What an encoder knows of how it is tuned, in its attribute ``tuning``.

    Args:
        tune: One of ``TUNED``.
        settings: Of the adapters.

    Attributes:
        adapts: Whether there are adapters in it.
        base: The file that the rest of it is from, once it is loaded; None where it began at random.
        kept: Names of what is not in that file as it is: inflated or resized, or new.
    """

    def __init__(self, tune: str, settings: AdapterSettings) -> None:
        self.tune, self.settings = tune, settings
        self.adapts = tune == "lora"
        self.base: Base | None = None
        self.kept: frozenset[str] = frozenset()
        self.trained: frozenset[str] = frozenset()

    def hold(self, encoder: nn.Module) -> None:
        """Put into evaluation what is not trained: all of it, or with adapters the batch norms."""
        for module in encoder.modules():
            if self.tune == "frozen" or (self.tune == "lora" and isinstance(module, nn.modules.batchnorm._BatchNorm)):
                module.training = False

    def begin(self, encoder: Any) -> None:
        """After an encoder's first weights are there: adapters that change nothing yet, and where the others are from.

        Raises:
            FileNotFoundError: The file that it names is not there any more.
        """
        for _, layer in _adapted_layers(encoder):
            layer.reset_lora_parameters(_NAME, True)
        file = self.file_of(encoder)
        if self.adapts and file is not None:
            self.note_base(encoder, file)

    def note_base(self, encoder: nn.Module, file: str, prefix: str | None = None) -> None:
        """Note the file that an encoder's weights have been loaded from.

        Args:
            encoder: The encoder, after loading.
            file: The file, or its address on the hub.
            prefix: See :class:`Base`.
        """
        path = local_file(file)
        there = {_digest(value) for value in state_of(load_file(path), path).values()}
        self.kept = frozenset(key for key, value in encoder.state_dict().items() if _digest(value) not in there)
        self.base = Base(file, sha256_of(path), prefix)

    @staticmethod
    def file_of(encoder: Any) -> str | None:
        """The file that an encoder's own weights are from: its ``weights``, or that of its ``init_cfg``."""
        if getattr(encoder, "weights", None):
            return str(encoder.weights)
        config = getattr(encoder, "init_cfg", None)
        return str(config["checkpoint"]) if isinstance(config, dict) and config.get("type") == "Pretrained" else None

    @staticmethod
    def use_file(encoder: Any, file: str) -> None:
        """Let ``init_weights`` read this file."""
        if hasattr(encoder, "weights"):
            encoder.weights = file
        else:
            encoder.init_cfg = {**(encoder.init_cfg or {}), "type": "Pretrained", "checkpoint": file}

    def describe(self) -> dict[str, Any]:
        """Settings and base for a checkpoint's ``meta``, as plain values."""
        return {**asdict(self.settings), **(self.base._asdict() if self.base else {"file": None})}

    def merge(self, encoder: nn.Module) -> None:
        """Add the adapters to the weights, in place, and take them out: the encoder is then a plain one."""
        for name, layer in list(_adapted_layers(encoder)):
            inner = layer.get_base_layer()
            if isinstance(inner, nn.MultiheadAttention):  # peft would make new parameters, which an optimizer lacks
                inner.in_proj_weight.data += layer.get_delta_weight(_NAME)
            else:
                layer.merge()
            parent, _, last = plain_key(name).rpartition(".")
            setattr(encoder.get_submodule(parent), last, inner)
        self.adapts = False
        for name, value in encoder.named_parameters():
            value.requires_grad_(name in self.trained)


def _digest(value: torch.Tensor) -> bytes:
    """Of shape and values, which are the same in another precision where they fit into both."""
    plain = value.detach().cpu().float().contiguous()
    return hashlib.sha256(repr(tuple(plain.shape)).encode() + plain.numpy().tobytes()).digest()


def _adapted_layers(encoder: nn.Module) -> Iterator[tuple[str, Any]]:
    """Layers with adapters by name, outer ones first."""
    for name, module in encoder.named_modules():
        if hasattr(module, "lora_A") and hasattr(module, "get_base_layer"):
            yield name, module


def tune_encoder(encoder: nn.Module, tune: str, settings: Mapping[str, Any] | None = None) -> Tuning:
    """Prepare an encoder for a kind of training, in place; its class and the names of what it has stay.

    Args:
        encoder: Any module; its weights may be loaded before or afterwards, by their plain names.
        tune: ``"full"``, ``"frozen"``, or ``"lora"``: adapters are added and trained alone.
        settings: Of the adapters, see :class:`AdapterSettings`.

    Returns:
        What it is tuned by; it is in ``encoder.tuning``, too.  Whoever calls this calls its ``hold`` at the end of the
        encoder's ``train``, and its ``begin`` after ``init_weights``.

    Raises:
        ConfigError: An option is not allowed, or no layer is called as ``targets`` says.
        MissingPackageError: peft is not installed.

    Source: LoRA (arXiv 2106.09685), through peft.
    """
    if tune not in TUNED:
        raise ConfigError(f"tune={tune!r}: expected one of: {', '.join(TUNED)}")
    try:
        parsed = AdapterSettings(**(settings or {}))
    except TypeError as error:
        raise ConfigError(f"adapters: {error}; expected: {', '.join(AdapterSettings.__annotations__)}") from error
    if settings and tune != "lora":
        raise ConfigError(f'adapters are given with tune={tune!r}; they belong to tune="lora"')
    if getattr(getattr(encoder, "tuning", None), "adapts", False):
        raise ConfigError(
            f"{type(encoder).__name__} has adapters already: set tune='lora' at it or at Tuned around it, not at both"
        )
    tuning = Tuning(tune, parsed)
    tuning.trained = frozenset(name for name, value in encoder.named_parameters() if value.requires_grad)
    if tune != "full":
        encoder.requires_grad_(False)
    if tune == "lora":
        _add_adapters(encoder, parsed)
        encoder.register_load_state_dict_pre_hook(_take_plain_names)
    encoder.tuning = tuning  # type: ignore[assignment]
    return tuning


def _add_adapters(encoder: nn.Module, settings: AdapterSettings) -> None:
    try:
        from peft import LoraConfig, inject_adapter_in_model
    except ImportError as error:
        raise MissingPackageError('Adapters come from peft. Run: python -m pip install "rsseg[hf]"') from error
    names = _layers(encoder)
    chosen = [name for name in names if settings.targets is None or re.fullmatch(settings.targets, name)]
    if not chosen:
        raise ConfigError(
            f"adapters: targets={settings.targets!r} names no layer of {type(encoder).__name__}; it has "
            f"{', '.join(names[:5]) or 'neither linear layers nor attention modules'}"
        )
    for name in chosen:
        if name.endswith("qkv") and getattr(encoder.get_submodule(name.rpartition(".")[0]), "q_bias", None) is not None:
            raise ConfigError(
                f"adapters: {name} of {type(encoder).__name__} is never called, since its bias is apart (q_bias); use "
                "the model without such biases (of DINOv3 the name without _qkvb, whose output is the same), or leave "
                "it out by targets"
            )
        if settings.dropout and isinstance(encoder.get_submodule(name), nn.MultiheadAttention):
            raise ConfigError(
                f"adapters: dropout={settings.dropout} has no effect beside {name} of {type(encoder).__name__}, an "
                "attention module whose weights are used at once; set it to 0, or leave the module out by targets"
            )
    pattern = "|".join(map(re.escape, chosen))  # peft compares the ends of names in a list
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=settings.alpha,  # type: ignore[arg-type]
        lora_dropout=settings.dropout,
        target_modules=pattern,
    )
    others = [name for name, _ in encoder.named_parameters() if re.fullmatch(settings.also or "", name)]
    if settings.also is not None and not others:
        raise ConfigError(f"adapters: also={settings.also!r} names no parameter of {type(encoder).__name__}")
    inject_adapter_in_model(config, encoder, adapter_name=_NAME)
    use_exact_attention(encoder)
    for name, value in encoder.named_parameters():
        if plain_key(name) in others:
            value.requires_grad_(True)


def _layers(encoder: nn.Module) -> list[str]:
    """Names of the layers that adapters may stand beside."""
    inside = tuple(f"{name}." for name, module in encoder.named_modules() if isinstance(module, nn.MultiheadAttention))
    return [
        name
        for name, module in encoder.named_modules()
        if isinstance(module, nn.Linear | nn.MultiheadAttention) and not (inside and name.startswith(inside))
    ]


def _take_plain_names(module: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    """Before a module with adapters loads: weights of a plain one get its names; adapters alone are refused."""
    own = {prefix + key: value for key, value in module.state_dict().items()}
    renamed = to_adapted({key: value for key, value in state.items() if key.startswith(prefix)}, own)
    if any("lora_" in key for key in renamed) and (missing := [key for key in own if key not in renamed]):
        raise DataError(
            f"a checkpoint with adapters alone ({len(missing)} other weights are missing, such as {missing[0]}); load "
            "it by rsseg.engine.load_pretrained, or make a plain one: rsseg weights CHECKPOINT OUT --to merged "
            "--config CONFIG"
        )
    for key in [key for key in state if key.startswith(prefix)]:
        del state[key]
    state.update(renamed)


class _Tuned:
    """The part of a tuned encoder's class that comes before its own."""

    tuning: Tuning

    def init_weights(self) -> None:
        """Initial weights as the encoder has them."""
        super().init_weights()  # type: ignore[misc]
        self.tuning.begin(self)

    def train(self, mode: bool = True) -> Any:
        """Training mode; what is frozen stays in evaluation."""
        super().train(mode)  # type: ignore[misc]
        self.tuning.hold(self)  # type: ignore[arg-type]
        return self


@MODELS.register_module(name="Tuned")
def tuned(encoder: Any, tune: str, **adapters: Any) -> nn.Module:
    """Any encoder, tuned as :func:`tune_encoder` says: ``backbone=dict(type="Tuned", encoder=dict(...), tune="lora")``.

    Args:
        encoder: Its config, or the module itself, which is changed.
        tune: ``"full"``, ``"frozen"`` or ``"lora"``.
        **adapters: Settings of the adapters: ``rank``, ``alpha``, ``dropout``, ``targets``, ``also``.

    Returns:
        The encoder itself, an instance of its class; parameters have the names that they have without this.

    Raises:
        ConfigError: As for :func:`tune_encoder`.
        MissingPackageError: As there.
    """
    module: Any = encoder if isinstance(encoder, nn.Module) else MODELS.build(encoder)
    tune_encoder(module, tune, adapters)
    own = type(module)
    module.__class__ = type(own.__name__, (_Tuned, own), {"__module__": own.__module__})
    module.train(module.training)
    return module
