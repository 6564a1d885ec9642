"""rsseg: remote-sensing segmentation on MMSegmentation."""

__version__ = "0.1.0"
