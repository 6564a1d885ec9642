"""Ways by which the MM stack, torch and open_clip would run what a weight file says, closed as soon as they are there.

``import rsseg`` watches for the modules below.  Where one is imported, before or after, in a tool of rsseg or of mmseg,

- every scheme of mmengine's ``CheckpointLoader`` reads by :func:`rsseg.io.checkpoints.load_file`, so that ``--resume``,
  ``load_from``, ``init_cfg``, ``init_model``, ``get_model`` and hooks do; its own loader unpickles what it refuses at
  first;
- downloads are kept by their address (:mod:`rsseg.io.downloads`);
- the text of a config in a checkpoint is never parsed: mmengine would run it as Python, and a parsed config names
  classes to be called;
- ``torch.load`` reads weights only, whatever its caller says (``TORCH_FORCE_WEIGHTS_ONLY_LOAD``, a switch of torch).

``--trust`` (``RSSEG_TRUST=1``) leaves all but the second and third out.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rsseg.command_list import command
from rsseg.errors import ConfigError, DataError
from rsseg.imports import after_import
from rsseg.io.trust import force_weights_only, trusted

__all__ = ["guard", "load_from_http", "load_from_local", "load_from_torchvision"]


def load_from_local(filename: str, map_location: Any = None) -> Any:
    """Local files in mmengine's loader; the text of a config in them is left out.

    Raises:
        FileNotFoundError: There is no such file.
        DataError: It is damaged, or holds more than tensors, arrays and plain values.
    """
    from rsseg.io.checkpoints import load_file
    from rsseg.io.resuming import offer_another

    path = Path(filename).expanduser()
    if not path.is_file():
        advice = offer_another(path) or (
            f"Third-party weights must be converted first: {command('weights')} FILE OUT; the docstring of the "
            "config says from which file"
        )
        raise FileNotFoundError(f"{filename}: no such checkpoint. {advice}")
    try:
        return _without_config(load_file(filename, map_location))
    except DataError as error:
        if advice := offer_another(path):
            raise DataError(f"{error}. {advice}") from error
        raise


def _without_config(content: Any) -> Any:
    """What :meth:`mmengine.runner.Runner.resume` gets: without ``meta["config"]``, which it would run as Python."""
    meta = content.get("meta") if isinstance(content, dict) else None
    if isinstance(meta, dict):
        meta.pop("config", None)
    return content


def load_from_http(filename: str, map_location: Any = None, model_dir: str | None = None, **_: Any) -> Any:
    """Download once into torch's cache of checkpoints, see :func:`rsseg.io.downloads.download`, then read.

    Raises:
        DataError: The content is not what the address says, or has changed since; or as for :func:`load_from_local`.
        OSError: It cannot be downloaded.
    """
    import torch

    from rsseg.io.downloads import download

    folder = Path(model_dir) if model_dir else Path(torch.hub.get_dir()) / "checkpoints"
    return load_from_local(str(download(filename, folder)), map_location)


def load_from_hub(filename: str, map_location: Any = None) -> Any:
    """Weights of ``hf://OWNER/NAME``, see :mod:`rsseg.io.hub`."""
    from rsseg.io.hub import local_file

    return load_from_local(str(local_file(filename)), map_location)


def load_from_torchvision(filename: str, map_location: Any = None) -> Any:
    """ImageNet weights of torchvision by model name, for example ``torchvision://resnet50``."""
    from mmengine.runner.checkpoint import get_torchvision_models

    return load_from_http(_named(get_torchvision_models(), filename), map_location)


def load_from_openmmlab(filename: str, map_location: Any = None) -> Any:
    """Weights of ``open-mmlab://NAME``: an address, or a file below mmengine's home."""
    from mmengine.runner.checkpoint import _get_mmengine_home, get_deprecated_model_names, get_external_models

    name = filename.partition("://")[2]
    address = _named(get_external_models(), f"open-mmlab://{get_deprecated_model_names().get(name, name)}")
    if address.startswith(("http://", "https://")):
        return load_from_http(address, map_location)
    return load_from_local(str(Path(_get_mmengine_home()) / address), map_location)


def load_from_mmcls(filename: str, map_location: Any = None) -> Any:
    """Backbones of ``mmcls://NAME``."""
    from mmengine.runner.checkpoint import _process_mmcls_checkpoint, get_mmcls_models

    return _process_mmcls_checkpoint(load_from_http(_named(get_mmcls_models(), filename), map_location))


