"""Converts listed files to decoded, cached images.

Every file is read at most once, and unchanged files are not read again.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zoo.data.arrays import CachedArrays, OnFile, Place
from zoo.data.cache import ATTEMPTS, FileState, ImageCache
from zoo.data.reading import DECODER, Observer, Reader, read_here
from zoo.data.source import Entry, Skipped
from zoo.image_spec import ImageSpec
from zoo.reporter import Say, Slow

__all__ = ["DECODER", "Ingested", "Progress", "ingest"]

#: Called with the number of files done and the number of all files.
Progress = Callable[[int, int], None]

#: Number of files after which what was found out about them is stored, so that an interruption loses little.
_STORE_EVERY = 256
#: Number of files that are looked up in the cache at once. What the cache knows about one takes 500 bytes of memory.
_LOOKED_UP = 10_000


@dataclass(frozen=True)
class Ingested:
    """The result of reading a list of files.

    Args:
        entries: The usable files, in the given order.
        contents: SHA-256 of each usable file.
        pixels: Their images, in the same order.
        skipped: The other files, with the reason.
        decoded: Number of images that were decoded because they were not cached.
        damaged: Number of cached images that were damaged and decoded again.
        remarks: Remarks on files that are used, by file.
        on_file: Number of images for which the cache has no room, so that their files are decoded at every reading.
    """

    entries: tuple[Entry, ...]
    contents: tuple[str, ...]
    pixels: CachedArrays
    skipped: tuple[Skipped, ...]
    decoded: int
    damaged: int
    remarks: Mapping[str, str]
    on_file: int


def ingest(
    entries: Sequence[Entry],
    spec: ImageSpec,
    cache: ImageCache,
    progress: Progress | None = None,
    observer: Observer | None = None,
    reader: Reader = read_here,
    say: Say | None = None,
) -> Ingested:
    """Ensures that every usable image can be read, preprocessed with ``spec``: from the cache, as far as it has room.

    Args:
        entries: The files.
        spec: The preprocessing.
        cache: The cache.
        progress: Called with files done and files to do.
        observer: Observes every file that is decoded, and requests others if needed.
        reader: Reads and decodes files.
        say: Receives the number of files that are looked up in the cache, if that takes longer than a second.

    Raises:
        DataError: The cache cannot be written.
    """
    key = f"{spec.digest}-{DECODER}"
    image_bytes = int(np.prod(spec.input_shape))
    contents = _unchanged(entries, cache, say)
    looked_up = dict.fromkeys(contents.values())
    known = list(looked_up)
    reasons = cache.contents.refusals(known, DECODER)
    places = cache.rows(key, known, image_bytes)
    on_file: dict[str, OnFile] = {}
    failed: dict[str, str] = {}
    decoded = 0

    def new_images(
        todo: Sequence[Entry], known: Callable[[str], bool], room: int
    ) -> Generator[tuple[str, NDArray[np.uint8]], None, None]:
        nonlocal decoded
        states: dict[str, tuple[FileState, str]] = {}
        refused: dict[str, str] = {}
        remarks: dict[str, str] = {}
        written: set[str] = set()

        def store() -> None:
            cache.contents.remember_files(states)
            cache.contents.remember_refusals(refused, DECODER)
            cache.contents.remember_remarks(remarks, DECODER)
            reasons.update(refused)
            for stored in (states, refused, remarks):
                stored.clear()

        try:
            for done, read in enumerate(reader(todo, spec, known, observer), start=1):
                if observer and read.sha256 is not None and read.observed is not None:
                    observer.keep(read.sha256, read.observed)
                if read.sha256 is not None and read.state is not None:
                    contents[read.entry.path] = read.sha256
                    if read.settled:
                        states[read.entry.path] = (read.state, read.sha256)
                    if read.reason is not None:
                        refused[read.sha256] = read.reason
                    if read.remark:
                        remarks[read.sha256] = read.remark
                    if read.pixels is not None and read.sha256 not in written:
                        written.add(read.sha256)
                        decoded += 1
                        if len(written) <= room:
                            yield read.sha256, read.pixels
                        else:
                            on_file[read.sha256] = OnFile(read.entry.path, read.sha256, spec)
                            remarks.setdefault(read.sha256, "")
                elif read.reason is not None:
                    failed[read.entry.path] = read.reason
                if done % _STORE_EVERY == 0:
                    store()
                if progress:
                    progress(done, len(todo))
        finally:
            store()

    def unsettled() -> list[Entry]:
        settled = places.keys() | reasons.keys() | on_file.keys()
        return [entry for entry in entries if entry.path not in failed and contents.get(entry.path) not in settled]

    def knows(sha256: str, *, beyond: bool) -> bool:
        # A file that was renamed is recognised by its content. Beyond the room of the cache, it is not decoded again.
        return cache.knows(key, DECODER, sha256, remarks=beyond and sha256 not in looked_up)

    def leave_on_file(some: Sequence[Entry]) -> None:
        """Leaves images on file that are known to be decodable, so that they are not decoded in advance."""
        known = [entry for entry in some if entry.path in contents]
        decodable = cache.contents.decodable([contents[entry.path] for entry in known], DECODER)
        for entry in known:
            if (sha256 := contents[entry.path]) in decodable:
                on_file[sha256] = OnFile(entry.path, sha256, spec)

    for attempt in range(ATTEMPTS):
        todo = unsettled()
        wanted: set[str] = set()
        if attempt == 0 and observer:
            wanted = {sha256 for sha256 in contents.values() if observer.wants(sha256)} - reasons.keys()
            again = {entry.path for entry in todo}
            todo = [entry for entry in entries if entry.path in again or contents.get(entry.path) in wanted]
        if not todo:
            break
        new = [entry for entry in todo if contents.get(entry.path) not in places]
        room = cache.find_room(len(new) * image_bytes, keep=places.values()) // image_bytes
        if room < len(new):
            leave_on_file(new[room:])
            todo = [entry for entry in todo if (sha256 := contents.get(entry.path)) not in on_file or sha256 in wanted]
        # Images in the index may be evicted before they are looked up. On the second attempt, only mapped images count.
        in_cache: Callable[[str], bool] = places.__contains__
        if attempt == 0:
            in_cache = functools.partial(knows, beyond=room < len(new))
        # Closed here, because after an error in `write_images` it must store its last files before the index is closed.
        with closing(new_images(todo, in_cache, room)) as images:
            places |= cache.write_images(key, images, image_bytes)
        unknown = [sha256 for sha256 in dict.fromkeys(contents.values()) if sha256 not in places]
        reasons |= cache.contents.refusals(unknown, DECODER)
        places |= cache.rows(key, unknown, image_bytes)
        if room < len(new):
            leave_on_file(unsettled())
    if unsettled():
        raise cache.unkept()
    found: dict[str, Place] = {**on_file, **places}
    usable = [entry for entry in entries if entry.path not in failed and contents.get(entry.path) in found]
    remarks = cache.contents.remarks(list(dict.fromkeys(contents[entry.path] for entry in usable)), DECODER)
    return Ingested(
        entries=tuple(usable),
        contents=tuple(contents[entry.path] for entry in usable),
        pixels=CachedArrays([found[contents[entry.path]] for entry in usable], spec.input_shape),
        skipped=tuple(
            Skipped(entry.name, failed.get(entry.path) or reasons[contents[entry.path]])
            for entry in entries
            if entry.path in failed or contents[entry.path] not in found
        ),
        decoded=decoded,
        damaged=cache.damaged.get(key, 0),
        remarks={entry.name: remarks[sha256] for entry in usable if (sha256 := contents[entry.path]) in remarks},
        on_file=len(on_file.keys() - places.keys()),
    )


def _unchanged(entries: Sequence[Entry], cache: ImageCache, say: Say | None) -> dict[str, str]:
    """SHA-256 by path, for files whose size, time and inode have not changed since they were last read."""
    found: dict[str, str] = {}
    slow = Slow(f"Comparing files with the cache: {{}} of {len(entries)}", say)
    for start in range(0, len(entries), _LOOKED_UP):
        paths = [entry.path for entry in entries[start : start + _LOOKED_UP]]
        known = cache.contents.files(paths)
        for path in paths:
            slow.tick()
            with suppress(OSError):
                if path in known and FileState.of(os.stat(path)) == known[path][0]:  # noqa: PTH116
                    found[path] = known[path][1]
    return found
