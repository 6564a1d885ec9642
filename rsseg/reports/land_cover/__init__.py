"""Statistics and figures of land-cover label sets."""
