"""Train a box-to-mask network: an mmengine run whose result is one file that the conversion reads."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from rsseg.engine.launch import build_runner
from rsseg.errors import ConfigError
from rsseg.io.configs import merge_options, read_config
from rsseg.running import train
from rsseg.stack import require_stack

__all__ = ["train_box_masks"]

_log = logging.getLogger("rsseg")


def train_box_masks(config: str | Path, **options: Any) -> Path | None:
    """Train, as :func:`rsseg.running.train` does, and see that the network's file is there.

    Args:
        config: A config whose model is a ``BoxMaskModel``.
        **options: As for :func:`rsseg.running.train`.

    Returns:
        ``boxmask.pth`` in the work dir; None in all processes of several but the first.

    Raises:
        ConfigError: The config trains something else.
        UserError: Config, data and options do not go together.
        OSError: A file is missing or cannot be written.
    """
    require_stack()
    from mmengine.dist import is_main_process

    from rsseg.engine.box_masks import BOX_MASK_FILE

    cfg = read_config(config, trust=bool(options.get("trust")))
    if options.get("cfg_options"):
        merge_options(cfg, options["cfg_options"], config)
    if (cfg.get("model") or {}).get("type") != "BoxMaskModel":
        raise ConfigError(f"{config}: expected a config with model=dict(type='BoxMaskModel'); for others: rsseg train")
    _provide_weights(cfg.model)
    checkpoint = train(config, **options)
    if not is_main_process() or checkpoint is None:
        return None
    path = checkpoint.parent / BOX_MASK_FILE
    if not path.is_file():  # killed between the last checkpoint and the validation that writes the file
        cfg.work_dir, cfg.load_from, cfg.launcher = str(checkpoint.parent), str(checkpoint), "none"
        runner = build_runner(cfg)
        runner.val()
    return path


def _provide_weights(model: Any) -> None:
    """Convert the packaged ImageNet weights where the config starts from them and they are not there yet."""
    from rsseg.engine.weights.packaged import HOW_TO_GET, packaged_efficientnet

    init = model.backbone.get("init_cfg") or {}
    path = Path(str(init.get("checkpoint", "")))
    if path.name != "efficientnet_lite0.pth" or path.is_file():
        return
    if packaged_efficientnet(path) is None:
        raise ConfigError(
            f"{path}: no such file. The ImageNet weights come as a package: {HOW_TO_GET}; then run the same command "
            "again. Without them (scores will be lower): --cfg-options model.backbone.init_cfg=None"
        )
    _log.info("ImageNet weights of the encoder: %s", path)
