"""The image cache: right after interruptions, beside other processes, at its bound, and when it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import PhotoFolder, draw_photo, zoo_environment
from zoo.data import cache as cache_module
from zoo.data import load_data
from zoo.data.cache import ImageCache
from zoo.data.ingest import ingest
from zoo.data.source import list_source
from zoo.errors import DataError, UsageError
from zoo.image_spec import ImageSpec
from zoo.images import load_image

SPEC = ImageSpec(height_px=20, width_px=24)
IMAGE_BYTES = 20 * 24 * 3


def make_old(folder: Path) -> None:
    """Files changed a moment ago are read again; these shall count as settled."""
    for path in folder.rglob("*.jpg"):
        os.utime(path, (time.time() - 60, time.time() - 60))


def images(count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for number in range(count):
        yield f"content{number}", np.full((20, 24, 3), number, np.uint8)


def read_back(cache: ImageCache, count: int) -> dict[str, tuple[str, int]]:
    return cache.rows("spec", [f"content{number}" for number in range(count)], IMAGE_BYTES)


def test_pixels_come_back_as_they_were_decoded(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 9, "b": 9})
    data = load_data(str(root), SPEC)
    pixels = data.pixels.read(np.arange(len(data.names)))
    for name, image in zip(data.names, pixels, strict=True):
        assert np.array_equal(image, load_image(root / name, SPEC))


def test_the_second_time_nothing_is_read(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 9, "b": 9})
    (root / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff not much of a picture")
    make_old(root)
    listing = list_source(root)
    first = ingest(listing.entries, SPEC, ImageCache())
    assert first.decoded == 18
    monkeypatch.setattr("zoo.data.ingest.read_file", lambda path: pytest.fail(f"{path} was read"))
    second = ingest(listing.entries, SPEC, ImageCache())
    assert second.decoded == 0
    assert second.contents == first.contents
    assert second.skipped == first.skipped
    assert [item.name for item in second.skipped] == ["a/broken.jpg"]


def test_what_is_decoded_is_not_decoded_again_under_another_name(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 9, "b": 9})
    entries = list_source(root).entries
    assert ingest(entries, SPEC, ImageCache()).decoded == 18
    moved = root.rename(root.parent / "moved")
    assert ingest(list_source(moved).entries, SPEC, ImageCache()).decoded == 0


def test_a_changed_file_is_noticed(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 3, "b": 3})
    make_old(root)
    before = load_data(str(root), SPEC)
    draw_photo(root / "a" / "photo_001.jpg", 90, 12345)
    after = load_data(str(root), SPEC)
    changed = [name for name, x, y in zip(before.names, before.contents, after.contents, strict=True) if x != y]
    assert changed == ["a/photo_001.jpg"]
    assert before.digest != after.digest


def test_another_spec_is_another_row(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 3, "b": 3})
    load_data(str(root), SPEC)
    other = load_data(str(root), ImageSpec(height_px=20, width_px=24, resize="letterbox"))
    image = other.pixels.read([0])[0]
    assert np.array_equal(image, load_image(root / other.names[0], other.spec))


def test_what_was_decoded_before_an_interruption_is_kept(own_cache: Path) -> None:
    def interrupted() -> Iterator[tuple[str, NDArray[np.uint8]]]:
        yield from images(5)
        raise KeyboardInterrupt

    cache = ImageCache()
    with pytest.raises(KeyboardInterrupt):
        cache.write_images("spec", interrupted(), IMAGE_BYTES)
    assert len(read_back(ImageCache(), 10)) == 5
    assert not list(own_cache.rglob("*.tmp"))


def test_segments_are_bounded(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "SEGMENT_BYTES", 4 * IMAGE_BYTES)
    cache = ImageCache()
    cache.write_images("spec", images(10), IMAGE_BYTES)
    rows = read_back(cache, 10)
    assert len(rows) == 10
    assert (
        sorted(path.stat().st_size for path in (own_cache / "images").iterdir())
        == [2 * IMAGE_BYTES] + [4 * IMAGE_BYTES] * 2
    )
    for number in range(10):
        segment, row = rows[f"content{number}"]
        stored = np.fromfile(cache.segment_path(segment), np.uint8).reshape(-1, 20, 24, 3)
        assert (stored[row] == number).all()


def test_a_truncated_segment_is_made_again(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 6, "b": 6})
    make_old(root)
    expected = load_data(str(root), SPEC).pixels.read(range(12))
    (segment,) = (own_cache / "images").glob("*.u8")
    with segment.open("r+b") as file:
        file.truncate(100)
    assert np.array_equal(load_data(str(root), SPEC).pixels.read(range(12)), expected)


def test_copies_of_images_whose_segment_is_gone_are_decoded_again(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 6, "b": 6})
    load_data(str(root), SPEC)
    for segment in (own_cache / "images").glob("*.u8"):
        segment.unlink()
    assert len(load_data(str(root.rename(root.parent / "moved")), SPEC).names) == 12


def test_a_damaged_index_is_begun_anew(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 3, "b": 3})
    load_data(str(root), SPEC)
    for path in own_cache.glob("index.sqlite*"):
        path.write_bytes(b"this is no database at all" * 100)
    (own_cache / "openimages").mkdir()  # gigabytes, of which the index says nothing
    assert len(load_data(str(root), SPEC).names) == 6
    assert (own_cache / "openimages").is_dir()


def test_an_index_with_one_damaged_page_is_begun_anew(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 40, "b": 40})
    load_data(str(root), SPEC)
    index = own_cache / "index.sqlite"
    with contextlib.closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # until then the rows are in a file beside it
    whole = bytearray(index.read_bytes())
    page = int.from_bytes(whole[16:18], "big")
    assert len(whole) > 5 * page
    whole[-2 * page : -page] = b"\xff" * page
    index.write_bytes(whole)
    assert len(load_data(str(root), SPEC).names) == 80


def test_the_bound_evicts_what_was_unused_longest(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache()
    for number in range(3):
        one = [(f"content{number}", np.full((20, 24, 3), number, np.uint8))]
        cache.write_images("spec", one, IMAGE_BYTES)
    cache.rows("spec", ["content0"], IMAGE_BYTES)  # used again: content1 is now the one unused longest
    monkeypatch.setenv("ZOO_CACHE_GB", str(3.5 * IMAGE_BYTES / 1e9))
    cache.make_room(IMAGE_BYTES, keep=set())
    assert set(read_back(cache, 3)) == {"content0", "content2"}


def test_a_bound_too_small_says_how_to_raise_it(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE_GB", "0.000001")
    with pytest.raises(DataError, match="ZOO_CACHE_GB"):
        ImageCache().make_room(10_000, keep=set())
    monkeypatch.setenv("ZOO_CACHE_GB", "much")
    with pytest.raises(UsageError, match="Received: 'much'"):
        ImageCache().usage()


def test_what_cannot_fit_costs_nothing_that_is_there(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache()
    for number in range(3):
        cache.write_images("spec", [(f"content{number}", np.full((20, 24, 3), number, np.uint8))], IMAGE_BYTES)
    monkeypatch.setenv("ZOO_CACHE_GB", str(3.5 * IMAGE_BYTES / 1e9))
    with pytest.raises(DataError, match="the cache may hold"):
        cache.make_room(4 * IMAGE_BYTES, keep=set())
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
        with pytest.raises(DataError, match="are free"):
            cache.make_room(IMAGE_BYTES, keep=set())
    assert len(read_back(cache, 3)) == 3


def test_what_killed_processes_left_is_removed(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache()
    cache.write_images("spec", images(2), IMAGE_BYTES)
    left = [own_cache / "images" / name for name in ("a.123.tmp", "b.u8", "c.456.tmp", "d.u8")]
    for path in left:
        path.write_bytes(bytes(IMAGE_BYTES))
    for path in [*left[:2], *map(cache.segment_path, {name for name, _ in read_back(cache, 2).values()})]:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    cache.make_room(IMAGE_BYTES, keep=set())
    assert [path.exists() for path in left] == [False, False, True, True]  # the young ones may be in the making
    assert len(read_back(cache, 2)) == 2


def test_a_disk_without_room_is_told_before_anything_is_decoded(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE_GB", "1e9")
    with pytest.raises(DataError, match="are free"):
        ImageCache().make_room(10**17, keep=set())


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("ZOO_CACHE_DIR", str(tmp_path / "file"))
    with pytest.raises(DataError, match="Could not use the image cache"):
        ImageCache()


def test_processes_at_once(photo_folder: PhotoFolder, own_cache: Path, site: Path) -> None:
    root = photo_folder({"a": 60, "b": 60})
    code = (
        "import sys, hashlib; from zoo.data import load_data; from zoo.image_spec import ImageSpec\n"
        "data = load_data(sys.argv[1], ImageSpec(height_px=20, width_px=24))\n"
        "print(hashlib.sha256(data.pixels.read(range(len(data.names))).tobytes()).hexdigest(), data.digest)"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, env=zoo_environment(site))
        for _ in range(3)
    ]
    answers = {process.communicate()[0] for process in processes}
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert len(answers) == 1
    data = load_data(str(root), SPEC)
    assert np.array_equal(data.pixels.read([5])[0], load_image(root / data.names[5], SPEC))


def test_clearing_leaves_other_files_alone(own_cache: Path) -> None:
    cache = ImageCache()
    cache.write_images("spec", images(2), IMAGE_BYTES)
    assert cache.usage().images == 2
    for made in ("precision.json", "audit.sqlite", "openimages/0123/classes.csv", "datasets/digits-1/0/1.png"):
        (own_cache / made).parent.mkdir(parents=True, exist_ok=True)
        (own_cache / made).write_text("{}")
    (own_cache / "thesis.txt").write_text("mine")
    (own_cache / "features").mkdir()
    cache.clear()
    assert sorted(path.name for path in own_cache.iterdir()) == ["features", "thesis.txt"]
