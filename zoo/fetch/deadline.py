"""A deadline for the data of a server, independent of how it is split into packets.

The timeout of a socket limits the wait for the next byte. A server that sends one byte per second, of its headers or of
the length of a chunk, never exceeds this timeout. Here, the time for all bytes of one step is limited.
"""

from __future__ import annotations

import io
import socket
import threading
import time
from http.client import HTTPResponse
from typing import Any


class _Clock(threading.local):
    """The deadline of a thread. Each transfer connects, requests and reads in one thread."""

    until = float("inf")


_CLOCK = _Clock()


def allow(seconds: float) -> None:
    """Sets the deadline: all data that this thread reads must arrive within that time, until the next call."""
    _CLOCK.until = time.monotonic() + seconds


def left_s() -> float:
    """Seconds until this thread's deadline.

    Raises:
        TimeoutError: The deadline has passed.
    """
    left = _CLOCK.until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class TimedResponse(HTTPResponse):
    """A response whose status, headers and framing must arrive by the deadline of the reading thread."""

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
