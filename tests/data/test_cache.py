"""The image cache: correct after interruptions, with other processes, at its size limit, and if it is damaged."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import PhotoFolder, draw_photo, zoo_environment
from zoo.audit.records import Records
from zoo.data import load_data
from zoo.data.arrays import Place
from zoo.data.cache import FileState, ImageCache
from zoo.data.cache import images as cache_module
from zoo.data.cache.folder import segment_path
from zoo.data.ingest import ingest
from zoo.data.reading import Read, read_here
from zoo.data.segments import Segment
from zoo.data.source import list_source
from zoo.errors import DataError, UsageError
from zoo.image_spec import ImageSpec
from zoo.images import decode as decode_file
from zoo.images import load_image
from zoo.workflows.notes import tell_files

SPEC = ImageSpec(height_px=20, width_px=24)
IMAGE_BYTES = 20 * 24 * 3


def make_old(folder: Path) -> None:
    """Sets an old modification time, because files that were changed recently are read again."""
    for path in folder.rglob("*.jpg"):
        os.utime(path, (time.time() - 60, time.time() - 60))


def images(count: int) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    for number in range(count):
        yield f"content{number}", np.full((20, 24, 3), number, np.uint8)


def read_back(cache: ImageCache, count: int) -> dict[str, Place]:
    return cache.rows("spec", [f"content{number}" for number in range(count)], IMAGE_BYTES)


def no_memory() -> cv2.error:
    error = cv2.error("Insufficient memory")
    error.code = cv2.Error.StsNoMem
    return error


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
    monkeypatch.setattr("zoo.data.reading.read_file", lambda path: pytest.fail(f"{path} was read"))
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


def test_a_file_that_was_read_shortly_after_a_change_is_read_again(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another change at about the same time might not alter its size and time. When the digest is stored, the change
    may be long ago, because many files are stored together."""
    root = photo_folder({"a": 3, "b": 3})
    make_old(root)
    changed = root / "a" / "photo_001.jpg"
    now_ns = time.time_ns()
    os.utime(changed, ns=(now_ns, now_ns))

    def reader(*arguments: Any) -> Iterator[Read]:
        found = list(read_here(*arguments))
        monkeypatch.setattr(time, "time_ns", lambda: now_ns + 10**10)
        yield from found

    paths = [entry.path for entry in list_source(root).entries]
    with contextlib.closing(ImageCache()) as cache:
        assert len(ingest(list_source(root).entries, SPEC, cache, reader=reader).entries) == 6
        assert set(paths) - set(cache.contents.files(paths)) == {str(changed)}


@pytest.mark.parametrize(
    ("inode", "mtime_ns"),
    [(2**64 - 1, 10**18), (2**63, 10**18), (2**100 + 7, 10**18), (0, -(2**63)), (7, -(2**63) - 1), (7, 2**63)],
)
def test_files_with_unusual_inodes_and_times_are_stored(own_cache: Path, inode: int, mtime_ns: int) -> None:
    stat = SimpleNamespace(st_size=9, st_mtime_ns=mtime_ns, st_ino=inode)  # no file system here has such files
    state = FileState.of(stat)  # type: ignore[arg-type]
    stored = -(2**63) <= mtime_ns < 2**62
    with contextlib.closing(ImageCache()) as cache:
        cache.contents.remember_files({"photo.jpg": (state, "digest")})
        assert cache.contents.files(["photo.jpg"]) == ({"photo.jpg": (state, "digest")} if stored else {})


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


def known_files(folder: Path) -> int:
    with contextlib.closing(sqlite3.connect(folder / "index.sqlite")) as index:
        return int(index.execute("SELECT COUNT(*) FROM files").fetchone()[0])


