"""The site: each page is in its menu, links fit, and it is built with warnings as errors where mkdocs is installed."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from docs.hooks import links, reference
from rsseg.cli import COMMANDS

REPO = Path(__file__).resolve().parents[2]


def _menu(node: object) -> list[str]:
    if isinstance(node, str):
        return [node]
    values = node.values() if isinstance(node, dict) else node
    return [page for value in values for page in _menu(value)]  # type: ignore[attr-defined]


def test_every_document_is_in_the_menu() -> None:
    pages = _menu(yaml.safe_load((REPO / "mkdocs.yml").read_text(encoding="utf-8"))["nav"])
    written = {path.relative_to(REPO / "docs").as_posix() for path in (REPO / "docs").rglob("*.md")}
    made = {f"reference/{name}.md" for name in ("commands", "configs", "classes", "api")}
    assert sorted(pages) == sorted(written | made | set(links.PAGES.values()))


def _anchors(path: Path) -> list[str]:
    found = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    plain = (re.sub(r"[^\w\s-]", "", heading.lower()).strip() for heading in found)
    return [re.sub(r"[-\s]+", "-", heading) for heading in plain]


def test_anchors_lead_to_headings() -> None:
    wrong, seen = [], 0
    for path in [*REPO.glob("*.md"), *(REPO / "docs").rglob("*.md"), *(REPO / "configs").rglob("*.md")]:
        for link, anchor in re.findall(r"\]\(([\w./-]*)#([\w-]+)\)", path.read_text(encoding="utf-8")):
            seen += 1
            if anchor not in _anchors((path.parent / link).resolve() if link else path):
                wrong.append(f"{path.relative_to(REPO)}: {link}#{anchor}")
    assert seen > 40 and not wrong, "\n".join(wrong)


def test_every_recipe_is_listed() -> None:
    index = (REPO / "docs" / "howto.md").read_text(encoding="utf-8")
    for path in (REPO / "docs" / "howto").glob("*.md"):
        for heading in re.findall(r"^## (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            assert f"- [{heading}](howto/{path.name}#" in index, f"docs/howto.md does not list {heading!r}"


def test_links_fit_the_site() -> None:
    text = "[a](docs/howto.md#x) [b](configs/x.py) [c](https://x.org/y) ![d](docs/gallery/map.png) [`e`](LICENSE)"
    moved = "[a](howto.md#x) b [c](https://x.org/y) ![d](gallery/map.png) `e`"
    assert links.move_links(text, "README.md", "index.md") == moved
    assert links.move_links("[a](../data/README.md)", "docs/howto.md", "howto.md") == "[a](data.md)"
    assert links.move_links("[a](../../README.md#b)", "docs/tutorials/t.md", "tutorials/t.md") == "[a](../index.md#b)"


def test_the_reference_is_complete() -> None:
    commands, configs = reference.commands_page(), reference.configs_page()
    assert all(f"### rsseg {name}\n" in commands for name in COMMANDS)
    assert "| `--gsd` | GSD | resample to this pixel size in metres" in commands
    files = [path.name for path in (REPO / "configs").glob("[!_]*/*.py")]
    assert len(files) > 150 and all(f"`{name}`: " in configs for name in files)
    assert "| 4 | plane | 4 |" in reference.classes_page()
    assert "::: rsseg.api.load_model\n" in reference.api_page()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mkdocs") is None, reason="mkdocs is not installed (the extra docs)")
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(REPO), "NO_MKDOCS_2_WARNING": "1", "RSSEG_TUTORIALS": str(tmp_path)}
    command = [sys.executable, "-m", "mkdocs", "build", "-q", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "load_model" in (tmp_path / "site" / "reference" / "api" / "index.html").read_text(encoding="utf-8")
