"""What mkdocs calls: adds the pages that are made from the repository, and moves links to where the site has them."""

from __future__ import annotations

import html as markup
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from docs.hooks.blocks import read_blocks
from docs.hooks.links import PAGES, ROOT, move_links
from docs.hooks.reference import api_page, classes_page, commands_page, configs_page
from docs.hooks.tutorials import FOLDER, OUTPUTS, PICTURE, notebook, readable

REFERENCE: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/configs.md": configs_page,
    "reference/classes.md": classes_page,
    "reference/api.md": api_page,
}
_ROLE = re.compile(r":(?:func|class|meth|mod|attr|data):<code>(~?)([\w.]+)(?:\(\))?</code>")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the reference, and the documents outside of docs/."""
    for page, make in REFERENCE.items():
        files.append(File.generated(config, page, content=make()))
    for source, page in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=move_links(text, source, page)))
    for tutorial in FOLDER.glob("*.md"):
        text = tutorial.read_text(encoding="utf-8")
        files.append(File.generated(config, f"tutorials/{tutorial.stem}.ipynb", content=notebook(text)))
        for name, _ in PICTURE.findall(text):
            picture = _run_folder(tutorial.stem) / name
            if picture.is_file():
                files.append(File.generated(config, f"tutorials/{tutorial.stem}/{name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, **kwargs: Any) -> str:
    """Links of documents in docs/ to files outside of it."""
    path = page.file.src_uri
    if path.startswith("tutorials/"):
        markdown = _with_results(markdown, Path(path).stem)
    return markdown if path in REFERENCE or path in PAGES.values() else move_links(markdown, f"docs/{path}", path)


def _run_folder(tutorial: str) -> Path:
    """Where ``make docs`` has run a tutorial, or RSSEG_TUTORIALS says that it was run."""
    return Path(os.environ.get("RSSEG_TUTORIALS") or ROOT / "work_dirs" / "tutorials") / tutorial


def _with_results(text: str, tutorial: str) -> str:
    """A tutorial with its notebook, what its blocks printed, and the pictures that they made."""
    folder = _run_folder(tutorial)
    kept = folder / OUTPUTS
    outputs = json.loads(kept.read_text(encoding="utf-8")) if kept.is_file() else []
    runs = [block for block in read_blocks(text) if block.run]
    for block, output in reversed(list(zip(runs, outputs, strict=False))):
        if lines := readable(output).splitlines():
            fenced = ["```text", *lines, "```"]
            shown = "\n".join(["", "", '??? quote "Output"', "", *(f"    {line}" for line in fenced), ""])
            text = text[: block.end] + shown + text[block.end :]

    def picture(match: re.Match[str]) -> str:
        if not (folder / match[1]).is_file():
            return "*(`make docs` runs the tutorial and shows a picture here.)*"
        caption = markup.escape(match[2])
        return f"![{caption}]({tutorial}/{match[1]})\n\n*{caption}*"

    text = PICTURE.sub(picture, text)
    title, rest = text.split("\n", 1)
    return f"{title}\n\n[This page as a notebook]({tutorial}.ipynb){{ .md-button download }}\n{rest}"


def on_page_content(html: str, page: Page, **kwargs: Any) -> str:
    """Cross-references of docstrings as plain code: ``:class:`~rsseg.x.Y``` becomes ``Y``."""
    return _ROLE.sub(lambda match: f"<code>{match[2].rpartition('.')[2] if match[1] else match[2]}</code>", html)
