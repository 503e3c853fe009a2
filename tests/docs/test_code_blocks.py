"""The Python code in the pages runs, and the command line accepts the commands in them."""

from __future__ import annotations

import inspect
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import yaml

import zoo
from tests.docs.pages import PAGES, REPOSITORY, code_blocks, commands, name_of
from zoo.cli.main import COMMANDS, cli
from zoo.edge.main import _parse

#: Other tests run the Python code of these pages.
ELSEWHERE = {
    "docs/tutorial-plugin.md": "tests/conformance/test_docs.py",
    "docs/how-to/mobile.md": "tests/exports/test_tflite.py",
}
WITH_PYTHON = [name_of(page) for page in PAGES if code_blocks(page.read_text(encoding="utf-8"), "python")]
#: Names in pages about photos, and the names of the digits that replace them.
AMONG_DIGITS = {'label="rugby"': 'label="0"'}
#: Matches the end of a command: the next command, a comment, or a column with an explanation.
END = re.compile(r" (?:\||>>?|<|&&|2>) | {3,}|  +#")
#: Commands of plugins that may not be installed.
OF_PLUGINS = ("mlflow",)


@pytest.mark.parametrize("name", [name_of(page) for page in PAGES if page.name != "CHANGELOG.md"])
def test_commands_are_taken_by_the_command_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "board.json").touch()  # click itself checks that this file exists
    monkeypatch.chdir(tmp_path)
    wrong = []
    for command in commands((REPOSITORY / name).read_text(encoding="utf-8")):
        try:
            parse(command)
        except (click.UsageError, zoo.ZooError) as error:
            wrong.append(f"{command}\n    {error}")
    assert not wrong, "\n".join(wrong)


def test_commands_of_the_help_are_taken_by_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "board.json").touch()
    monkeypatch.chdir(tmp_path)
    found = list(commands_of_help(cli, click.Context(cli, info_name="zoo")))
    assert len(found) > 20
    for command in found:
        parse(command)


def test_the_runner_of_a_bundle_takes_the_commands_of_the_pages(capsys: pytest.CaptureFixture[str]) -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES if page.name != "CHANGELOG.md"]
    found = [pair for text in texts for pair in re.findall(r"(python |`)run\.py ([^`\n]+)", text)]
    assert len(found) > 20
    for before, words in found:
        given = shlex.split(END.split(words)[0], comments=True)
        # A sentence names an option without its value, or without a photo.
        more: list[list[str]] = [[], ["1"], ["photo.jpg"]] if before == "`" else [[]]
        assert any(taken([*given, *each]) for each in more), f"run.py {words}\n{capsys.readouterr().err}"


def taken(words: list[str]) -> bool:
    try:
        _parse(words)
    except SystemExit:
        return False
    return True


def test_shell_scripts_and_manifests_can_be_parsed() -> None:
    texts = [page.read_text(encoding="utf-8") for page in PAGES]
    scripts = [block for text in texts for language in ("bash", "sh") for block in code_blocks(text, language)]
    assert sum("#SBATCH" in script for script in scripts) >= 3
    for script in scripts:
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert not checked.stderr, f"{script}\n{checked.stderr}"
    documents = [yaml.safe_load(block) for text in texts for block in code_blocks(text, "yaml")]
    pods = [pod for document in documents if "apiVersion" in document for pod in pods_of(document["spec"])]
    assert len(pods) >= 3
    for pod in pods:
        volumes = {volume["name"] for volume in pod.get("volumes", ())}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container.get("volumeMounts", ())} <= volumes


def pods_of(value: Any) -> Iterator[dict[str, Any]]:
    """The specifications of pods in a Kubernetes object."""
    if isinstance(value, dict) and "containers" in value:
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from pods_of(each)


def test_many_commands_are_found() -> None:
    found = [command for page in PAGES for command in commands(page.read_text(encoding="utf-8"))]
    assert len(found) > 250
    assert {command.split()[1] for command in found} > set(COMMANDS)


