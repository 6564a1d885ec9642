"""Files, each thing once: atomic writing, checkpoints, progress; import them from their modules."""

__all__: list[str] = []
