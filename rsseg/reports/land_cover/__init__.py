"""Statistics and figures of land-cover label sets."""

__all__: list[str] = []
