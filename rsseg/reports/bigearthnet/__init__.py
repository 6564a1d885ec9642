"""Statistics and figures of a BigEarthNet archive."""

__all__: list[str] = []
