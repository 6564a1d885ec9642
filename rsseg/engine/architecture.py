"""The architecture that a search has found so far: kept within its bounds, written and drawn while it trains."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmseg.registry import HOOKS
from PIL import Image

from rsseg.engine.checks import bare_model
from rsseg.errors import ConfigError
from rsseg.io.files import replacing
from rsseg.io.tables import write_json
from rsseg.structures.architectures import draw_architecture

__all__ = ["ARCHITECTURE", "Searched", "TrackArchitecture", "searched_part"]

ARCHITECTURE = "architecture.json"
"""Name of the file in a search's work dir."""


@runtime_checkable
class Searched(Protocol):
    """What a model or one of its parts has where it is searched."""

    def architecture(self) -> dict[str, Any]:
        """The architecture so far, as a JSON file holds it."""

    def after_step(self) -> None:
        """Bring the parameters of the architecture back into their bounds."""


def searched_part(model: Any) -> Searched:
    """The part of a model that is searched.

    Raises:
        ConfigError: Nothing is.
    """
    for part in bare_model(model).modules():
        if isinstance(part, Searched):
            return part
    raise ConfigError(
        f"{type(bare_model(model)).__name__} has no part that is searched; use a config of a search, such as "
        "configs/openearthmap/sparsemask_trial1_openearthmap.py"
    )


@HOOKS.register_module()
class TrackArchitecture(Hook):
    """Keep the architecture's parameters within their bounds after each step; write and draw it now and then.

    ``<work_dir>/architecture.json`` and ``architecture.png`` are those of the last time; pictures also go to the
    visualizer, and so to trackers.

    Args:
        interval: Iterations from one picture to the next.
    """

    priority = "ABOVE_NORMAL"  # before checkpoints are written

    def __init__(self, interval: int = 500) -> None:
        self.interval = interval
        self._part: Searched | None = None

    def before_train(self, runner: Runner) -> None:
        """Find the part that is searched."""
        self._part = searched_part(runner.model)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Clip; write and draw at each ``interval``-th iteration."""
        assert self._part is not None
        self._part.after_step()
        if self.every_n_train_iters(runner, self.interval):
            self._write(runner, runner.iter + 1)

    def after_train(self, runner: Runner) -> None:
        """Write and draw what was found."""
        self._write(runner, runner.iter)

    def _write(self, runner: Runner, step: int) -> None:
        if self._part is None or not is_main_process():
            return
        found, folder = self._part.architecture(), Path(runner.work_dir)
        picture = draw_architecture(found)
        write_json(folder / ARCHITECTURE, {**found, "iteration": step})
        with replacing(folder / "architecture.png") as file:
            Image.fromarray(picture).save(file, "PNG")
        runner.visualizer.add_image("architecture.png", picture, step)
