"""Values of ``--data``: class folders, split folders, the tutorial's Main/ and a CSV file; and invalid content."""

from __future__ import annotations

import errno
import itertools
import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import PhotoFolder, draw_photo
from zoo.data import load_data
from zoo.data.source import list_source
from zoo.errors import DataError, UsageError
from zoo.image_spec import ImageSpec


def labels_and_splits(path: Path) -> Counter[tuple[str, str | None]]:
    return Counter((entry.label, entry.split) for entry in list_source(path).entries)


def test_class_folders(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"rugby": 2, "soccer/indoor/2024": 1, "soccer": 1})
    assert labels_and_splits(root) == {("rugby", None): 2, ("soccer", None): 2}


@pytest.mark.parametrize("val", ["val", "valid", "validation", "Val"])
def test_split_folders(photo_folder: PhotoFolder, val: str) -> None:
    root = photo_folder({"train/a": 2, "train/b": 1, f"{val}/a": 1, "test/b": 3})
    expected = {("a", "train"): 2, ("b", "train"): 1, ("a", "val"): 1, ("b", "test"): 3}
    assert labels_and_splits(root) == expected


def test_the_folder_above_the_splits_will_do(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"Main/train/rugby": 1, "Main/train/soccer": 1, "Main/test/rugby": 1})
    assert labels_and_splits(root)[("rugby", "test")] == 1


def test_a_class_may_be_called_train(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"train": 2, "bus": 2, "car": 1})
    assert labels_and_splits(root) == {("train", None): 2, ("bus", None): 2, ("car", None): 1}


def test_a_test_set_alone_is_a_split(photo_folder: PhotoFolder) -> None:
    alone = photo_folder({"test/a": 2, "test/b": 1}, name="alone")
    assert labels_and_splits(alone) == {("a", "test"): 2, ("b", "test"): 1}
    both = photo_folder({"Main/val/a": 1, "Main/test/a": 2}, name="both")
    assert labels_and_splits(both) == {("a", "val"): 1, ("a", "test"): 2}
    beside = photo_folder({"test/a": 2, "bus": 1}, name="beside")
    assert labels_and_splits(beside) == {("test", None): 2, ("bus", None): 1}
    classes = photo_folder({"test": 2, "val": 1}, name="classes")
    assert labels_and_splits(classes) == {("test", None): 2, ("val", None): 1}


def test_hidden_and_system_files_are_no_data(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 1, "b": 1})
    for junk in (
        "a/.DS_Store",
        "a/Thumbs.db",
        "a/desktop.ini",
        ".git/x.jpg",
        "__MACOSX/a/._x.jpg",
        ".ipynb_checkpoints/x.jpg",
    ):
        (root / junk).parent.mkdir(parents=True, exist_ok=True)
        (root / junk).write_bytes(b"junk")
    listing = list_source(root)
    assert {entry.label for entry in listing.entries} == {"a", "b"}
    assert len(listing.entries) == 2
    assert listing.skipped == []


def test_a_picture_beside_the_class_folders_is_named(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 1, "b": 1})
    draw_photo(root / "stray.jpg", 0, 0)
    (root / "notes.txt").write_text("not a picture")
    (skipped,) = list_source(root).skipped
    assert (skipped.name, "not in a class folder" in skipped.reason) == ("stray.jpg", True)


def test_links_are_followed_and_loops_end(photo_folder: PhotoFolder, tmp_path: Path) -> None:
    root = photo_folder({"a": 1, "b": 1})
    elsewhere = photo_folder({"more": 2}, name="elsewhere")
    (root / "a" / "loop").symlink_to("..")
    (root / "a" / "more").symlink_to(elsewhere / "more")
    (root / "b" / "again").symlink_to(root / "b")
    (root / "b" / "link.jpg").symlink_to(root / "b" / "photo_000.jpg")
    assert labels_and_splits(root) == {("a", None): 3, ("b", None): 2}


