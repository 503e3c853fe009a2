"""What a file name, a label or a plugin says cannot steer the terminal."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import FakePlugin, RunZoo, zoo_command, zoo_environment

pty = pytest.importorskip("pty")

STEERING = "\x1b]0;title\x07\x1b[2J\r"


def on_a_terminal(site: Path, cwd: Path, *arguments: str) -> bytes:
    """What the command writes to a terminal that is its stdout and stderr."""
    ours, theirs = pty.openpty()
    command, environment = zoo_command(*arguments), zoo_environment(site)
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
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
