"""Checks of the files behind a segmentation config, before training."""

__all__: list[str] = []