def test_a_link_to_itself_costs_nothing_else(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 1, "b": 1})
    (root / "a" / "self").symlink_to("self")
    (root / "round").symlink_to("round")
    listing = list_source(root)
    # The link in a class folder is listed when it is read, like every file that cannot be read.
    assert [entry.name for entry in listing.entries] == ["a/photo_000.jpg", "a/self", "b/photo_000.jpg"]
    assert [(item.name, item.reason) for item in listing.skipped] == [
        ("round", "a link that cannot be followed, so it is not a class")
    ]


def test_a_folder_without_permission_costs_nothing_else(
    photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 1, "a/locked": 2, "b": 1, "secret": 3})
    scandir = os.scandir

    def refusing(path: Path) -> Iterator[os.DirEntry[str]]:  # as the system does for all users except root
        if path in (root / "a" / "locked", root / "secret"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    listing = list_source(root)
    assert [entry.name for entry in listing.entries] == ["a/photo_000.jpg", "b/photo_000.jpg"]
    reason = "folder that cannot be listed: Permission denied"
    assert [(item.name, item.reason) for item in listing.skipped] == [("a/locked", reason), ("secret", reason)]
    assert listing.notes == ["The folder 'secret' contains no accessible file and is not used as a class."]


def test_an_empty_class_folder_is_said_not_taken_for_a_class(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 1, "b": 1, "empty": 0})
    listing = list_source(root)
    assert {entry.label for entry in listing.entries} == {"a", "b"}
    assert any("'empty' contains no file" in note for note in listing.notes)


def test_order_does_not_depend_on_the_file_system(photo_folder: PhotoFolder) -> None:
    names = [entry.name for entry in list_source(photo_folder({"b": 5, "a": 5})).entries]
    assert names == sorted(names)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_csv(tmp_path: Path, encoding: str) -> None:
    rows = ["path,label,split", "x/1.jpg,rugby,train", '"a, b.jpg",soccer,', "2.jpg,rugby,validation", ""]
    (tmp_path / "list.csv").write_text("\n".join(rows), encoding=encoding)
    entries = list_source(tmp_path / "list.csv").entries
    assert [(entry.name, entry.label, entry.split) for entry in entries] == [
        ("2.jpg", "rugby", "val"),
        ("a, b.jpg", "soccer", None),
        ("x/1.jpg", "rugby", "train"),
    ]
    assert entries[0].path == str(tmp_path / "2.jpg")


@pytest.mark.parametrize("end", ["\u2028", "\u0085", "\x0b", "\x1e"])
def test_csv_names_may_hold_what_ends_a_line_elsewhere(tmp_path: Path, end: str) -> None:
    (tmp_path / "list.csv").write_text(f"path,label\n1{end}2.jpg,rugby\n3.jpg,soccer\n", encoding="utf-8", newline="")
    listing = list_source(tmp_path / "list.csv")
    assert [(entry.name, entry.label) for entry in listing.entries] == [(f"1{end}2.jpg", "rugby"), ("3.jpg", "soccer")]
    assert listing.skipped == []


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_csv_lines_may_end_as_on_any_system(tmp_path: Path, end: str) -> None:
    (tmp_path / "list.csv").write_text(f'path,label{end}1.jpg,rugby{end}"a\nb.jpg",soccer{end}', newline="")
    assert [entry.name for entry in list_source(tmp_path / "list.csv").entries] == ["1.jpg", "a\nb.jpg"]


