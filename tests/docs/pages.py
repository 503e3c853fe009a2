"""The documentation pages of the repository, and their parts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    {
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / ".github").rglob("*.md"),
        *(REPOSITORY / "docs").rglob("*.md"),
        *(REPOSITORY / "benchmarks").glob("*.md"),
        *(REPOSITORY / "exports").glob("*.md"),
        *(REPOSITORY / "plugins").glob("*/*.md"),
    }
)
FENCE = re.compile(r"^( *)(?P<fence>`{3,})(?P<language>\w*)\n(?P<code>.*?)^\1(?P=fence)$", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


def code_blocks(text: str, language: str) -> list[str]:
    return [found["code"] for found in FENCE.finditer(text) if found["language"] == language]


def without_code(text: str) -> str:
    """The text of a page without code blocks and code spans."""
    return re.sub(r"``[^`].*?``|`[^`]*`", "", FENCE.sub("", text), flags=re.DOTALL)


def links(text: str) -> list[str]:
    """Paths of links and pictures that point to other files, each with its anchor."""
    return re.findall(r"\]\(((?![a-z]+:)[^()\s]+)\)", without_code(text))


def anchors(text: str) -> set[str]:
    """Anchors of the headings, as code hosts generate them."""
    found: set[str] = set()
    for title in re.findall(r"^#{1,6} (.+)$", FENCE.sub("", text), re.MULTILINE):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        number = next(number for number in range(len(found) + 1) if numbered(anchor, number) not in found)
        found.add(numbered(anchor, number))
    return found


def numbered(anchor: str, number: int) -> str:
    return f"{anchor}-{number}" if number else anchor


def commands(text: str) -> Iterator[str]:
    """Every command `zoo ...` of a page: after a prompt, in an indented line, or in a sentence.

    Sentences may name a command without all of its arguments; `...` stands for the missing ones.
    """
    for block in (found["code"] for found in FENCE.finditer(text)):
        yield from re.findall(r"^\s*(?:\$ )?(?:\S*/)?(zoo [a-z-].*)$", block, re.MULTILINE)
    prose = FENCE.sub("", text)
    yield from re.findall(r"^    (?:\S*/)?(zoo [a-z-].*)$", prose, re.MULTILINE)
    for _, span in re.findall(r"(`+)(?!`)(.+?)(?<!`)\1(?!`)", prose, re.DOTALL):
        if re.match(r"zoo [a-z-]", span):
            yield " ".join([*span.split(), "..."])
