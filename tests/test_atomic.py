"""Files appear complete or not at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.atomic import read_csv, read_text, whole_file, write_csv, write_text
from zoo.atomic_folders import folder_aside, put_folder
from zoo.errors import TrainingError
from zoo.locks import locked


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


SAME_NUMBER = """
import os
from pathlib import Path

os.getpid = lambda: 7
from zoo.atomic import whole_file
from zoo.atomic_folders import folder_aside

with whole_file(Path("time.json")) as file, folder_aside(Path("bundle").absolute()) as folder:
    file.touch()
    print(file.name, folder.name)
"""


def test_processes_of_two_machines_with_the_same_number_use_other_temporary_files(tmp_path: Path) -> None:
    names = [
        subprocess.run(
            [sys.executable, "-c", SAME_NUMBER], cwd=tmp_path, capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(2)
    ]
    assert not set(names[0]) & set(names[1])


def test_a_folder_that_is_gone_is_a_message(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"Could not write .*file.txt: the folder .*gone does not exist"):
        write_text(tmp_path / "gone" / "file.txt", "text")


def test_names_of_any_bytes_survive_csv(tmp_path: Path) -> None:
    names = ["Icon\r", 'a,b"c', "line\nbreak", "tab\t", os.fsdecode(b"caf\xe9"), "=1+1", "класс"]
    write_csv(tmp_path / "split.csv", ("path", "label"), [(name, "x") for name in names])
    assert [row["path"] for row in read_csv(tmp_path / "split.csv")] == names


@pytest.mark.parametrize("pid", [99999, os.getpid()], ids=["another", "the same"])  # a container may reuse the ID
def test_what_killed_processes_left_is_swept(tmp_path: Path, pid: int) -> None:
    final = tmp_path / "net-onnx-int8"
    refused = tmp_path / f"{final.name}.refused"
    lefts = (f".{final.name}.{pid}", f".{final.name}.{pid}.old", f".{final.name}.{pid}.refused.old")
    for left in (*lefts, ".net-onnx-int8.other.99999", ".mine"):
        (tmp_path / left).mkdir()
        (tmp_path / left / "file").write_text(left)
    (tmp_path / f".{final.name}.99998.zip").write_text("half")
    (tmp_path / f".{final.name}.77777").mkdir()
    with locked(tmp_path / f".{final.name}.77777.lock"), folder_aside(final) as aside:
        (aside / "file").write_text("new")
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".lock") == [
        ".mine",
        f".{final.name}.77777",  # its process is running
        ".net-onnx-int8.other.99999",
        final.name,  # it was moved away, and the new one was not in place yet
        refused.name,
    ]
    assert (refused / "file").read_text() == f".{final.name}.{pid}.refused.old"
    assert (final / "file").read_text() == f".{final.name}.{pid}.old"


@pytest.mark.parametrize("ending", ["", ".refused"])
def test_what_made_room_is_swept_after_a_kill(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    final = tmp_path / f"net-onnx-int8{ending}"
    for content in ("first", "second"):
        with folder_aside(tmp_path / "net-onnx-int8") as aside:
            (aside / "file").write_text(content)
            with monkeypatch.context() as killed:
                killed.setattr("shutil.rmtree", lambda *arguments, **options: None)  # as if killed here
                put_folder(aside, final)
        assert (final / "file").read_text() == content
    assert len([path for path in tmp_path.iterdir() if path.name.endswith(".old")]) == 1
    with folder_aside(tmp_path / "net-onnx-int8"):
        assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".old")] == []
    assert (final / "file").read_text() == "second"


@pytest.mark.parametrize("ending", ["", ".refused"])
def test_what_made_room_comes_back_where_the_new_one_cannot_take_it(tmp_path: Path, ending: str) -> None:
    final = tmp_path / f"net-onnx-int8{ending}"
    final.mkdir()
    (final / "file").write_text("first")
    with folder_aside(tmp_path / "net-onnx-int8") as aside:
        aside.rmdir()
        with pytest.raises(FileNotFoundError):
            put_folder(aside, final)
    assert (final / "file").read_text() == "first"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".old")] == []
