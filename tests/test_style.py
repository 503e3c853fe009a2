"""The project's own rules, checked first: they take seconds."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("arguments", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]], ids=" ".join)
def test_linters_are_content(arguments: list[str]) -> None:
    command = [sys.executable, "-m", *arguments, *(["."] if arguments[0] == "ruff" else [])]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_links_of_the_documentation_lead_somewhere() -> None:
    pages = [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(REPOSITORY)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
        if not (page.parent / link).exists()
    ]
    assert len(pages) > 8
    assert not broken, "\n".join(broken)


def test_shares_become_text_in_one_place() -> None:
    formats = re.compile(r":[^{}\"]*\.\d+%\}|\* ?1(?:00|e2)\b|\b100(?:\.0)? ?\*|PercentFormatter")
    folders = ("zoo", "exports", "plugins", "benchmarks")
    sources = [path for folder in folders for path in (REPOSITORY / folder).rglob("*.py")]
    offenders = [
        f"{path.relative_to(REPOSITORY)}:{number} {line.strip()}"
        for path in sources
        if path != REPOSITORY / "zoo" / "figures.py"
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if formats.search(line)
    ]
    assert len(sources) > 200
    assert not offenders, "Use percent and points of zoo.figures:\n" + "\n".join(offenders)


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    commands = re.findall(r"^    (python3 -m venv .*)$", (REPOSITORY / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    assert commands[0].endswith("zoo train simple_cnn")
    assert commands[1].endswith("pytest")
    assert "README.md" in (REPOSITORY / ".ci" / "run").read_text()
