"""``zoo predict --out``: lists as input, tables as output, shares, and the files of an interrupted command."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import zoo as library
from tests import warm
from tests.conftest import Result, Zoo, draw_photo, zoo_environment
from zoo.errors import DataError, UsageError

COUNT = 40


@pytest.fixture(scope="module")
def onnx(digits_exports: Path) -> Path:
    return digits_exports / "simple_cnn-onnx-float32"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Links to four pictures, and one file that is not a picture."""
    for number in range(4):
        draw_photo(tmp_path / "drawn" / f"{number}.png", hue=40 * number, seed=number)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(COUNT - 1):
        (folder / f"{number:03}.png").hardlink_to(tmp_path / "drawn" / f"{number % 4}.png")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


def rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="") as file:
            return list(csv.DictReader(file))
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    found: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
    return found


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if "." in path.name)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_every_photo_is_a_row_with_the_digest_of_the_model(onnx: Path, zoo: Zoo, photos: Path, suffix: str) -> None:
    out = photos.parent / f"found.{suffix}"
    done = zoo("predict", onnx, "photos", "gone.jpg", "--out", out.name)
    expected = f"{COUNT + 1} photos, 2 of them with an error instead of a prediction: written to {out.name}\n"
    assert (done.code, done.out) == (0, expected)
    found = rows(out)
    names = [f"photos/{number:03}.png" for number in range(COUNT - 1)] + ["photos/broken.jpg", "gone.jpg"]
    assert [row["file"] for row in found] == names
    assert {row["file"]: row["error"] for row in found if row["error"]} == {
        "photos/broken.jpg": "truncated JPEG",
        "gone.jpg": "no such file",
    }
    digest = hashlib.sha256((onnx / "simple_cnn.onnx").read_bytes()).hexdigest()
    assert {row["model"] for row in found} == {digest}
    plain = [json.loads(line) for line in zoo("predict", onnx, "photos", "--json").out.splitlines()]
    assert [row["label"] for row in found[: COUNT - 1]] == [row["label"] for row in plain]
    assert [float(row["probability"]) for row in found[: COUNT - 1]] == [
        pytest.approx(row["probability"]) for row in plain
    ]
    assert not any(row["label"] or row["probability"] for row in found[COUNT - 1 :])
    assert left(photos.parent) == [out.name]


