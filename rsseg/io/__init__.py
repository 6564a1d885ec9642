"""Files, each thing once: atomic writing, checkpoints, progress; import them from their modules."""
