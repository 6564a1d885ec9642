"""Statistics and figures of a BigEarthNet archive."""
