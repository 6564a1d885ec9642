"""The page of a labelled set: statistics, figures, gallery."""
