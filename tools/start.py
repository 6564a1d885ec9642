"""Start a command of rsseg from a checkout, or say what is missing for it."""

import sys
from pathlib import Path


def start(name):  # no annotations: older Pythons shall come as far as the message
    """Run ``rsseg NAME`` with the arguments of this process; a checkout need not be installed."""
    if sys.version_info < (3, 10):  # noqa: UP036
        sys.exit("rsseg needs Python 3.10 or newer; {} is {}.{}".format(sys.executable, *sys.version_info[:2]))
    root = Path(__file__).resolve().parents[1]
    root = root.parents[1] if root.name == ".mim" else root  # installed tools lie in rsseg/.mim
    if (root / "rsseg" / "__init__.py").is_file():
        sys.path.insert(0, str(root))
    try:
        import numpy  # noqa: F401

        import rsseg.cli
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "rsseg"):
            raise
        what = f"The package {error.name!r} is not installed for {sys.executable}."
        sys.exit(f"{what} Activate the environment first (source .venv/bin/activate), or make it: make setup")
    rsseg.cli.start(name)
