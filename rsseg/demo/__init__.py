"""The demo: the whole path from boxes to a map on procedural scenes, by the commands that a user types."""
