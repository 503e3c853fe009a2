"""The rules of the project. They run first, because they take seconds."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

import zoo
from tests.docs.pages import PAGES, anchors, links, name_of
from tests.mutations import FAULTS

REPOSITORY = Path(__file__).resolve().parents[1]


def test_links_of_the_documentation_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for link in links(text):
            name, _, anchor = link.partition("#")
            target = page.parent / name if name else page
            if not target.exists():
                broken.append(f"{name_of(page)}: {link}")
            elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
                broken.append(f"{name_of(page)}: {link} has no such anchor")
    assert len(PAGES) > 50
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


def test_the_map_names_every_part_of_the_library() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Map")[2].partition("\n## ")[0]
    named = set(re.findall(r"[\w-]+(?=\.py\b|/)", text))
    folder = REPOSITORY / "zoo"
    parts = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    assert parts - named == {"__init__"}
    assert [name for name in re.findall(r"^  (\w+)(?:\.py|/) ", text, re.MULTILINE) if name not in parts] == []


def test_files_about_the_project_say_the_same() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors", "type"} <= set(citation)
    assert (citation["version"], citation["license"]) == (zoo.__version__, project["license"])
    assert project["version"] == zoo.__version__
    templates = sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
    assert len(templates) >= 3
    for template in templates:
        form = yaml.safe_load(template.read_text())
        if template.name == "config.yml":
            continue
        assert {"name", "description", "body"} <= set(form), template.name
        asked = [part["id"] for part in form["body"]]
        assert len(set(asked)) == len(asked) >= 1
        assert {part["type"] for part in form["body"]} <= {"checkboxes", "dropdown", "input", "textarea"}
        assert all(part["attributes"]["label"] for part in form["body"])
    assert len((REPOSITORY / "README.md").read_text().splitlines()) <= 65


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
