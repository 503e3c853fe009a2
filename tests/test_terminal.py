"""File names, labels and plugins cannot send control sequences to the terminal."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import FakePlugin, RunZoo, zoo_command, zoo_environment
from zoo.progress import LogReporter
from zoo.terminal import guard_terminal

pty = pytest.importorskip("pty")

STEERING = "\x1b]0;title\x07\x1b[2J\r"


def on_a_terminal(site: Path, cwd: Path, *arguments: str) -> bytes:
    """The output of the command to a terminal that is its stdout and stderr."""
    ours, theirs = pty.openpty()
    command, environment = zoo_command(*arguments), zoo_environment(site)
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # on Linux, this means that the other end is closed
            break
    process.wait(60)
    os.close(ours)
    return written


def test_escape_sequences_of_others_are_spelt_out(site: Path, tmp_path: Path, fake_plugin: FakePlugin) -> None:
    fake_plugin("zoo-loud", f"raise RuntimeError({STEERING!r})")
    written = on_a_terminal(site, tmp_path, "data", "check", f"photos{STEERING}")
    assert b"\\x1b]0;title\\x07\\x1b[2J" in written
    assert b"zoo-loud" in written
    assert b"No data at" in written
    assert b"\x1b" not in written
    assert b"\x07" not in written
    assert written.count(b"\r") == written.count(b"\r\n")


def test_output_into_a_pipe_is_data_and_stays_as_it_is(run_zoo: RunZoo, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text("{}")
    done = run_zoo("list", "--json")
    assert done.code == 0
    refused = run_zoo("export", STEERING)
    assert "\x1b" not in refused.err
    assert "\\x1b[2J" in refused.err


def test_a_warning_on_a_terminal_holds_no_escape_sequences(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        monkeypatch.setattr("sys.stdout", io.StringIO())
        guard_terminal()
        LogReporter().warning("All images are predicted as 'cat'.")
        sys.stderr.flush()
        written = os.read(ours, 4096)
    os.close(ours)
    assert written == b"WARNING: All images are predicted as 'cat'.\r\n"
