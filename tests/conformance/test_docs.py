"""The pages for plugin authors agree with the code, and their instructions work."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import zoo
from tests.conformance.test_new import pip_install
from tests.conftest import RunZoo
from zoo import hookspecs, testing

DOCS = Path(__file__).parents[2] / "docs"
HOOKS = (DOCS / "reference" / "hooks.md").read_text()
TUTORIAL = (DOCS / "tutorial-plugin.md").read_text()

PUBLIC = [getattr(zoo, name) for name in zoo.__all__]
RECORDS = [thing for thing in PUBLIC if isinstance(thing, type) and is_dataclass(thing)]


def test_every_hook_is_documented_with_its_signature() -> None:
    documented = dict(re.findall(r"^## `(zoo_\w+)\(([^)]*)\)`$", HOOKS, re.MULTILINE))
    real = {
        name: ", ".join(inspect.signature(function).parameters)
        for name, function in vars(hookspecs).items()
        if name.startswith("zoo_")
    }
    assert documented == real
    assert len(real) >= 4


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_field_of_a_record_is_documented(record: type) -> None:
    section = re.search(rf"^### `{record.__name__}`\n(.*?)(?=^##|\Z)", HOOKS, re.MULTILINE | re.DOTALL)
    assert section, f"hooks.md has no section on {record.__name__}"
    cell = r" *(.*?) *(?<!\\)\|"
    rows = re.findall(rf"^\| `(\w+)` \|{cell}{cell}{cell}$", section[1], re.MULTILINE)
    documented = [(name, kind.strip("`").replace("\\|", "|"), default.strip("`")) for name, kind, default, _ in rows]
    assert documented == [(field.name, str(field.type), _default(field)) for field in fields(record)]
    assert all(meaning for *_, meaning in rows)


def _default(field: Any) -> str:
    if field.default is not MISSING:
        return _text(field.default)
    if field.default_factory is not MISSING:
        return _text(field.default_factory())
    return ""


def _text(value: Any) -> str:
    """A value as it is written in the pages."""
    if isinstance(value, type):
        return value.__name__
    if is_dataclass(value):
        return f"{type(value).__name__}()"
    if value == {"default": zoo.Recipe()}:
        return '{"default": Recipe()}'
    return repr(value).replace("'", '"')


def test_records_that_are_public_are_all_there_are() -> None:
    documented = re.findall(r"^### `(\w+)`$", HOOKS.partition("## Records")[2], re.MULTILINE)
    assert sorted(documented) == sorted(record.__name__ for record in RECORDS)


@pytest.mark.parametrize("name", ["run_checks", "parametrize_with_checks", "check_exporter"])
def test_the_reference_of_the_checks_has_their_signatures(name: str) -> None:
    page = (DOCS / "reference" / "conformance.md").read_text()
    (documented,) = re.findall(rf"^`{name}\((.*?)\)`", page, re.MULTILINE | re.DOTALL)
    parameters = inspect.signature(getattr(testing, name)).parameters.values()
    plain = [parameter.replace(annotation=parameter.empty) for parameter in parameters]
    assert " ".join(documented.split()) == str(inspect.Signature(plain))[1:-1]
    results = re.search(r"returns a list of\s`CheckResult`:\s(.*?)\.\s", page, re.DOTALL)
    assert results
    assert {field.name for field in fields(testing.CheckResult)} <= set(re.findall(r"`(\w+)`", results[1]))


def blocks() -> dict[str, str]:
    """Content by path: the first line of each Python block of the tutorial names its file."""
    found = re.findall(r"^```python\n# (\S+)\n(.*?)^```$", TUTORIAL, re.MULTILINE | re.DOTALL)
    return dict(found)


@pytest.mark.long
def test_the_tutorial(tmp_path: Path, site: Path, run_zoo: RunZoo) -> None:
    """Runs the tutorial without the slow checks, which run on the output of `zoo plugin new` in another test."""
    commands = re.findall(r"^\$ (.*)$", TUTORIAL, re.MULTILINE)
    assert commands[0] == "zoo plugin new petal_net"
    assert run_zoo(*commands[0].split()[1:]).code == 0
    folder = tmp_path / commands[1].removeprefix("cd ")
    written = blocks()
    assert set(written) == {"zoo_petal_net/model.py", "zoo_petal_net/__init__.py", "tests/test_petal_net.py"}
    assert len(written) == TUTORIAL.count("```python")
    for path, text in written.items():
        assert (folder / path).is_file()
        (folder / path).write_text(text)
    pip_install(folder, site)
    assert "petal_net" in run_zoo("list").out
    environment = {**os.environ, "PYTHONPATH": str(site)}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-k",
        "not export and not nudged and not opens_without and not training_step",
    ]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]

    model = site / "zoo_petal_net" / "model.py"
    model.write_text(model.read_text().replace('layers.Rescaling(1 / 127.5, offset=-1, name="scale")(image)', "image"))
    failed = run_zoo("plugin", "check", "petal_net", "--check", "raw_pixels")
    assert failed.code == 3
    told = re.search(r"^FAILED .*?(?=^```)", TUTORIAL, re.MULTILINE | re.DOTALL)
    assert told
    for line in told[0].splitlines():
        assert " ".join(line.split()) in " ".join(failed.out.split())
