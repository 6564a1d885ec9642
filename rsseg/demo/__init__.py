"""The demo: the whole path from boxes to a map on procedural scenes, by the commands that a user types."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(__name__, {"plan": ["TINY", "Plan", "Scale"], "run": ["Demo"]})
