"""Remarks on images that are used, such as warnings of decoders about damage that they filled in."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
from numpy.typing import NDArray

from zoo.images.decode import decode
from zoo.images.errors import ImageError
from zoo.images.probe import probe
from zoo.quiet import Messages

#: Maximum number of lines of a decoder in a remark; a damaged TIFF may cause hundreds.
_MOST_LINES = 2


class Listener:
    """Decodes in any number of threads, and assigns messages on stderr to files.

    stderr is shared by the whole process, so a message may belong to any of the files that are being decoded at that
    moment, or come from a running model. Therefore each of these files is decoded again, one at a time. A message that
    occurs both times belongs to the file.
    """

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._state = threading.Condition()
        self._decoding = 0
        self._waiting = 0  # number of threads that wait until no other thread decodes

    def decode(self, data: bytes) -> tuple[NDArray[np.uint8], str]:
        """Decodes like ``zoo.images.decode``, and also returns a remark, which is usually empty.

        Raises:
            ImageError: In the same cases as ``zoo.images.decode``.
        """
        with self._beside_others():
            before = self._messages.size()
            try:
                pixels = decode(data)
                if self._messages.size() == before:
                    return pixels, remark(data, pixels)
            except ImageError:
                if self._messages.size() == before:
                    raise
            heard = self._messages.since(before)
        with self._alone():
            before = self._messages.size()
            try:
                pixels = decode(data)
            except ImageError:  # the error is sufficient, unless the user has enabled the messages of OpenCV
                if "OPENCV_LOG_LEVEL" not in os.environ:
                    self._messages.claim(self._said(before, heard))
                raise
            said = self._said(before, heard)
            self._messages.claim(said)
            return pixels, remark(data, pixels) or _warning(said)

    def _said(self, before: int, heard: Sequence[bytes]) -> list[bytes]:
        """The lines that the decoder wrote both times."""
        return [line for line in self._messages.since(before) if line in heard]

    @contextmanager
    def _beside_others(self) -> Iterator[None]:
        with self._state:
            # Otherwise a file that must be decoded alone would wait for as long as other threads are busy.
            self._state.wait_for(lambda: not self._waiting)
            self._decoding += 1
        try:
            yield
        finally:
            with self._state:
                self._decoding -= 1
                self._state.notify_all()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with self._state:  # held during the block, so that no other thread begins to decode
            self._waiting += 1
            try:
                self._state.wait_for(lambda: not self._decoding)
                yield
            finally:
                self._waiting -= 1
                self._state.notify_all()


def look(data: bytes) -> tuple[NDArray[np.uint8], str]:
    """Decodes an image, and returns a remark for the user.

    Args:
        data: The whole file.

    Returns:
        The pixels from ``zoo.images.decode``, and a remark of a few words without a full stop, or an empty string.

    Raises:
        ImageError: In the same cases as ``zoo.images.decode``.
    """
    with listening() as listener:
        return listener.decode(data)


@contextmanager
def listening() -> Iterator[Listener]:
    """Yields the listener of this process. Within the ``with`` block, stderr of the decoders is captured.

    Blocks may be nested and used in several threads. stderr is restored when the last block ends.
    """
    listener = _SHARED.enter()
    try:
        yield listener
    finally:
        _SHARED.leave()


class _Shared:
    """One listener for the process, because the descriptor can be redirected only once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._messages = Messages()
        self._listener = Listener(self._messages)
        self._users = 0

    def enter(self) -> Listener:
        with self._lock:
            if not self._users:
                self._messages.begin()
            self._users += 1
            return self._listener

    def leave(self) -> None:
        with self._lock:
            self._users -= 1
            if not self._users:
                self._messages.end()


_SHARED = _Shared()


def _warning(lines: Sequence[bytes]) -> str:
    if not lines:
        return ""
    shown = [" ".join(line.decode("utf-8", "replace").split()).rstrip(".") for line in lines[:_MOST_LINES]]
    more = [f"and {len(lines) - _MOST_LINES} more lines"] if len(lines) > _MOST_LINES else []
    return f"the decoder warns: {'; '.join([*shown, *more])}"


#: Maximum brightness, from 0 to 255, of samples that use only 12 of 16 bits.
NEARLY_BLACK = 16


def remark(data: bytes, pixels: npt.NDArray[np.uint8]) -> str:
    """A remark of a few words on a decoded image, or an empty string.

    Args:
        data: The whole file.
        pixels: What ``decode`` returned.
    """
    header = probe(data)
    if not header.has_end:
        return "JPEG without end marker, otherwise complete"
    if header.bits > 8 and 0 < pixels.max(initial=0) <= NEARLY_BLACK:
        return f"nearly black {header.format} of {header.bits} bits: its samples may use fewer of them"
    return ""