def test_a_killed_reading_pass_keeps_the_files_that_it_has_read(
    photo_folder: PhotoFolder, own_cache: Path, site: Path
) -> None:
    root = photo_folder({"a": 20, "b": 20})
    make_old(root)
    code = (
        "import os, signal, sys; from zoo.data import ingest, load_data; from zoo.image_spec import ImageSpec\n"
        "ingest._STORE_EVERY = 8\n"
        "kill = lambda done, total: done == 30 and os.kill(os.getpid(), signal.SIGKILL)\n"
        "load_data(sys.argv[1], ImageSpec(height_px=20, width_px=24), progress=kill)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(root)], env=zoo_environment(site))
    assert (done.returncode, known_files(own_cache)) == (-signal.SIGKILL, 24)
    assert len(load_data(str(root), SPEC).names) == 40


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_an_error_while_a_segment_is_written_keeps_what_was_read(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    root = photo_folder({"a": 6, "b": 6})
    make_old(root)
    crc32, calls = zlib.crc32, 0

    def interrupted(*data: Any) -> int:
        nonlocal calls
        calls += 1
        if calls == 8:
            raise error
        return crc32(*data)

    with monkeypatch.context() as patch:
        patch.setattr(cache_module.zlib, "crc32", interrupted)
        with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else DataError):
            load_data(str(root), SPEC)
    assert known_files(own_cache) == 8
    assert ImageCache().usage().images == 7
    decoded: list[int] = []
    load_data(str(root), SPEC, progress=lambda done, total: decoded.append(total))
    assert decoded[-1] == 5


@pytest.mark.parametrize("error", [MemoryError(), no_memory()])
def test_a_photo_that_does_not_fit_in_memory_is_tried_again_by_the_next_command(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    root = photo_folder({"a": 3, "b": 3})
    make_old(root)
    large = (root / "b" / "photo_001.jpg").read_bytes()

    def decode(data: bytes, header: Any) -> Any:
        if data == large:
            raise error
        return decode_in_memory(data, header)

    decoder = sys.modules[decode_file.__module__]
    decode_in_memory = decoder._decode
    with monkeypatch.context() as patch:
        patch.setattr(decoder, "_decode", decode)
        (skipped,) = load_data(str(root), SPEC).skipped
    assert (skipped.name, skipped.reason) == ("b/photo_001.jpg", "96 x 72 pixels do not fit in memory")
    assert len(load_data(str(root), SPEC).names) == 6


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
        assert (segment.arrays(np.dtype("uint8"), (20, 24, 3))[row] == number).all()


def test_a_truncated_segment_is_made_again(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 6, "b": 6})
    make_old(root)
    expected = load_data(str(root), SPEC).pixels.read(range(12))
    (segment,) = (own_cache / "images").glob("*.u8")
    with segment.open("r+b") as file:
        file.truncate(100)
    assert np.array_equal(load_data(str(root), SPEC).pixels.read(range(12)), expected)


def test_images_are_decoded_again_if_their_segment_was_removed(photo_folder: PhotoFolder, own_cache: Path) -> None:
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
    (own_cache / "openimages").mkdir()  # may contain gigabytes that are not in the index
    assert len(load_data(str(root), SPEC).names) == 6
    assert (own_cache / "openimages").is_dir()


def test_an_index_with_one_damaged_page_is_begun_anew(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 40, "b": 40})
    load_data(str(root), SPEC)
    index = own_cache / "index.sqlite"
    with contextlib.closing(sqlite3.connect(index)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # before that, the rows are in a separate file
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
    cache.rows("spec", ["content0"], IMAGE_BYTES)  # used again, so content1 is now the least recently used
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
    with pytest.raises(DataError, match="its limit is"):
        cache.make_room(4 * IMAGE_BYTES, keep=set())
    with monkeypatch.context() as patch:
        patch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0))
        with pytest.raises(DataError, match="are free"):
            cache.make_room(IMAGE_BYTES, keep=set())
    assert len(read_back(cache, 3)) == 3


def test_mapped_segments_free_no_space_on_the_disk(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache()
    for number in range(4):
        cache.write_images("spec", [(f"content{number}", np.full((20, 24, 3), number, np.uint8))], IMAGE_BYTES)
    mapped = cache.rows("spec", ["content0", "content1"], IMAGE_BYTES)
    spare = 64 * 2**20
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=spare))
    with pytest.raises(DataError, match="are free"):
        cache.make_room(3 * IMAGE_BYTES, keep=set())
    cache.make_room(IMAGE_BYTES, keep=set())
    assert set(read_back(cache, 4)) == {"content0", "content1", "content3"}
    assert len(mapped) == 2


