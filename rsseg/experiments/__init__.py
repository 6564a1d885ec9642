"""Grids of runs: initialisations, label shares and seeds, and the tables made of them."""

__all__: list[str] = []
