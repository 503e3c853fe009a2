"""Finding matching lines of a file, wherever the blocks in which it is read end."""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from zoo.errors import DataError
from zoo.fetch.openimages import scan

COLUMNS = ("ImageID", "LabelName", "Confidence")


@pytest.mark.parametrize("block_bytes", [16, 50, 333, 2**23])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_the_rows_that_csv_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block_bytes: int, line_end: str
) -> None:
    monkeypatch.setattr(scan, "_BLOCK_BYTES", block_bytes)
    rows = random.Random(block_bytes)
    path = tmp_path / "labels.csv"
    lines = [
        f"{rows.getrandbits(64):016x},verification,/m/{rows.randrange(12)},{rows.randrange(2)}" for _ in range(500)
    ]
    path.write_bytes(line_end.join(["ImageID,Source,LabelName,Confidence", *lines]).encode())
    with path.open(newline="") as file:
        expected = [row for row in csv.DictReader(file) if row["LabelName"] in ("/m/1", "/m/7", "/m/10", "/m/11")]
    found = list(scan.lines_with(path, ["/m/1", "/m/7"], COLUMNS))
    assert found == expected
    assert len(found) > 100


def test_rows_by_their_first_cell_even_with_line_ends_in_them(tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(
            [("ImageID", "Title", "Rotation"), ("a", "one\ntwo", "90.0"), ("b", 'a "b", c', ""), ("c", "späß", "0.0")]
        )
    offsets = scan.offsets_of(path, {b"a", b"b", b"c", b"two", b"d"}, ("ImageID",))
    rows = list(scan.rows_at(path, {key: offsets[key] for key in (b"a", b"b", b"c")}))
    assert [(row["ImageID"], row["Title"], row["Rotation"]) for row in rows] == [
        ("a", "one\ntwo", "90.0"),
        ("b", 'a "b", c', ""),
        ("c", "späß", "0.0"),
    ]


def test_a_file_without_the_columns(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="lacks the column"):
        list(scan.lines_with(tmp_path / "x.csv", ["1"], COLUMNS))
