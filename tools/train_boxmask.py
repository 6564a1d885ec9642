"""The command ``rsseg train-boxmask``."""

from start import start

if __name__ == "__main__":
    start("train-boxmask")