def load_from_ceph(filename: str, map_location: Any = None, backend: str = "petrel") -> Any:
    """Weights of ``s3://`` and ``petrel://``, by the client that mmengine has for them."""
    from mmengine.fileio import get_file_backend

    client = get_file_backend(filename, backend_args={"backend": backend})
    return load_buffer(io.BytesIO(client.get(filename)), map_location, name=filename)


def load_from_others(filename: str, map_location: Any = None) -> Any:
    """Schemes that only read through clients of their own."""
    raise ConfigError(f"{filename}: this address is not supported; download the file and name its path")


def load_buffer(file: Any, map_location: Any = None, name: str | None = None, **_: Any) -> Any:
    """A file, or an open one, in place of ``torch.load`` in mmengine."""
    from rsseg.io.checkpoints import load_open_file

    if isinstance(file, str | os.PathLike):
        return load_from_local(os.fspath(file), map_location)
    return _without_config(load_open_file(file, name or "the checkpoint", map_location))


def _named(addresses: dict[str, str], request: str) -> str:
    name = request.partition("://")[2]
    if name not in addresses:
        raise ConfigError(f"{request}: mmengine knows no such weights; it knows {', '.join(sorted(addresses)[:5])} ...")
    return addresses[name]


_SCHEMES: dict[Callable[..., Any], tuple[str, ...]] = {
    load_from_local: ("",),
    load_from_http: ("http://", "https://"),
    load_from_hub: ("hf://",),
    load_from_torchvision: ("modelzoo://", "torchvision://"),
    load_from_openmmlab: ("open-mmlab://", "openmmlab://"),
    load_from_mmcls: ("mmcls://",),
    load_from_ceph: (r"(\S+\:)?s3://", r"(\S+\:)?petrel://"),
}


def _guard_loader(module: Any) -> None:
    loader = module.CheckpointLoader
    own = {prefix for prefixes in _SCHEMES.values() for prefix in prefixes}
    for prefix, function in list(loader._schemes.items()):
        if prefix not in own and str(function.__module__).startswith("mmengine."):
            loader.register_scheme(prefixes=prefix, loader=load_from_others, force=True)
    for function, prefixes in _SCHEMES.items():
        loader.register_scheme(prefixes=prefixes, loader=function, force=True)
    module._safe_torch_load, module.load_url = load_buffer, load_from_http
    for name in ("local", "http", "torchvision", "openmmlab", "mmcls", "ceph"):
        setattr(module, f"load_from_{name}", globals()[f"load_from_{name}"])
    force_weights_only()


def _guard_downloads(module: Any) -> None:
    module.load_url = load_from_http


def _guard_inferencer(module: Any) -> None:
    build = module.BaseInferencer._init_model

    def build_from_config(self: Any, cfg: Any, weights: str | None, *args: Any, **kwargs: Any) -> Any:
        if not cfg and not trusted():
            raise ConfigError(
                f"{weights}: an inferencer needs a config; the one inside a checkpoint is a program, which is not run. "
                "Name the config file, or set RSSEG_TRUST=1 if you made this checkpoint or trust who did"
            )
        return build(self, cfg, weights, *args, **kwargs)

    module.BaseInferencer._init_model = build_from_config


def _guard_openai(module: Any) -> None:
    load = module.load_openai_model

    def load_weights(name: str, *args: Any, **kwargs: Any) -> Any:
        from rsseg.io.archives import archive_names, is_program

        if Path(name).is_file() and not trusted():
            with Path(name).open("rb") as file:
                if is_program(archive_names(file)):
                    raise DataError(
                        f"{name}: is a TorchScript archive, a program that torch.jit.load would run; read its "
                        "weights by rsseg.models.gsnet.clip_files.read_clip_state, or set RSSEG_TRUST=1 if you trust it"
                    )
        return load(name, *args, **kwargs)

    module.load_openai_model = load_weights
    if (package := sys.modules.get("open_clip")) is not None and hasattr(package, "load_openai_model"):
        package.load_openai_model = load_weights  # type: ignore[attr-defined]


_GUARDS: dict[str, Callable[[Any], None]] = {
    "mmengine.runner.checkpoint": _guard_loader,
    "mmengine.utils.dl_utils": _guard_downloads,
    "mmengine.utils.dl_utils.hub": _guard_downloads,
    "mmengine.infer.infer": _guard_inferencer,
    "open_clip.openai": _guard_openai,
}


def guard() -> None:
    """Guard this process: modules that are imported at once, the others as soon as they are."""
    for name, close in _GUARDS.items():
        after_import(name, close)
