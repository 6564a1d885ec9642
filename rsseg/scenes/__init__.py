"""Procedural aerial scenes with exact truth, and their files in the layouts of real data sets."""

from rsseg.stack import lazy_package

__all__, __getattr__, __dir__ = lazy_package(
    __name__,
    {
        "kinds": ["KINDS", "class_name"],
        "layouts": ["LAYOUTS", "REGIONS"],
        "regions": ["DOMAINS", "Look", "Region"],
        "scene": ["Scene", "SceneObject", "make_scene", "outlines"],
        "themes": ["THEMES"],
        "writer": ["write_scenes"],
    },
)
