"""What comes with the package beside its modules: configs, tools, and the lists of ``data/splits``.

They lie in ``rsseg/.mim``, where mim looks for them (copies in a wheel, links after ``pip install -e .``), or in the
checkout.
"""

from __future__ import annotations

import difflib
from pathlib import Path

from rsseg.errors import ConfigError

__all__ = ["find_packaged", "packaged_config", "packaged_root"]

_PACKAGE = Path(__file__).resolve().parent
_SCOPE = "rsseg"


def packaged_root() -> Path:
    """The folder that holds ``configs``, ``tools`` and ``data/splits``: the checkout, or ``.mim`` of the package."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / "setup.py").is_file() and (checkout / "configs").is_dir() else _PACKAGE / ".mim"


def find_packaged(path: Path | str) -> Path:
    """A file or folder that a config or a command names.

    Args:
        path: Where it should be, relative to the working directory.

    Returns:
        The path as it is, if something is there.  Otherwise what comes with the package under this path: configs
        (``configs/...``), lists (``data/splits/...``) and class tables (``rsseg/metainfo/...``).
    """
    path = Path(path)
    if not path.exists():
        for start, root in (("configs", packaged_root()), ("data/splits", packaged_root()), (_SCOPE, _PACKAGE.parent)):
            if path.is_relative_to(start) and (root / path).exists():
                return root / path
    return path


def packaged_config(name: str) -> Path:
    """File of a config by its path in ``configs``, such as ``samrs/upernet_swin_sep.py``.

    Raises:
        ConfigError: There is no such config; the message lists similar names.
    """
    root = packaged_root() / "configs"
    path = root / name
    if not path.is_file():
        names = [file.relative_to(root).as_posix() for file in sorted(root.rglob("*.py"))]
        similar = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
        raise ConfigError(
            f"{_SCOPE}::{name}: rsseg has no such config; " + (f"similar: {', '.join(similar)}; " if similar else "")
            + f"all of them: {root}"
        )  # fmt: skip
    return path
