"""``zoo data check``, the real command: its output, its exit code, and that it changes no files."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.audit.conftest import read_image, write_image
from tests.conftest import PhotoFolder, RunZoo, Zoo
from zoo.audit import audit as audit_module


def state(root: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_a_clean_folder_ends_with_0_and_stays_as_it_is(photo_folder: PhotoFolder, run_zoo: RunZoo) -> None:
    root = photo_folder({"a": 20, "b": 20})
    before = state(root)
    done = run_zoo("data", "check", root)
    assert done.code == 0, done.err
    assert "40 usable images in 2 classes, 0 unusable files" in done.out
    assert "formats  JPEG 40" in done.out
    assert state(root) == before


def test_a_leak_is_said_first_shown_and_ends_with_1(photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path) -> None:
    root = photo_folder({"train/a": 12, "train/<b>": 12, "test/a": 5, "test/<b>": 5})
    original = read_image(root / "train" / "a" / "photo_002.jpg")
    write_image(root / "test" / "a" / "copy.jpg", original[3:-3, 4:, ::1])
    (root / "train" / "<b>" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    page = tmp_path / "pages" / "page.html"
    done = run_zoo("data", "check", root, "--html", page)
    assert done.code == 1, done.err
    lines = done.out.splitlines()
    assert lines[0] == "Fix first"
    assert lines[1] == (
        "  1. 1 of 11 test images (9 %) have a near-duplicate in train or val. Accuracy measured on them is too high."
    )
    assert "1 file cannot be used, for example train/<b>/broken.jpg: truncated JPEG." in done.out
    text = page.read_text().replace("<wbr>", "")
    assert text.count("data:image/") >= 2
    assert "train/&lt;b&gt;/broken.jpg" in text
    assert "<b>/" not in text
    assert "test/a/copy.jpg" in text

    done = run_zoo("data", "check", root, "--json", "--fail-on", "contradiction,label")
    assert done.code == 0, done.err
    said = json.loads(done.out)
    (leak,) = [finding for finding in said["findings"] if finding["kind"] == "leak"]
    assert set(leak["files"]) == {"test/a/copy.jpg", "train/a/photo_002.jpg"}
    assert leak["severity"] == "error"
    assert said["leaked"]["test"] == {"near_duplicates": 1, "of": 11}
    assert said["counts"]["test"] == {"<b>": 5, "a": 6}
    assert {"first", "second", "kind", "similarity"} <= said["near_duplicates"][0].keys()


def test_a_row_without_a_split_leaks_into_none(photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path) -> None:
    root = photo_folder({"a": 14, "b": 14})
    rows = [
        f"photos/{label}/photo_{n:03d}.jpg,{label},{'test' if n < 3 else 'train' if n < 10 else ''}"
        for label in "ab"
        for n in range(14)
    ]
    for name, of, split in (("one", 5, ""), ("two", 1, ""), ("three", 1, "train")):
        (root / "a" / f"{name}.jpg").write_bytes((root / "a" / f"photo_{of:03d}.jpg").read_bytes())
        rows.append(f"photos/a/{name}.jpg,a,{split}")
    (tmp_path / "list.csv").write_text("\n".join(["path,label,split", *rows]) + "\n")
    done = run_zoo("data", "check", "list.csv", "--json", "--fail-on", "never")
    assert done.code == 0, done.err
    findings = json.loads(done.out)["findings"]
    said = {(finding["kind"], finding["detail"], len(finding["files"])) for finding in findings if finding["files"]}
    assert said == {("leak", "the same bytes in test and train", 3), ("duplicate", "the same bytes, 2 times", 2)}


def test_files_are_told_by_class_and_split(photo_folder: PhotoFolder, run_zoo: RunZoo, tmp_path: Path) -> None:
    root = photo_folder({"train/a": 18, "train/<b>": 20, "test/a": 5, "test/<b>": 5})
    for path in sorted((root / "train" / "<b>").iterdir()) + sorted((root / "test" / "<b>").iterdir()):
        write_image(path.with_suffix(".png"), read_image(path))
        path.unlink()
    done = run_zoo("data", "check", root, "--html", tmp_path / "page.html")
    assert done.code == 0, done.err
    assert "Classes that can be told apart by file properties: 1 (warning)\n  JPEG: 100 % of a, 0 % of <b>" in done.out
    assert len(done.out.splitlines()) < 20
    text = (tmp_path / "page.html").read_text()
    assert "Files of each class and split" in text
    assert "PNG 20" in text
    assert "<b>/" not in text
    done = run_zoo("data", "check", root, "--json", "--fail-on", "shortcut")
    assert done.code == 1, done.err
    found = {(part["label"], part["split"]): part for part in json.loads(done.out)["by_class"]}
    assert found["a", "train"]["pictures"] == 18
    assert found["<b>", "test"]["formats"] == {"PNG": 5}
    assert found["<b>", "test"]["modes"] == {"RGB": 5}
    assert found["a", "test"]["sizes"]["width_px"]["median"] == 96


def test_one_class_ends_with_4(photo_folder: PhotoFolder, run_zoo: RunZoo) -> None:
    root = photo_folder({"only": 3})
    assert run_zoo("data", "check", root, "--fail-on", "never").code == 4
    (root / "only" / "photo_000.jpg").write_text("nothing")
    (root / "only" / "photo_001.jpg").unlink()
    (root / "only" / "photo_002.jpg").unlink()
    done = run_zoo("data", "check", root)
    assert done.code == 4
    assert "can be used" in done.err


@pytest.mark.parametrize(
    "arguments", [["nowhere"], ["photos", "--fail-on", "bad"], ["photos", "--backbone", "simple_cnn"]]
)
def test_bad_arguments_end_with_2(arguments: list[str], photo_folder: PhotoFolder, run_zoo: RunZoo) -> None:
    photo_folder({"a": 2, "b": 2})
    assert run_zoo("data", "check", *arguments).code == 2


def test_a_hostile_folder_is_survived(shared_data: Path, run_zoo: RunZoo, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    folder = tmp_path / "hostile"
    command = [sys.executable, str(shared_data / "make_hostile.py"), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    done = run_zoo("data", "check", folder, "--html", tmp_path / "page.html")
    assert done.code == 1, done.err
    assert "named pipe" in done.out or "rugby/pipe.jpg" in (tmp_path / "page.html").read_text()
    assert "soccer/duplicate_of_rugby_ok_00.jpg" in done.out
    assert "Traceback" not in done.err


def test_a_dataset_that_does_not_fit_in_memory_is_refused_before_it_is_read(
    zoo: Zoo, photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 5, "b": 5})
    monkeypatch.setattr(audit_module, "usable_memory_bytes", lambda: 40_000)
    for command in (["data", "check", root], ["data", "split", root]):
        done = zoo(*command)
        assert done.code == 4
        assert "has 10 files. To compare them takes about 0.0 GB of memory; this machine has 0.0 GB." in done.err
    assert not list(own_cache.glob("images/*"))
