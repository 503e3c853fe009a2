"""Progress on a real terminal: a bar that moves, and lines that stay."""

from __future__ import annotations

import os
import pty
from pathlib import Path

from tests import warm
from tests.conftest import zoo_environment


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
        except OSError:  # the other side is closed
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
