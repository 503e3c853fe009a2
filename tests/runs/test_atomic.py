"""Files appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zoo.errors import TrainingError
from zoo.runs.atomic import read_csv, read_text, whole_file, write_csv, write_text


def _write_and_fail(path: Path) -> None:
    with whole_file(path) as aside:
        aside.write_text("half of the ne")
        raise ZeroDivisionError


def _write_to_a_full_disk(path: Path) -> None:
    with whole_file(path) as aside:
        aside.symlink_to("/dev/full")
        aside.write_text("new")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError):
        _write_and_fail(path)
    assert read_text(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full to stand for a full disk")
def test_a_full_disk_is_a_message(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    write_text(path, "old")
    with pytest.raises(TrainingError, match=r"Could not write .*metrics.json: No space left on device"):
        _write_to_a_full_disk(path)
    assert read_text(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Could not write .*file.txt: there is no folder .*gone\."):
        write_text(tmp_path / "gone" / "file.txt", "text")


def test_names_of_any_bytes_survive_csv(tmp_path: Path) -> None:
    names = ["Icon\r", 'a,b"c', "line\nbreak", "tab\t", os.fsdecode(b"caf\xe9"), "=1+1", "класс"]
    write_csv(tmp_path / "split.csv", ("path", "label"), [(name, "x") for name in names])
    assert [row["path"] for row in read_csv(tmp_path / "split.csv")] == names
