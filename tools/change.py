"""The command ``rsseg change``, for those who know MMSegmentation's tools."""

from start import start

if __name__ == "__main__":
    start("change")
