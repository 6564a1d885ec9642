"""The page of a map, and its picture with a legend."""
