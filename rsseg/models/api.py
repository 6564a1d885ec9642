"""What mmseg's ``init_model``, ``inference_model`` and ``MMSegInferencer`` expect of a model besides its forward."""

from __future__ import annotations

from typing import Any

from rsseg.io.pipelines import inference_config, restore_first_step

__all__ = ["WithConfig"]


class WithConfig:
    """A model that keeps its config as mmseg's APIs read it: with a ``test_pipeline`` for files and arrays."""

    @property
    def cfg(self) -> Any:
        """The config that ``init_model`` has built the model from, see :func:`inference_config`.

        Raises:
            AttributeError: The model was built otherwise.
        """
        try:
            config = self.__dict__["_config"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} has no config yet; init_model gives it one") from None
        restore_first_step(config)
        return config

    @cfg.setter
    def cfg(self, config: Any) -> None:
        """Keep a config."""
        self.__dict__["_config"] = inference_config(config)
