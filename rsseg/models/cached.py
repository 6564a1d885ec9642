"""Features of frozen encoders, computed once for each image and read from files afterwards."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import MMLogger
from mmseg.registry import MODELS
from torch import nn

import rsseg
from rsseg.errors import ConfigError, DataError
from rsseg.io.checkpoints import load_file
from rsseg.io.files import replacing

__all__ = ["FeatureStore", "cached"]

_UNSEEN = 1000
"""After so many images without one that was seen before, the log says that nothing is gained."""

_FILES = ("weights", "init_cfg")
"""Settings that say where weights are from, whose values count."""

_FULL = (errno.ENOSPC, errno.EDQUOT)


def _hash_of(value: torch.Tensor, begun: bytes = b"") -> bytes:
    plain = value.detach().cpu().contiguous()
    text = f"{plain.dtype} {tuple(plain.shape)}".encode()
    return hashlib.sha256(begun + text + plain.flatten().view(torch.uint8).numpy().tobytes()).digest()


def _settings_of(encoder: nn.Module) -> str:
    """Plain values that the parts of an encoder hold, such as which maps it gives; the values of weights apart."""
    found = []
    for name, module in encoder.named_modules():
        for key, value in sorted(vars(module).items()):
            parts = value if isinstance(value, list | tuple) else [value]
            plain = all(part is None or isinstance(part, bool | int | float | str) for part in parts)
            if plain and not key.startswith("_") and key not in ("training", *_FILES):
                found.append((name, key, value))
    return repr(found)


class FeatureStore:
    """Files of features, each named by the SHA-256 of all that they depend on.

    That is the pixels as the encoder gets them, the values of all its weights and buffers, its class and settings, the
    versions of rsseg and PyTorch, and the precision of automatic casting: whatever changes, it is another file, and an
    old one is never taken for it.

    Args:
        folder: Of the files; several trainings and processes may share it.
        limit_gb: What this process writes at most, in GB (1e9 bytes); further features are computed each time, as they
            are where the disk is full.
    """

    def __init__(self, folder: Path | str, limit_gb: float) -> None:
        self.folder, self.limit = Path(folder), limit_gb * 1e9
        self.found = self.computed = 0
        self._written = 0
        self._weights: tuple[tuple[int, int], ...] = ()
        self._identity = b""

    def identity(self, encoder: nn.Module) -> bytes:
        """What an encoder is: hashed anew where a weight has been written since, or after :meth:`forget`."""
        values = [*encoder.parameters(), *encoder.buffers()]
        state = tuple((value.data_ptr(), value._version) for value in values)
        if state != self._weights:
            code = f"{type(encoder).__module__}.{type(encoder).__name__} {torch.__version__} {rsseg.__version__}"
            digest = hashlib.sha256(code.encode())
            for key, value in encoder.state_dict().items():
                digest.update(key.encode() + _hash_of(value))
            for key, value in encoder.named_buffers():
                digest.update(key.encode() + _hash_of(value))
            digest.update(repr(sorted(getattr(encoder, "feature_settings", {}).items())).encode())
            self._weights, self._identity = state, digest.digest()
        return self._identity

    def forget(self) -> None:
        """Let the weights be hashed anew: what is written to their ``data`` cannot be seen otherwise."""
        self._weights = ()

    def read(self, path: Path, device: torch.device) -> list[torch.Tensor] | None:
        """Maps of one image; None where there is no file, or a damaged one, which is then written anew."""
        if not path.is_file():
            return None
        try:
            maps = [value.to(device) for value in load_file(path)]
        except DataError as error:
            MMLogger.get_current_instance().warning(f"features are computed again: {error}")
            return None
        self.found += 1
        return maps

    def write(self, path: Path, maps: list[torch.Tensor]) -> None:
        """Keep the maps of one image, unless the limit is reached."""
        self.computed += 1
        if self.computed == _UNSEEN and not self.found:
            MMLogger.get_current_instance().warning(
                f"{self.folder}: none of {_UNSEEN} images was seen before; cached features are of use where the "
                "training pipeline has nothing random in it"
            )
        size = sum(value.numel() * value.element_size() for value in maps)
        if self._written + size > self.limit:
            return
        if self._written + 2 * size > self.limit:
            MMLogger.get_current_instance().warning(
                f"{self.folder}: limit_gb is reached; the rest is computed each time"
            )
        self._written += size
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(path, "features") as file:
                torch.save([value.detach().cpu().clone() for value in maps], file)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            self.limit = 0.0
            MMLogger.get_current_instance().warning(f"{error.strerror}; the rest is computed each time")

    def path_of(self, encoder: nn.Module, image: torch.Tensor) -> Path:
        """The file of one image (bands, H, W)."""
        kind = image.device.type
        cast = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        name = _hash_of(image, self.identity(encoder) + str(cast).encode()).hex()
        return self.folder / name[:2] / f"{name}.pth"


class _Cached:
    """The part of such an encoder's class that comes before its own."""

    feature_store: FeatureStore

    def train(self, mode: bool = True) -> Any:
        """Training mode, of what is not frozen; averages of weights come and go with it."""
        self.feature_store.forget()
        return super().train(mode)  # type: ignore[misc]

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Maps of images (B, bands, H, W): those that are in the files from there, the others computed together."""
        encoder: Any = self
        store = self.feature_store
        paths = [store.path_of(encoder, image) for image in images]
        rows = [store.read(path, images.device) for path in paths]
        missing = [i for i, row in enumerate(rows) if row is None]
        if missing:
            with torch.no_grad():
                maps = super().forward(images[missing])  # type: ignore[misc]
            for i, own in zip(missing, zip(*maps, strict=True), strict=True):
                rows[i] = list(own)
                store.write(paths[i], rows[i])  # type: ignore[arg-type]
        return tuple(torch.stack(level) for level in zip(*rows, strict=True))


@MODELS.register_module(name="Cached")
def cached(encoder: Any, folder: str, limit_gb: float = 50.0) -> nn.Module:
    """A frozen encoder whose features are kept: ``backbone=dict(type="Cached", encoder=dict(...), folder=...)``.

    For trainings and tests whose pipeline gives the same pixels for an image each time: no random crop, flip or color.

    Args:
        encoder: Its config, or the module itself, which is changed; no part of it may be trained.
        folder: See :class:`FeatureStore`.
        limit_gb: See there.

    Returns:
        The encoder itself, an instance of its class; parameters have the names that they have without this.

    Raises:
        ConfigError: A part of the encoder is trained, or would behave otherwise in training.
    """
    module: Any = encoder if isinstance(encoder, nn.Module) else MODELS.build(encoder)
    trained = [name for name, value in module.named_parameters() if value.requires_grad]
    module.train()
    active = [name for name, part in module.named_modules() if part.training and name]
    if trained or active:
        raise ConfigError(
            f"cached features are for encoders that are frozen (tune='frozen'); of {type(module).__name__} "
            f"{(trained or active)[0]} is trained"
        )
    named = {} if isinstance(encoder, nn.Module) else encoder
    settings = {key: repr(value) for key, value in named.items() if key not in _FILES}
    module.feature_settings = {**settings, "parts": _settings_of(module)}
    module.feature_store = FeatureStore(folder, limit_gb)
    own = type(module)
    module.__class__ = type(own.__name__, (_Cached, own), {"__module__": own.__module__})
    return module