def test_lists_name_photos_relative_to_their_folder(onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet")

    names = ["003.png", "000.png", "sub/../001.png", str(photos / "002.png")]
    (photos / "list.txt").write_text("\ufeff" + "\r\n".join([*names, "", "a\0b"]) + "\n")
    (photos / "list.csv").write_text("label, path\n" + "".join(f"7,{name}\n" for name in names))
    parquet.write_table(pyarrow.table({"file": names, "size": [1, 2, 3, 4]}), photos / "list.parquet")
    (photos / "sub").mkdir()
    answers = {}
    for suffix in ("txt", "csv", "parquet"):
        assert zoo("predict", onnx, f"photos/list.{suffix}", "--out", f"{suffix}.jsonl").code == 0
        found = rows(tmp_path / f"{suffix}.jsonl")
        assert [row["file"] for row in found if not row["error"]] == names
        answers[suffix] = [row["top"] for row in found][:4]
        printed = zoo("predict", onnx, f"photos/list.{suffix}", "--json").out
        assert [json.loads(line)["top"] for line in printed.splitlines()] == answers[suffix]
    assert answers["txt"] == answers["csv"] == answers["parquet"]
    assert rows(tmp_path / "txt.jsonl")[4]["error"] == "its path contains a null byte"

    def refused(name: str, code: int) -> str:
        done = zoo("predict", onnx, f"photos/{name}", "--out", "no.csv")
        assert (done.code, left(tmp_path)) == (code, ["csv.jsonl", "parquet.jsonl", "txt.jsonl"])
        return done.err

    (photos / "other.csv").write_text("photo;label\n1.png;7\n")
    assert "has no column of paths. Its columns: photo;label" in refused("other.csv", 2)
    (photos / "other.parquet").write_bytes(b"PAR1 no table")
    assert "Could not read the list 'photos/other.parquet'" in refused("other.parquet", 4)
    parquet.write_table(pyarrow.table({"path": [1, 2]}), photos / "numbers.parquet")
    assert "must contain paths as text. Its type is int64" in refused("numbers.parquet", 2)
    (photos / "wide.txt").write_bytes("000.png\n".encode("utf-16"))
    assert "UTF-16 text, not UTF-8" in refused("wide.txt", 4)
    assert "Could not read the list 'photos/gone.txt'" in refused("gone.txt", 4)
    (photos / "empty.txt").write_text("\n")
    assert "no images in photos/empty.txt" in refused("empty.txt", 4)


def test_shares_are_disjoint_and_complete(onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path) -> None:
    shares = []
    for number in (1, 2, 3):
        assert zoo("predict", onnx, "photos", "--shard", f"{number}/3", "--out", f"found/{number}.jsonl").code == 0
        shares.append([row["file"] for row in rows(tmp_path / "found" / f"{number}.jsonl")])
        if number == 1:
            (photos / "000.png").rename(photos / "later.png")  # does not change the other shares
    assert all(5 < len(share) < 25 for share in shares)
    found = Counter(name for share in shares for name in share)
    assert set(found.values()) == {1}
    assert len(found) >= COUNT - 1
    # For a share without photos, the table is empty, and there is no error.
    assert zoo("predict", onnx, "photos/001.png", "--shard", "1/2", "--out", "a.csv").code == 0
    assert zoo("predict", onnx, "photos/001.png", "--shard", "2/2", "--out", "b.csv").code == 0
    assert len(rows(tmp_path / "a.csv")) + len(rows(tmp_path / "b.csv")) == 1
    for wrong in ("0/3", "4/3", "2", "a/b", "1/0"):
        done = zoo("predict", onnx, "photos", "--shard", wrong, "--out", "no.csv")
        assert (done.code, "--shard must be I/N" in done.err) == (2, True)
    assert zoo("predict", onnx, "photos", "--shard", "1/3").code == 2


def test_a_killed_command_continues_and_predicts_no_photo_twice(
    onnx: Path, site: Path, zoo: Zoo, photos: Path, tmp_path: Path
) -> None:
    for number in range(1000):
        (photos / f"more_{number}.png").hardlink_to(tmp_path / "drawn" / f"{number % 4}.png")
    unfinished = tmp_path / "found.jsonl.unfinished"
    command = ["predict", str(onnx), "photos", "--out", "found.jsonl", "--threads", "1"]
    process = warm.start(command, tmp_path, zoo_environment(site), tmp_path / "out", tmp_path / "err")
    deadline = time.monotonic() + 60
    while len(list(unfinished.glob("*.jsonl"))) < 3:
        assert process.exitcode is None, (tmp_path / "err").read_text()
        assert time.monotonic() < deadline
        time.sleep(0.001)
    assert process.pid
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert not (tmp_path / "found.jsonl").exists()
    done = [
        json.loads(line)["file"] for path in unfinished.glob("[0-9]*.jsonl") for line in path.read_text().splitlines()
    ]
    assert 0 < len(done) < 1000
    for name in done:
        (tmp_path / name).unlink()  # predicting them again would fail

    def refused(*more: str) -> str:
        result: Result = zoo("predict", onnx, *more, "--out", "found.jsonl")
        assert (result.code, result.out) == (2, "")
        return result.err

    assert "unfinished predictions with another --top" in refused("photos", "--top", "1")
    assert "unfinished predictions with other photos" in refused("drawn")
    assert "unfinished predictions with another --shard" in refused("photos", "--shard", "1/2")
    result = zoo(*command)
    assert result.code == 0
    assert f"Continuing: {len(done)} of {COUNT + 1000} photos are predicted already." in result.err
    found = rows(tmp_path / "found.jsonl")
    assert len({row["file"] for row in found}) == len(found) == COUNT + 1000
    assert {row["file"] for row in found if row["error"]} <= {"photos/broken.jpg"}
    assert not unfinished.exists()


def test_an_interrupted_command_says_how_it_continues(
    onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.predicting.unfinished import Unfinished

    keep = Unfinished.keep

    def stop(folder: Unfinished, number: int, lines: list[str]) -> None:
        if number == 1:
            raise KeyboardInterrupt
        keep(folder, number, lines)

    with monkeypatch.context() as patch:
        patch.setattr(Unfinished, "keep", stop)
        done = zoo("predict", onnx, "photos", "--out", "found.csv")
    assert done.code == 130
    assert f"Interrupted. 16 of {COUNT} photos are predicted. The same command continues." in done.err
    assert left(tmp_path) == ["found.csv.unfinished"]
    assert zoo("predict", onnx, "photos", "--out", "found.csv").code == 0
    assert len(rows(tmp_path / "found.csv")) == COUNT


def test_two_commands_do_not_write_one_file(onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path) -> None:
    from zoo.predicting.unfinished import Unfinished

    with Unfinished(tmp_path / "found.csv").held():
        done = zoo("predict", onnx, "photos", "--out", "found.csv")
    assert (done.code, "Another command is writing" in done.err) == (4, True)
    assert left(tmp_path) == []


def test_photos_that_none_can_read_are_an_error(onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg\nb.jpg\n")
    done = zoo("predict", onnx, "list.txt", "--out", "found.csv")
    assert (done.code, "None of the 2 photos could be read" in done.err) == (4, True)
    assert [row["error"] for row in rows(tmp_path / "found.csv")] == ["no such file"] * 2


def test_a_photo_on_standard_input_is_a_row(
    onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (photos / "000.png").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=file))
        assert zoo("predict", onnx, "-", "photos/000.png", "--out", "found.jsonl").code == 0
    piped, named = rows(tmp_path / "found.jsonl")
    assert (piped["file"], piped["top"]) == ("-", named["top"])


def test_what_cannot_be_written_is_told_before_anything_is_read(onnx: Path, zoo: Zoo, photos: Path) -> None:
    done = zoo("predict", onnx, "photos", "--out", "found.xlsx")
    assert (done.code, "must end in .csv, .jsonl, .parquet" in done.err) == (2, True)
    done = zoo("predict", onnx, "photos", "--out", "found.csv", "--json")
    assert (done.code, "--json prints the predictions" in done.err) == (2, True)


def test_python_writes_the_same_file(onnx: Path, zoo: Zoo, photos: Path, tmp_path: Path) -> None:
    assert zoo("predict", onnx, "photos", "--out", "command.csv").code == 0
    found = library.predict(onnx, "photos", out="python.csv", top=2)
    assert (found.path, found.photos, found.errors) == (Path("python.csv"), COUNT, 1)
    assert (tmp_path / "python.csv").read_bytes() == (tmp_path / "command.csv").read_bytes()
    model = library.load(onnx)
    assert model.predict([photos / "001.png", photos], out="two.jsonl", shard="1/1").photos == COUNT + 1
    for wrong in (3, b"bytes", [], [b"bytes"]):
        with pytest.raises(UsageError, match="With out, pictures must be paths"):
            model.predict(wrong, out="no.csv")
    with pytest.raises(UsageError, match="shard requires out"):
        model.predict(photos, shard="1/2")
    with pytest.raises(DataError, match="None of the 1 photos could be read"):
        library.predict(onnx, "drawn/none", out="no.csv")
