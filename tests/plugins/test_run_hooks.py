"""``zoo_run_finished`` and ``zoo_commands``: real plugins on disk, the real command."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import FakePlugin, RunZoo

TRACKER = """
import json
import click
from zoo import hookimpl

@hookimpl
def zoo_run_finished(run):
    with open("told.jsonl", "a") as file:
        row = {"name": run.name, "accuracy": run.metrics.accuracy, "report": run.report.is_file()}
        file.write(json.dumps(row) + "\\n")

@click.command("hello")
@click.argument("who")
def hello(who):
    "Greets somebody."
    click.echo(f"hello {who}")

@click.command("train")
def train():
    "Never called."

@hookimpl
def zoo_commands():
    return [hello, train]
"""

FAILING = """
from zoo import hookimpl

@hookimpl
def zoo_run_finished(run):
    raise ConnectionError("no server")

@hookimpl
def zoo_commands():
    return ["no command"]
"""


def test_a_finished_run_is_told_once_and_the_commands_of_plugins_are_there(
    run_zoo: RunZoo, fake_plugin: FakePlugin, tmp_path: Path
) -> None:
    fake_plugin("zoo-tracker", TRACKER)
    fake_plugin("zoo-failing", FAILING)
    asked = ("train", "simple_cnn", "--size", "16", "--epochs", "1", "--precision", "float32", "--name", "balls")
    done = run_zoo(*asked)
    assert done.code == 0, done.err
    assert "zoo-failing' failed when it was notified of the finished run: ConnectionError: no server" in done.err
    (row,) = (tmp_path / "told.jsonl").read_text().splitlines()
    assert '"name": "balls"' in row
    assert '"report": true' in row
    assert run_zoo("train", "--resume", "runs/balls").code == 0
    assert len((tmp_path / "told.jsonl").read_text().splitlines()) == 1
    assert run_zoo("hello", "you").out == "hello you\n"
    shown = run_zoo("--help")
    assert "Commands of plugins:\n  hello  Greets somebody." in shown.out
    assert "Never called" not in shown.out
    assert "zoo-failing' adds no commands" in shown.err
    assert "Did you mean 'hello'" in run_zoo("helo").err
