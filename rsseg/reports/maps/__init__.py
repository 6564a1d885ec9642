"""The page of a map, and its picture with a legend."""

__all__: list[str] = []
