"""The examples in docstrings and in the pages on Python run, and give what they say."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import re
import shutil
from pathlib import Path

import pytest

import zoo
from zoo.data.named import find_source

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = ("docs/how-to/python.md",)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def modules_with_examples() -> list[str]:
    paths = sorted(path for path in (REPOSITORY / "zoo").rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
    parts = [path.relative_to(REPOSITORY).with_suffix("").parts for path in paths]
    return [".".join(names[:-1] if names[-1] == "__init__" else names) for names in parts]


@pytest.fixture(scope="module")
def folder_of_examples(digits_run: Path, digits_exports: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the examples name: the run ``runs/digits``, its ONNX ``bundle``, ``photos`` of a 0 and others, a photo."""
    folder = tmp_path_factory.mktemp("examples")
    shutil.copytree(digits_run, folder / "runs" / "digits")
    shutil.copytree(digits_exports / "simple_cnn-onnx-float32", folder / "bundle")
    run = zoo.load(digits_run)
    assert isinstance(run, zoo.Run)
    root = find_source(run.info.data.source)[1]
    tested = [row for row in run.split() if row["split"] == "test"]
    for label in ("0", "1", "2"):
        (folder / "photos" / label).mkdir(parents=True)
        for row in [row for row in tested if row["label"] == label][:2]:
            shutil.copy(root / row["path"], folder / "photos" / label)
    shutil.copy(next((folder / "photos" / "0").iterdir()), folder / "photo.png")
    return folder


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


def test_calls_in_the_readme_are_calls_that_zoo_takes() -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (REPOSITORY / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    calls = [node for block in blocks for node in ast.walk(ast.parse(block)) if isinstance(node, ast.Call)]
    verbs = [call for call in calls if isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) == "zoo"]
    assert len(verbs) >= 3
    for call in verbs:
        assert isinstance(call.func, ast.Attribute)
        keywords = {keyword.arg: None for keyword in call.keywords if keyword.arg}
        inspect.signature(getattr(zoo, call.func.attr)).bind(*call.args, **keywords)
