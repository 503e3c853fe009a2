"""A deadline for what a server sends, however it is cut into pieces.

A timeout of a socket bounds the wait for the next byte. A server that sends one byte a second, of its headers or of the
length of a chunk, is never late by that; here all bytes of one step count together.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from http.client import HTTPResponse
from typing import Any


class _Clock(threading.local):
    """A transfer connects, asks and reads in one thread, so that every thread has a deadline of its own."""

    until = float("inf")


_CLOCK = _Clock()


def allow(seconds: float) -> None:
    """From now on, what this thread reads from servers has to be there within so long, until this is called again."""
    _CLOCK.until = time.monotonic() + seconds


def left_s() -> float:
    """Seconds until this thread's deadline.

    Raises:
        TimeoutError: It is over.
    """
    left = _CLOCK.until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class TimedResponse(HTTPResponse):
    """An answer that has to come by the deadline of the thread that reads it: status, headers, and framing too."""

    def __init__(self, sock: socket.socket, *arguments: Any, **options: Any) -> None:
        super().__init__(sock, *arguments, **options)
        self.fp = io.BufferedReader(_TimedReader(sock, self.fp.detach()))


class _TimedReader(io.RawIOBase):
    def __init__(self, sock: socket.socket, raw: io.RawIOBase) -> None:
        self._socket = sock
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = left_s()
        timeout_s = self._socket.gettimeout()
        if timeout_s is not None and timeout_s <= left:
            return self._raw.readinto(buffer)
        self._socket.settimeout(left)
        try:
            return self._raw.readinto(buffer)
        finally:
            self._socket.settimeout(timeout_s)

    def close(self) -> None:
        self._raw.close()
        super().close()