@pytest.mark.parametrize(
    "command",
    [
        "zoo train --epoch 3",
        "zoo train --epochs many",
        "zoo export",
        "zoo data clean",
        "zoo export a --format",
        "zoo cache 1",
    ],
)
def test_a_wrong_command_is_found(command: str) -> None:
    with pytest.raises((click.UsageError, zoo.ZooError)):
        parse(command)


def parse(command: str) -> None:
    """Lets click parse a command, as far as this depends neither on files nor on installed plugins."""
    words = shlex.split(END.split(command)[0], comments=True)[1:]
    shortened = "..." in words
    words = [word for word in words if word != "..."]
    found: click.Command = cli
    context = click.Context(cli, info_name="zoo")
    while isinstance(found, click.Group) and words and not words[0].startswith("-"):
        if words[0] in OF_PLUGINS:
            return
        below = found.get_command(context, words[0])
        if below is None:
            raise click.UsageError(f"There is no command {words[0]}.")
        found, words = below, words[1:]
        context = click.Context(found, parent=context, info_name=found.name)
    if isinstance(found, click.Group):
        return
    try:
        found.make_context(found.name, words, parent=context.parent)
    except click.exceptions.Exit:
        pass  # it showed its help
    except (click.MissingParameter, click.BadOptionUsage) as error:
        if not shortened or isinstance(error, click.NoSuchOption):
            raise


def commands_of_help(command: click.Command, context: click.Context) -> list[str]:
    found = re.findall(r"^ *(zoo [a-z].*)$", inspect.cleandoc(command.help or ""), re.MULTILINE)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            found += commands_of_help(below, click.Context(below, parent=context, info_name=name))
    return found


@pytest.fixture
def folder(folder_of_examples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files that the pages name, created from the digits: runs, exported files, photos, an installed plugin."""
    made = Path(shutil.copytree(folder_of_examples, tmp_path / "examples"))
    for name in ("balls", "small"):
        shutil.copytree(made / "runs" / "digits", made / "runs" / name)
    for file in ("a.jpg", "photo.jpg"):
        shutil.copy(made / "photo.png", made / file)
    shutil.copy(made / "bundle" / "simple_cnn.onnx", made / "mobilenetv2.onnx")
    shutil.copytree(made / "bundle", made / "mobilenetv2-onnx-float32")
    (made / "zoo_resnet.py").write_text(
        "import zoo\nARCHITECTURE = zoo.Architecture(name='resnet', summary='', build=print)\n"
    )
    monkeypatch.chdir(made)
    monkeypatch.syspath_prepend(str(made))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    return made


def test_python_that_other_tests_run() -> None:
    for page, test in ELSEWHERE.items():
        assert page in WITH_PYTHON
        assert Path(page).name in (REPOSITORY / test).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in WITH_PYTHON if name not in ELSEWHERE])
def test_python_runs(name: str, folder: Path, digits_exports: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(digits_exports / "simple_cnn-tflite-float32" / "simple_cnn.tflite", folder / "mobilenetv2.tflite")
    run = zoo.load("runs/digits")
    exported = zoo.load(folder / "mobilenetv2.tflite")
    take_quickly(monkeypatch, zoo, "train", run)
    take_quickly(monkeypatch, zoo.Run, "export", exported)
    pictures = np.zeros((20, 28, 28), np.uint8), np.arange(20) % 10
    monkeypatch.setattr("keras.datasets.fashion_mnist.load_data", lambda: (pictures, pictures))  # without a download
    names: dict[str, Any] = {"run": run, "batch": np.zeros((2, 32, 32, 3), np.float32)}
    before = set(sys.modules)
    for block in code_blocks((REPOSITORY / name).read_text(encoding="utf-8"), "python"):
        for words, others in AMONG_DIGITS.items():
            block = block.replace(words, others)
        exec(compile(block, name, "exec"), names)
    for module in set(sys.modules) - before:
        if module.partition(".")[0] in ("runner", "zoo_resnet"):
            del sys.modules[module]


def take_quickly(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, result: Any) -> None:
    """Replaces a function that takes minutes by one that accepts the same arguments."""
    called = inspect.signature(getattr(owner, name))

    def take(*arguments: Any, **named: Any) -> Any:
        called.bind(*arguments, **named)
        return result

    monkeypatch.setattr(owner, name, take)