def test_photos_beyond_the_bound_are_decoded_when_they_are_read(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    root = photo_folder({"a": 10, "b": 10})
    (root / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff not much of a picture")
    odd = sorted((root / "b").iterdir())[1]
    odd.write_bytes(odd.read_bytes()[:-2] + bytes(9) + b"\xff\xd9")  # the decoder warns each time it reads the file
    for path in root.rglob("*"):
        os.utime(path, (time.time() - 60, time.time() - 60))
    whole = load_data(str(root), SPEC)
    expected = whole.pixels.read(range(20))
    assert any("the decoder warns" in note for note in whole.notes), whole.notes
    ImageCache().clear()

    monkeypatch.setenv("ZOO_CACHE_GB", str(8 * IMAGE_BYTES / 1e9))
    seen: list[int] = []
    for attempt in ("first", "again"):
        seen.clear()
        data = load_data(str(root), SPEC, progress=lambda done, total: seen.append(done))
        assert (data.names, data.splits, data.digest) == (whole.names, whole.splits, whole.digest)
        assert [item.name for item in data.skipped] == ["a/broken.jpg"]
        assert np.array_equal(data.pixels.read(range(20)), expected)
        assert np.array_equal(data.pixels.only([19, 2]).read([0, 1]), expected[[19, 2]])
        assert any("13 of 20 images have no room in the cache" in note for note in data.notes), data.notes
        assert [note for note in data.notes if "room" not in note] == list(whole.notes)
        assert ImageCache().usage().size_bytes < 8 * IMAGE_BYTES + 2**20
        assert (len(seen) == 0) == (attempt == "again")  # in the second run, the index knows that they can be decoded

    assert capfd.readouterr().err == ""  # the warning is reported once, in the notes

    monkeypatch.setenv("ZOO_CACHE_GB", "1")
    data = load_data(str(root), SPEC)
    assert not any("room" in note for note in data.notes)
    assert np.array_equal(data.pixels.read(range(20)), expected)


def test_renamed_photos_beyond_the_bound_are_not_decoded_again(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 10, "b": 10})
    make_old(root)
    monkeypatch.setenv("ZOO_CACHE_GB", str(8 * IMAGE_BYTES / 1e9))
    with contextlib.closing(ImageCache()) as cache:
        assert ingest(list_source(root).entries, SPEC, cache).decoded == 20
    (root / "b").rename(root / "c")  # the cache has photos of the other class
    with contextlib.closing(ImageCache()) as cache:
        found = ingest(list_source(root).entries, SPEC, cache)
        assert (found.decoded, found.on_file, len(found.entries)) == (0, 13, 20)
    monkeypatch.setenv("ZOO_CACHE_GB", str(16 * IMAGE_BYTES / 1e9))
    with contextlib.closing(ImageCache()) as cache:
        found = ingest(list_source(root).entries, SPEC, cache)
        assert found.on_file == 6  # with more room, more are decoded once
        expected = np.stack([load_image(entry.path, SPEC) for entry in found.entries])
        assert np.array_equal(found.pixels.read(range(20)), expected)


def test_images_beyond_the_bound_and_features_do_not_evict_each_other_in_turn(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 10, "b": 10})
    make_old(root)
    monkeypatch.setattr(cache_module, "SEGMENT_BYTES", IMAGE_BYTES)
    monkeypatch.setenv("ZOO_CACHE_GB", str(16 * IMAGE_BYTES / 1e9))
    computed: list[str] = []

    def features(contents: Sequence[str]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        for sha256 in contents:
            computed.append(sha256)
            yield sha256, np.zeros(IMAGE_BYTES // 16, np.float32)

    decoded = []
    for _ in range(3):
        with contextlib.closing(ImageCache()) as cache:
            found = ingest(list_source(root).entries, SPEC, cache)
            decoded.append(found.decoded)
            del found
            cache.filled("features-test", [f"content{n}" for n in range(20)], IMAGE_BYTES // 4, features)
    assert len(computed) == 20
    assert decoded[0] == 20
    assert decoded[2] == 0


def test_a_photo_beyond_the_bound_that_is_changed_or_removed_is_named(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 4, "b": 4})
    monkeypatch.setenv("ZOO_CACHE_GB", "0.0000001")
    data = load_data(str(root), SPEC)
    changed, removed = (root / data.names[place] for place in (2, 5))
    changed.write_bytes((root / data.names[0]).read_bytes())
    removed.unlink()
    assert data.pixels.read([0, 1]).shape == (2, 20, 24, 3)
    with pytest.raises(DataError, match=f"'{changed}' was changed while it was in use") as error:
        data.pixels.read([1, 2])
    assert "Restore the file" in str(error.value.hint)
    with pytest.raises(DataError, match=f"'{removed}' can no longer be read"):
        data.pixels.read([5])


def test_what_killed_processes_left_is_removed(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = ImageCache()
    cache.write_images("spec", images(2), IMAGE_BYTES)
    left = [own_cache / "images" / name for name in ("a.123.tmp", "b.u8", "c.456.tmp", "d.u8")]
    for path in left:
        path.write_bytes(bytes(IMAGE_BYTES))
    for path in [*left[:2], *(segment_path(own_cache, segment.name) for segment, _ in read_back(cache, 2).values())]:
        os.utime(path, (time.time() - 7200, time.time() - 7200))
    cache.make_room(IMAGE_BYTES, keep=set())
    assert [path.exists() for path in left] == [False, False, True, True]  # the new ones may still be written
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


def test_two_processes_that_share_a_full_cache_lose_no_photo(
    photo_folder: PhotoFolder, own_cache: Path, site: Path
) -> None:
    """Only one of the two datasets fits, so that each process evicts what the other has just written."""
    roots = [photo_folder({"a": 17, "b": 17}, "first"), photo_folder({"c": 17, "d": 17}, "second")]
    code = (
        "import sys, time; from zoo.data import load_data; from zoo.data.cache import images as cache\n"
        "from zoo.image_spec import ImageSpec; from zoo.images import listen\n"
        f"cache.SEGMENT_BYTES = {5 * IMAGE_BYTES}\n"
        "decode = listen.decode; listen.decode = lambda data: time.sleep(0.01) or decode(data)\n"
        "spec = ImageSpec(height_px=20, width_px=24)\n"
        "for _ in range(3):\n"
        "    data = load_data(sys.argv[1], spec)\n"
        "    assert len(data.names) == 34 and not data.skipped, data.skipped"
    )
    environment = zoo_environment(site) | {"ZOO_CACHE_GB": str(36 * IMAGE_BYTES / 1e9)}
    processes = [subprocess.Popen([sys.executable, "-c", code, str(root)], env=environment) for root in roots]
    assert [process.wait() for process in processes] == [0, 0]


@pytest.mark.parametrize("how", ["evicted", "cleared"])
def test_what_the_cache_loses_while_it_is_filled_is_decoded_again(
    how: str, photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 10, "b": 10})
    expected = load_data(str(root), SPEC).pixels.read(range(20))
    moved = root.rename(root.parent / "moved")  # the cache knows the contents, and finds them when the files are read
    entries = list_source(moved).entries
    (moved / "a" / "broken.jpg").write_bytes(b"\xff\xd8\xff not much of a picture")
    broken = list_source(moved).entries

    def lose(done: int, total: int) -> None:
        if done in (12, 15):
            other = ImageCache()
            if how == "cleared":
                other.clear()
            else:
                for path in (own_cache / "images").glob("*.u8"):
                    other._table.forget(path.stem)

    monkeypatch.setattr(cache_module, "SEGMENT_BYTES", 4 * IMAGE_BYTES)
    found = ingest(broken, SPEC, ImageCache(), lose)
    assert found.entries == tuple(entries)
    assert np.array_equal(found.pixels.read(range(20)), expected)
    assert [item.name for item in found.skipped] == ["a/broken.jpg"]
    assert found.skipped[0].reason != "could not be read"


def test_a_cache_that_keeps_nothing_is_an_error(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 3, "b": 3})
    monkeypatch.setattr(ImageCache, "_adopt", lambda *arguments: {})
    with pytest.raises(DataError, match="loses the data that is written"):
        load_data(str(root), SPEC)


def test_a_data_set_that_is_removed_while_it_is_read_is_an_error(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 20, "b": 20})
    with pytest.raises(DataError, match="was removed while it was read"):
        load_data(str(root), SPEC, progress=lambda done, total: done == 25 and shutil.rmtree(root))


