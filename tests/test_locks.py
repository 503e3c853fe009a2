"""Locks between processes: only one holds a lock, others wait or are refused, and a killed process releases it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from zoo import locks
from zoo.errors import DataError, UsageError
from zoo.locks import locked

_HOLDER = (
    "import sys, time\nfrom pathlib import Path\nfrom zoo.locks import locked\n"
    "with locked(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
)


def test_a_lock_ends_with_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UsageError, match="somebody is here"), locked(path, UsageError("somebody is here")):
        raise AssertionError("two processes hold one lock")
    holder.kill()
    holder.communicate()
    with locked(path, UsageError("somebody is here")):
        pass


def test_without_a_refusal_the_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path / "lock"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path / "lock"):
        thread.start()
        time.sleep(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]

    monkeypatch.setattr(locks, "WAIT_S", 0.1)
    with (
        locked(tmp_path / "lock"),
        pytest.raises(DataError, match="Another command has held"),
        locked(tmp_path / "lock"),
    ):
        raise AssertionError("two hold one lock")


def test_an_error_inside_is_not_taken_for_one_of_the_lock(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "lock"):
        (tmp_path / "missing").read_bytes()
