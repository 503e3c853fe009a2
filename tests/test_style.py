"""The project's own rules, checked first: they take seconds."""

from __future__ import annotations

import re
from pathlib import Path

from tests.mutations import FAULTS

REPOSITORY = Path(__file__).resolve().parents[1]


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
    script = (REPOSITORY / ".ci" / "run").read_text()
    assert "README.md" in script
    linters = "ruff check && .venv/bin/ruff format --check && .venv/bin/mypy"
    assert linters in script
    assert linters.replace(".venv/bin/", "") in (REPOSITORY / "CONTRIBUTING.md").read_text()


def test_every_deliberate_fault_can_be_applied() -> None:
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 30
    lost = [
        f"{fault.name}: {fault.file} has its text {found} times, expected once"
        for fault in FAULTS
        if (found := (REPOSITORY / fault.file).read_text(encoding="utf-8").count(fault.right)) != 1
    ]
    assert not lost, "\n".join(lost)
    tests = {test.partition("::")[0] for fault in FAULTS for test in fault.tests}
    assert not [test for test in tests if not (REPOSITORY / test).is_file()]
