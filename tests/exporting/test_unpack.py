"""Archives from untrusted sources: if an archive is refused, no files are left."""

from __future__ import annotations

import stat
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from zoo.errors import UsageError, VerificationError, ZooError
from zoo.exporting import unpack
from zoo.exporting.place import write_archive
from zoo.exporting.unpack import unpacked


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which temporary folders are created."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def archive(path: Path, *names: str, change: Callable[[zipfile.ZipInfo], None] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            entry = zipfile.ZipInfo(name)
            if change:
                change(entry)
            file.writestr(entry, b"content")
    return path


def test_what_was_packed_comes_out_and_goes(tmp_path: Path, temporary: Path) -> None:
    source = tmp_path / "bundle"
    (source / "golden").mkdir(parents=True)
    (source / "spec.json").write_text("{}")
    (source / "golden" / "a b.txt").write_text("x" * 3_000_000)
    write_archive(source, tmp_path / "bundle.zip", "bundle")
    with unpacked(tmp_path / "bundle.zip") as folder:
        assert temporary in folder.parents
        found = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert found == {path.relative_to(source): path.read_bytes() for path in source.rglob("*") if path.is_file()}
    assert list(temporary.iterdir()) == []


def test_spec_may_lie_at_the_top(tmp_path: Path, temporary: Path) -> None:
    with unpacked(archive(tmp_path / "flat.zip", "spec.json", "model.onnx")) as folder:
        assert sorted(path.name for path in folder.iterdir()) == ["model.onnx", "spec.json"]


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/etc/out.txt", "C:/out.txt", "a\\..\\out.txt", "..", "a/b\0c"]
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, temporary: Path, name: str) -> None:
    def rename(entry: zipfile.ZipInfo) -> None:
        entry.filename = name  # as another program might have written it

    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("bundle/spec.json", b"{}")
        entry = zipfile.ZipInfo("placeholder")
        rename(entry)
        file.writestr(entry, b"content")
    with pytest.raises(VerificationError, match=r"nothing was unpacked.*points outside"), unpacked(path):
        pass
    assert list(temporary.iterdir()) == []
    assert not (tmp_path / "out.txt").exists()


def test_links_are_refused(tmp_path: Path, temporary: Path) -> None:
    def link(entry: zipfile.ZipInfo) -> None:
        entry.create_system = 3
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(VerificationError, match="is a link"), unpacked(archive(tmp_path / "l.zip", "b/x", change=link)):
        pass
    assert list(temporary.iterdir()) == []


def test_bombs_are_refused(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("b/spec.json", b"{}")
        file.writestr("b/zeros", bytes(50_000_000))
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(unpack, "MOST_BYTES", 40_000_000)
    with pytest.raises(VerificationError, match="it would need"), unpacked(path):
        pass
    # An entry with a wrong size is read only up to this size, and its checksum fails.
    content = path.read_bytes()
    lie = content.replace((50_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lie != content
    path.write_bytes(lie)
    with pytest.raises(VerificationError, match="is damaged"), unpacked(path):
        pass
    monkeypatch.setattr(unpack, "MOST_FILES", 3)
    with pytest.raises(VerificationError, match="4 files"), unpacked(archive(tmp_path / "n.zip", *"abcd")):
        pass
    assert list(temporary.iterdir()) == []


def test_two_of_one_name_are_refused(tmp_path: Path, temporary: Path) -> None:
    path = archive(tmp_path / "two.zip", "b/spec.json", "B/spec.json")
    with pytest.raises(VerificationError, match="twice"), unpacked(path):
        pass


@pytest.mark.parametrize("keep", [0.5, 0.98])
def test_truncated_archives_are_damaged(tmp_path: Path, temporary: Path, keep: float) -> None:
    path = archive(tmp_path / "cut.zip", "b/spec.json", *(f"b/{number}" for number in range(20)))
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    with pytest.raises(VerificationError, match="is damaged"), unpacked(path):
        pass
    assert list(temporary.iterdir()) == []


def test_a_name_that_is_no_text_is_damage(tmp_path: Path, temporary: Path) -> None:
    path = archive(tmp_path / "name.zip", "b/spec.json", "b/é.txt")
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xc3("))
    with pytest.raises(VerificationError, match="is damaged"), unpacked(path):
        pass
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("names", "said"),
    [(["b/readme.txt"], "contains no bundle"), (["a/spec.json", "b/spec.json"], "more than one bundle")],
)
def test_archives_of_something_else_are_told(tmp_path: Path, temporary: Path, names: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said), unpacked(archive(tmp_path / "other.zip", *names)):
        pass
    assert list(temporary.iterdir()) == []


def test_an_error_of_the_caller_leaves_nothing_either(tmp_path: Path, temporary: Path) -> None:
    with pytest.raises(ZooError, match="of the caller"), unpacked(archive(tmp_path / "a.zip", "b/spec.json")):
        raise ZooError("of the caller")
    assert list(temporary.iterdir()) == []
    with pytest.raises(UsageError, match="does not exist"), unpacked(tmp_path / "gone.zip"):
        pass
