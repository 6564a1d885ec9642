"""Procedural aerial scenes with exact truth, and their files in the layouts of real data sets."""

from .kinds import KINDS, class_name
from .layouts import LAYOUTS, REGIONS
from .scene import Scene, SceneObject, make_scene, outlines
from .themes import THEMES
from .writer import write_scenes

__all__ = [
    "KINDS",
    "LAYOUTS",
    "REGIONS",
    "THEMES",
    "Scene",
    "SceneObject",
    "class_name",
    "make_scene",
    "outlines",
    "write_scenes",
]
