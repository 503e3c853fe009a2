"""Reads and decodes image files: the part of an ingest that does not need the cache."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.data.cache import FileState
from zoo.data.source import Entry
from zoo.image_spec import ImageSpec
from zoo.images import DECODER_VERSION, ImageError, ImageMemoryError, MissingDecoderError, patiently, read_file, resize
from zoo.images.ahead import ahead
from zoo.images.listen import Listener, listening
from zoo.machine import core_count

#: Other releases of OpenCV may decode slightly differently, so their results have another key. The version of a spec is
#: in its digest.
DECODER = f"{DECODER_VERSION}-opencv{cv2.__version__}"

#: Observes the bytes of a file, its image in full size, ``(height, width, 3)`` RGB, and the remark on it.
Observe = Callable[[bytes, NDArray[np.uint8], str], Any]


class Observer(Protocol):
    """Observes files while they are decoded."""

    @property
    def observe(self) -> Observe:
        """The function that observes a file. It is called in threads or on other machines, so it is a function of a
        module, and its result can be pickled."""

    def wants(self, sha256: str) -> bool:
        """Whether a content must be decoded for this observer even if it is cached. Called from several threads."""

    def keep(self, sha256: str, observed: Any) -> None:
        """Receives the result of ``observe`` for a content."""


@dataclass(frozen=True)
class Read:
    """One file that was read.

    Args:
        entry: The file.
        state: State of the file at that time.
        sha256: SHA-256 of its content. ``None`` if it could not be read, or a decoder or memory is missing
            on this machine.
        pixels: The preprocessed image, uint8. ``None`` if it is known, or there is none.
        reason: The reason why there is no image.
        remark: Remark on the image.
        observed: Result of the observer. ``None`` if it does not want the content.
        settled: Whether the state identifies the content, as in ``FileState.settled``.
    """

    entry: Entry
    state: FileState | None = None
    sha256: str | None = None
    pixels: NDArray[np.uint8] | None = None
    reason: str | None = None
    remark: str = ""
    observed: Any = None
    settled: bool = False


#: Reads files, in any order. Arguments are those of ``read_here``.
Reader = Callable[[Sequence[Entry], ImageSpec, Callable[[str], bool], Observer | None], Iterator[Read]]


def read_here(
    entries: Sequence[Entry], spec: ImageSpec, known: Callable[[str], bool], observer: Observer | None
) -> Iterator[Read]:
    """Reads files in threads of this process, with a limited number of files ahead.

    Args:
        entries: The files.
        spec: The preprocessing.
        known: Whether the image of a content is known, so that it need not be decoded. Called from several threads.
        observer: Observes every file that is decoded, and those that it wants.
    """
    threads = min(4, core_count())
    if observer is None:
        yield from read_files(entries, spec, known, None, lambda _: False, threads)
    else:
        yield from read_files(entries, spec, known, observer.observe, observer.wants, threads)


def read_files(
    entries: Sequence[Entry],
    spec: ImageSpec,
    known: Callable[[str], bool],
    observe: Observe | None,
    wants: Callable[[str], bool],
    threads: int,
) -> Iterator[Read]:
    """Like ``read_here``, with a number of threads, and the parts of an observer."""

    def read(entry: Entry) -> Read:
        return _read(entry, spec, known, observe, wants, listener)

    with listening() as listener:
        yield from ahead(read, entries, threads)


def _read(
    entry: Entry,
    spec: ImageSpec,
    known: Callable[[str], bool],
    observe: Observe | None,
    wants: Callable[[str], bool],
    listener: Listener,
) -> Read:
    begun_ns = time.time_ns()
    try:
        data = read_file(entry.path)
        state = FileState.of(patiently(os.stat, entry.path))
    except ImageError as error:
        return Read(entry, reason=error.reason)
    except OSError as error:
        return Read(entry, reason=error.strerror or str(error))
    settled = state.settled(begun_ns)
    sha256 = hashlib.sha256(data).hexdigest()
    cached = known(sha256)
    wanted = observe is not None and wants(sha256)
    if cached and not wanted:
        return Read(entry, state, sha256, settled=settled)
    try:
        pixels, remark = listener.decode(data)
        observed = observe(data, pixels, remark) if observe and wanted else None
        image = None if cached else resize(pixels, spec)
        return Read(entry, state, sha256, image, remark=remark, observed=observed, settled=settled)
    except (MissingDecoderError, ImageMemoryError) as error:
        return Read(entry, reason=error.reason)  # not stored, because the next run may have the decoder or the memory
    except ImageError as error:
        return Read(entry, state, sha256, reason=error.reason, settled=settled)
