"""The examples in docstrings and in the pages on Python run, and return the results that they show."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import zoo

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ("docs/how-to/python.md",)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    paths = sorted(path for path in (REPOSITORY / "zoo").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
    parts = [path.relative_to(REPOSITORY).with_suffix("").parts for path in paths]
    return [".".join(names[:-1] if names[-1] == "__init__" else names) for names in parts]


@pytest.fixture
def run_examples(folder_of_examples: Path, monkeypatch: pytest.MonkeyPatch) -> doctest.DocTestRunner:
    monkeypatch.chdir(folder_of_examples)
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    monkeypatch.setenv("COLUMNS", "100")
    return doctest.DocTestRunner(optionflags=FLAGS)


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_docstrings(name: str, run_examples: doctest.DocTestRunner) -> None:
    module = importlib.import_module(name)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, extraglobs={"zoo": zoo}):
        run_examples.run(example)
    found = run_examples.summarize(verbose=False)
    assert found.attempted
    assert not found.failed


@pytest.mark.parametrize("page", PAGES)
def test_examples_of_pages(page: str, run_examples: doctest.DocTestRunner) -> None:
    blocks = re.findall(r"^```pycon\n(.*?)^```$", (REPOSITORY / page).read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    run_examples.run(doctest.DocTestParser().get_doctest("\n".join(blocks), {}, page, page, 0))
    assert not run_examples.summarize(verbose=False).failed


def test_everything_public_has_an_example() -> None:
    names = [name for name in zoo.__all__ if name not in ("__version__", "hookimpl")]
    without = [name for name in names if ">>> " not in (inspect.getdoc(getattr(zoo, name)) or "")]
    inherited = [
        name for name in names if isinstance(getattr(zoo, name), type) and not vars(getattr(zoo, name))["__doc__"]
    ]
    assert not without
    assert not inherited
    assert "@zoo.hookimpl" in (zoo.__doc__ or "")