def test_csv_rows_that_say_nothing_are_skipped_with_their_line(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("path,label\n1.jpg,a\n2.jpg,\n,b\n1.jpg,b\n")
    listing = list_source(tmp_path / "list.csv")
    assert [entry.name for entry in listing.entries] == ["1.jpg"]
    assert sorted(item.reason for item in listing.skipped) == [
        "line 3 has no label",
        "line 4 has no path",
        "listed twice: again in line 5, with the label 'b' instead of 'a'",
    ]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_csv_in_utf_16_is_called_so(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "list.csv").write_text("path,label\n1.jpg,a\n", encoding=encoding)
    with pytest.raises(DataError, match=r"it is UTF-16 text, not UTF-8\.\n.*CSV UTF-8"):
        list_source(tmp_path / "list.csv")


def test_csv_paths_of_windows_are_read_and_said(photo_folder: PhotoFolder) -> None:
    root = photo_folder({"a": 1, "b": 1})
    (root / "odd\\name.jpg").write_bytes(b"here a backslash is a letter")
    rows = ["path,label", "a\\photo_000.jpg,a", "b/photo_000.jpg,b", "odd\\name.jpg,b", f"a\\{'x' * 300},a"]
    (root / "list.csv").write_text("\n".join(rows))
    listing = list_source(root / "list.csv")
    names = {"a/photo_000.jpg", "b/photo_000.jpg", "odd\\name.jpg", f"a/{'x' * 300}"}
    assert {entry.name for entry in listing.entries} == names
    assert listing.notes == ["2 path(s) in list.csv contain backslashes, which were read as slashes."]


def test_csv_null_bytes_are_said(tmp_path: Path) -> None:
    rows = "path,label\n" + "".join(f"{number}.jpg,a\n" for number in range(9)) + "x.jpg,a\0b\ny\0.jpg,a\n"
    (tmp_path / "list.csv").write_text(rows)
    listing = list_source(tmp_path / "list.csv")
    assert len(listing.entries) == 9
    assert [item.reason for item in listing.skipped] == [
        "line 11: its label 'a\\0b' contains a null byte",
        "line 12: its path 'y\\0.jpg' contains a null byte",
    ]


def test_folders_nested_a_thousand_deep_are_no_trouble(
    photo_folder: PhotoFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.edge.sources import listed

    root = photo_folder({"a": 1, "b": 1})
    monkeypatch.chdir(root / "a")
    for _ in range(1500):  # the path would be too long, so the folders are created step by step
        os.mkdir("d")  # noqa: PTH102
        os.chdir("d")
    Path("deep.jpg").write_bytes(b"x")
    monkeypatch.chdir(root)
    listing = list_source(root)
    assert {"a/photo_000.jpg", "b/photo_000.jpg"} <= {entry.name for entry in listing.entries}
    assert len(list(listed([str(root / "a")]))) == 2
    subprocess.run(["rm", "-rf", root / "a" / "d"], check=True)  # pytest's own removal is recursive


def test_csv_without_a_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,label\n1.jpg,a\n")
    with pytest.raises(DataError, match=r"lacks the column.*path.*Found: file, label"):
        list_source(tmp_path / "list.csv")
    (tmp_path / "list.csv").write_text("path,label,split\n1.jpg,a,holdout\n")
    with pytest.raises(DataError, match="line 2: unknown split 'holdout'"):
        list_source(tmp_path / "list.csv")


def test_what_is_no_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"No data at"):
        list_source(tmp_path / "nowhere")
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match="neither a folder nor a CSV"):
        list_source(tmp_path / "photo.jpg")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="contains no class folder with files"):
        list_source(tmp_path / "empty")


@pytest.mark.skipif(os.name != "posix", reason="needs names of any bytes")
def test_names_of_any_bytes(tmp_path: Path) -> None:
    for label in ("класс_é", 'a,b"c'):
        draw_photo(tmp_path / label / "line\nbreak.jpg", 0, 0)
        draw_photo(Path(os.fsdecode(os.fsencode(tmp_path / label) + b"/caf\xe9.jpg")), 0, 1)
    assert labels_and_splits(tmp_path) == {("класс_é", None): 2, ('a,b"c', None): 2}


def test_a_slow_listing_and_comparison_says_how_far_it_is(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 12, "b": 12})
    spec = ImageSpec(height_px=8, width_px=8)
    for path in root.rglob("*.jpg"):
        os.utime(path, (1e9, 1e9))
    said: list[str] = []
    load_data(str(root), spec, say=said.append)
    assert said == []  # it took less than a second
    clock = itertools.count(0, 0.25)
    monkeypatch.setattr("zoo.reporter.time", SimpleNamespace(monotonic=lambda: next(clock)))
    load_data(str(root), spec, say=said.append)
    assert said == ["Listing the files: 4 so far", "Comparing files with the cache: 4 of 24"]
