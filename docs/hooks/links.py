"""Documents that lie outside of docs/ as pages of the site, and links between documents that fit both places."""

from __future__ import annotations

import os
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "data/README.md": "data.md",
    "configs/bigearthnet/README.md": "methods/bigearthnet.md",
    "configs/landdiscover/README.md": "methods/landdiscover.md",
    "configs/openearthmap/README.md": "methods/openearthmap.md",
}
"""File of the repository -> page of the site."""
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)(#[^)\s]*)?\)")


def site_path(file: str) -> str | None:
    """Where the site has a file of the repository, from the site's root; None where it has none."""
    if file in PAGES:
        return PAGES[file]
    return file.removeprefix("docs/") if file.startswith("docs/") and not file.startswith("docs/hooks") else None


def move_links(text: str, file: str, page: str) -> str:
    """The Markdown text of a document with the links that fit the site.

    Args:
        text: The document.
        file: Its path in the repository.
        page: Its path in the site.

    Returns:
        The text. Links to files that the site lacks become plain text.
    """

    def move(match: re.Match[str]) -> str:
        mark, label, link, anchor = match[1], match[2], match[3], match[4] or ""
        target = os.path.normpath(Path(file).parent / link)
        found = site_path(target)
        if found is None:
            return label if label.startswith("`") or "/" not in label else f"`{label}`"
        return f"{mark}[{label}]({os.path.relpath(found, Path(page).parent)}{anchor})"

    return _LINK.sub(move, text)
