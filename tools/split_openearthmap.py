"""The command ``rsseg split-openearthmap``, for those who know MMSegmentation's tools."""

from start import start

if __name__ == "__main__":
    start("split-openearthmap")
