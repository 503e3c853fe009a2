"""Builds the documentation site.

    python docs/build.py

The pages are copied to `build/pages/`, at the same paths as in the repository, so that their links remain valid. From
these pages, zensical, or another generator that reads `mkdocs.yml`, builds `site/`. The Markdown of each page is stored
next to it, and `llms.txt` lists all pages. To look at the site: `python -m http.server --directory site`.
"""

from __future__ import annotations

import os
import posixpath
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import yaml

sys.path.insert(0, str(Path(__file__).parent))
from api_pages import api_pages

REPOSITORY = Path(__file__).resolve().parents[1]
#: Pages of the site, in addition to those to which they link.
PAGES = ("README.md", "docs/**/*.md", "*.md", "benchmarks/*.md", "plugins/*/README.md")
#: Suffixes of files that are copied unchanged.
PICTURES = {".jpg", ".png", ".svg"}
LANGUAGES = {".py": "python", ".toml": "toml", ".ipynb": "json"}
#: A code block, or a link to something of the repository: text, path and anchor.
LINK = re.compile(
    r"^(?P<fence>`{3,}).*?^(?P=fence)$|(?P<text>\]\()(?P<path>[^()\s#:]+)(?P<anchor>#[^()\s]*)?\)", re.M | re.S
)


def build(work: Path = REPOSITORY) -> Path:
    """Writes the folder `site` in `work`."""
    pages, site = work / "build" / "pages", work / "site"
    for folder in (pages, site):
        shutil.rmtree(folder, ignore_errors=True)
    write_pages(pages)
    if work != REPOSITORY:
        shutil.copy(REPOSITORY / "mkdocs.yml", work)
    command = [
        sys.executable,
        "-m",
        "zensical",
        "build",
        "--clean",
        "--strict",
        "--config-file",
        str(work / "mkdocs.yml"),
    ]
    subprocess.run(command, check=True, cwd=work)
    for page in pages.rglob("*.md"):
        shutil.copy(page, site / page.relative_to(pages))
    (site / "llms.txt").write_text(llms_txt(pages), encoding="utf-8")
    return site


def write_pages(folder: Path) -> None:
    """Writes every page of the site as Markdown: pages of the repository, their link targets, the Python reference."""
    texts = api_pages()
    waiting = sorted({path for pattern in PAGES for path in REPOSITORY.glob(pattern)})
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        name = place(path)
        if path.suffix in PICTURES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / name)
            continue
        text = page_of(path)
        texts[name] = LINK.sub(lambda link, path=path: moved(link, path), text)
        if path.suffix == ".ipynb":
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, (folder / name).parent)
            texts[name] += f"\nThis page is the notebook [{path.name}]({path.name}), to run it yourself.\n"
        found = [target for target in targets(text, path) if target not in seen]
        seen.update(found)
        waiting += found
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")


def place(path: Path) -> str:
    """Path of the page for a file or a folder of the repository."""
    name = path.relative_to(REPOSITORY).as_posix()
    if path.is_dir():
        return f"{name}/index.md"
    if path.name == "README.md":
        return f"{name.removesuffix('README.md')}index.md"
    return name if path.suffix in {".md", *PICTURES} else f"{name}.md"


def targets(text: str, path: Path) -> Iterator[Path]:
    """Files and folders of the repository to which a page links."""
    for link in LINK.finditer(text):
        if link["path"]:
            target = Path(os.path.normpath(path.parent / link["path"]))
            if target.exists():
                yield target / "README.md" if (target / "README.md").is_file() else target


def moved(link: re.Match[str], path: Path) -> str:
    """The link, rewritten for the pages."""
    target = Path(os.path.normpath(path.parent / link["path"])) if link["path"] else None
    if target is None or not target.exists():
        return link[0]
    relative = posixpath.relpath(place(target), posixpath.dirname(place(path)) or ".")
    return f"{link['text']}{relative}{link['anchor'] or ''})"


def page_of(path: Path) -> str:
    """Markdown that shows the content of a file or a folder."""
    if path.is_dir():
        listed = [
            f"- [{title_of(page.read_text(encoding='utf-8'))}]({page.name})" for page in sorted(path.glob("*.md"))
        ]
        return "\n".join([f"# {path.name.capitalize()}", "", *listed, ""])
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".ipynb":
        return notebook_page(text)
    language = LANGUAGES.get(path.suffix, "text")
    return f"# `{path.relative_to(REPOSITORY).as_posix()}`\n\n```{language}\n{text.rstrip()}\n```\n"


def notebook_page(text: str) -> str:
    cells = nbformat.reads(text, as_version=4).cells
    shown = [cell.source if cell.cell_type == "markdown" else f"```python\n{cell.source}\n```" for cell in cells]
    return "\n\n".join([*shown, ""])


def title_of(text: str) -> str:
    return next(line.removeprefix("# ") for line in text.splitlines() if line.startswith("# "))


def first_sentence(text: str) -> str:
    """The first sentence below the title."""
    paragraphs = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text).split("\n\n")[1:]
    sentences = (" ".join(part.split()) for part in paragraphs if re.match(r"[A-Za-z*`](?!`)", part))
    return re.split(r"(?<=\.)\s", next(sentences, ""), maxsplit=1)[0].rstrip(":")


def llms_txt(pages: Path) -> str:
    """The pages by sections of the navigation, each with its first sentence, for https://llmstxt.org."""
    config = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}"]
    for section, entries in sections(config["nav"]):
        lines += ["", f"## {section}", ""]
        for name in entries:
            text = (pages / name).read_text(encoding="utf-8")
            sentence = first_sentence(text)
            lines.append(f"- [{title_of(text)}]({name})" + (f": {sentence}" if sentence else ""))
    return "\n".join([*lines, ""])


def sections(nav: list[dict[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    for entry in nav:
        for title, below in entry.items():
            yield title, list(leaves(below))


def leaves(entry: Any) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    else:
        for each in entry.values() if isinstance(entry, dict) else entry:
            yield from leaves(each)


if __name__ == "__main__":
    print(build())
