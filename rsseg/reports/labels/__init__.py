"""The page of a labelled set: statistics, figures, gallery."""

__all__: list[str] = []
