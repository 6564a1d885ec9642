"""The page of ``rsseg serve`` and its interface for programs: maps, own words, clicks and boxes, label review."""

__all__: list[str] = []
