"""Pages and figures made from what other stages wrote."""

from rsseg.reports.comparison import comparison_panels, label_panels

__all__ = ["comparison_panels", "label_panels"]
