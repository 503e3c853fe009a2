"""Progress on a real terminal: a bar that moves, and lines that remain."""

from __future__ import annotations

import os
import pty
import re
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import warm
from tests.conftest import Zoo, zoo_environment
from zoo.progress import LogReporter, TerminalReporter
from zoo.reporter import drawing
from zoo.workflows.host import host_kept


def test_a_terminal_shows_a_bar_with_speed_and_time_left(tiny_net: None, tmp_path: Path, site: Path) -> None:
    parent, child = pty.openpty()
    command = ["train", "tiny_net", "--head-epochs", "0", "--epochs", "2", "--precision", "float32"]
    environment = {**zoo_environment(site), "TERM": "xterm"}
    process = warm.start(command, tmp_path, environment, tmp_path / "out", child)
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        shown += part
    os.close(parent)
    process.join(60)
    assert process.exitcode == 0, shown.decode()
    text = shown.decode()
    assert "epoch 1/2  loss" in text
    assert "img/s" in text
    assert "left" in text
    assert "━" in text or "\u2578" in text  # the bar
    assert (tmp_path / "out").read_text().count("Accuracy") == 1


@pytest.fixture
def read_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], str]]:
    """Makes a terminal the stderr of this process, and returns a function that reads what it shows."""
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as stream:
        monkeypatch.setattr(sys, "__stderr__", stream)
        monkeypatch.setenv("TERM", "xterm-256color")
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.delenv("NO_COLOR", raising=False)

        def read() -> str:
            stream.flush()
            parts = []
            while select.select([ours], [], [], 0.2)[0]:
                parts.append(os.read(ours, 65536))
            return b"".join(parts).decode()

        yield read
    os.close(ours)


ROW = {"loss": 0.5, "accuracy": 0.9, "val_loss": 0.4, "val_accuracy": 0.9, "seconds": 1.0}


def test_an_interrupt_leaves_no_bar(read_terminal: Callable[[], str]) -> None:

    def work() -> None:
        with host_kept():
            TerminalReporter().counter("features")(3, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert not drawing
    after = read_terminal().rpartition("features 3/10")[2]
    assert "\x1b[2K" in after  # the line of the bar is erased
    assert "\x1b[?25h" in after  # the cursor is visible again


def test_the_command_line_closes_the_bar_of_any_command(
    read_terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch, zoo: Zoo
) -> None:

    def interrupted(*arguments: object) -> None:
        TerminalReporter().counter("features")(3, 10)
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.workflows.runs.runs", interrupted)
    assert zoo("runs").code == 130
    assert not drawing
    assert "\x1b[?25h" in read_terminal().rpartition("features 3/10")[2]


def test_the_epochs_of_a_head_are_one_line(read_terminal: Callable[[], str]) -> None:
    reporter = TerminalReporter()
    reporter.training(3, 1, 100, 0, head=True)
    for epoch in (1, 2, 3):
        reporter.batch(1, {})
        reporter.epoch(epoch, ROW, best=epoch == 2)
    reporter.trained()
    shown = read_terminal()
    lines = [line for line in shown.replace("\r\n", "\n").splitlines() if "head:" in line]
    assert len(lines) == 1
    assert "head: 3 epochs; the best: epoch 2/3  loss 0.5000" in lines[0]
    assert shown.count("\x1b[1A") == 1  # a bar of two lines would move the cursor up each time it is drawn


@pytest.mark.parametrize("colours", [True, False])
def test_no_color_is_respected(
    read_terminal: Callable[[], str], monkeypatch: pytest.MonkeyPatch, colours: bool
) -> None:
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    reporter = TerminalReporter()
    reporter.warning("All images are predicted as 'cat'.")
    reporter.counter("features")(3, 10)
    reporter.trained()
    assert bool(re.search(r"\x1b\[(?:\d+;)*(?:[349]\d|38;|48;)", read_terminal())) == colours


def test_the_help_of_train_has_groups_and_defaults(zoo: Zoo) -> None:
    text = zoo("train", "--help").out
    titles = re.findall(r"^(\w.*):$", text, re.MULTILINE)
    assert titles == [
        "Data",
        "Run",
        "Model",
        "Output",
        "Recipe",
        "Recipe, head",
        "Recipe, augmentation",
        "Other options",
    ]
    words = " ".join(text.split())
    assert "Peak learning rate. [default: 0.001]" in words
    assert "[default: 0.7 with teachers]" in words
    assert "[default: 8 with teachers]" in words
    assert "[default: runs]" in words
    assert ">>>" not in text
    assert text.split("Other options:")[1].split() == ["-h,", "--help", "Show", "this", "message", "and", "exit."]


def test_a_counted_stage_shows_the_time_left_by_its_own_pace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    count = LogReporter().counter("learning")
    lines = []
    # An earlier command did 100 of 200, and the first step took a minute to prepare.
    # At the end, the same counter is used for a second pass.
    steps = ((1060, 101), (1061, 102), (1080, 121), (1140, 199), (1160, 200), (1180, 1), (1200, 11))
    for at, done in steps:
        now[0] = float(at)
        count(done, 200)
        lines.append(capsys.readouterr().err)
    assert lines == [
        "learning: 101 of 200\n",
        "",
        "learning: 121 of 200, 1:19 left\n",
        "learning: 199 of 200\n",
        "learning: 200 of 200\n",
        "learning: 1 of 200\n",
        "learning: 11 of 200, 6:18 left\n",
    ]