def test_images_stay_readable_when_the_cache_is_cleared(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 3, "b": 3})
    data = load_data(str(root), SPEC)
    expected = data.pixels.read(range(6))
    ImageCache().clear()
    assert np.array_equal(data.pixels.read(range(6)), expected)


def test_damaged_pixels_are_decoded_again_and_said(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 6, "b": 6})
    make_old(root)
    first = load_data(str(root), SPEC)
    expected, notes = first.pixels.read(range(12)), first.notes
    (segment,) = (own_cache / "images").glob("*.u8")
    del first  # a mapped segment is not checked again
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 1
    segment.write_bytes(data)
    again = load_data(str(root), SPEC)
    assert np.array_equal(again.pixels.read(range(12)), expected)
    assert set(again.notes) - set(notes) == {
        "12 of the cached images were damaged on disk. They were removed and computed again."
    }
    told: list[str] = []
    tell_files(again, SimpleNamespace(note=told.append))  # as `zoo evaluate`, `export` and `verify` do
    assert told == ["12 of the cached images were damaged on disk. They were removed and computed again."]
    assert not segment.exists()
    assert load_data(str(root), SPEC).notes == notes


@pytest.mark.parametrize(("most", "said"), [(400, "100 mapped"), (64, "Allow more open files")])
def test_more_segments_than_the_soft_limit_of_open_files(own_cache: Path, site: Path, most: int, said: str) -> None:
    code = (
        "import resource, sys; import numpy as np\n"
        "from zoo.data.cache import ImageCache, images; from zoo.errors import DataError\n"
        "images.SEGMENT_BYTES = 3\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, int(sys.argv[1])))\n"
        "photos = ((str(number), np.full(3, number, np.uint8)) for number in range(100))\n"
        "try: print(len(ImageCache().write_images('spec', photos, 3)), 'mapped')\n"
        "except DataError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(most)]
    done = subprocess.run(command, env=zoo_environment(site), capture_output=True, text=True)
    assert said in done.stdout, done.stdout + done.stderr


def test_a_segment_is_checked_once_a_process(
    photo_folder: PhotoFolder, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = photo_folder({"a": 3, "b": 3})
    checked = []
    checksum = Segment._checksum
    monkeypatch.setattr(Segment, "_checksum", lambda segment: checked.append(segment.name) or checksum(segment))
    data = [load_data(str(root), SPEC) for _ in range(3)]
    assert len(data) == 3
    assert len(checked) == 1


def test_a_cache_without_checksums_is_made_again(photo_folder: PhotoFolder, own_cache: Path) -> None:
    root = photo_folder({"a": 3, "b": 3})
    make_old(root)
    expected = load_data(str(root), SPEC).pixels.read(range(6))
    (segment,) = (own_cache / "images").glob("*.u8")
    with contextlib.closing(sqlite3.connect(own_cache / "index.sqlite")) as connection, connection:
        connection.execute("ALTER TABLE segments DROP COLUMN crc32")  # as the first releases had it
        connection.execute("PRAGMA user_version = 0")
    segment.write_bytes(bytes(segment.stat().st_size))
    data = load_data(str(root), SPEC)
    assert np.array_equal(data.pixels.read(range(6)), expected)
    assert not segment.exists()


def test_remarks_of_earlier_releases_are_no_refusals(photo_folder: PhotoFolder, own_cache: Path) -> None:
    """Earlier releases stored remarks in the table of refused files, under the decoder's name with a suffix."""
    root = photo_folder({"a": 3, "b": 3})
    path = root / "b" / "photo_001.jpg"
    path.write_bytes(path.read_bytes()[:-2])
    make_old(root)
    notes = load_data(str(root), SPEC).notes
    assert "without end marker" in notes[0]
    (segment,) = (own_cache / "images").glob("*.u8")
    with contextlib.closing(sqlite3.connect(own_cache / "index.sqlite")) as connection, connection:
        connection.execute("INSERT INTO rejects SELECT sha256, decoder || ' remarks', remark FROM remarks")
        connection.execute("DROP TABLE remarks")
        connection.execute("PRAGMA user_version = 2")
    assert load_data(str(root), SPEC).notes == notes
    assert segment.exists()
    with contextlib.closing(sqlite3.connect(own_cache / "index.sqlite")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM rejects").fetchone() == (0,)


def test_clearing_leaves_other_files_alone(own_cache: Path) -> None:
    cache = ImageCache()
    cache.write_images("spec", images(2), IMAGE_BYTES)
    assert cache.usage().images == 2
    for made in ("precision.json", "openimages/0123/classes.csv", "datasets/digits-1/0/1.png", "given/01ab/images.csv"):
        (own_cache / made).parent.mkdir(parents=True, exist_ok=True)
        (own_cache / made).write_text("{}")
    with Records() as records:
        records.write("kind", {"key": "value"})
    (own_cache / "thesis.txt").write_text("mine")
    (own_cache / "features").mkdir()
    cache.clear()
    # The index stays, empty: another process may be using it.
    assert sorted(path.name for path in own_cache.iterdir() if path.is_file()) == [
        "audit.sqlite",
        "index.sqlite",
        "thesis.txt",
    ]
    assert sorted(path.name for path in own_cache.iterdir() if path.is_dir()) == ["features", "images"]
    assert ImageCache().usage().images == 0
    assert not list((own_cache / "images").iterdir())
