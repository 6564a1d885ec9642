"""``python -m rsseg``: the command ``rsseg`` where its script is not on the path."""

from rsseg.cli import main

if __name__ == "__main__":
    main()
