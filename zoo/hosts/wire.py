"""Messages between hosts: a JSON object and bytes, over one TCP connection. Nothing is unpickled."""

from __future__ import annotations

import json
import select
import socket
import struct
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

_LENGTHS = struct.Struct("!IQ")
#: Maximum size of the JSON object, in bytes.
_MOST_HEADER = 1 << 20


@dataclass(frozen=True)
class Message:
    """A message.

    Args:
        kind: What it is about.
        facts: The other fields of its JSON object.
        payload: Bytes that follow the object.
    """

    kind: str
    facts: Mapping[str, Any]
    payload: bytes = b""


class Wire:
    """One end of a connection.

    Args:
        connection: A connected socket, which is closed by ``close``.

    Attributes:
        peer: IP address of the other end.
        last_received_s: Time of the last received bytes, in seconds of ``time.monotonic``.
    """

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.peer = "unknown"
        with suppress(OSError):
            self.peer = str(connection.getpeername()[0]).removeprefix("::ffff:")
        self.last_received_s = time.monotonic()
        self._sending = threading.Lock()

    def send(self, kind: str, payload: bytes = b"", **facts: Any) -> None:
        """Sends a message. Any thread may call it.

        Raises:
            OSError: The connection is closed.
        """
        with self._sending:
            self.connection.sendall(_framed(kind, facts, len(payload)))
            if payload:
                self.connection.sendall(payload)

    def send_if_idle(self, kind: str) -> None:
        """Sends a message without other fields. It is left out if it would have to wait, or if the connection is
        closed."""
        self._send_within(0, kind, {})

    def send_last(self, kind: str, within_s: float, **facts: Any) -> None:
        """Sends a short message, after which the connection is not used any more.

        It is left out if the connection is closed. It is also left out if another thread is still sending after
        ``within_s`` seconds, or if the other end has not received enough after as many more.
        """
        self._send_within(within_s, kind, facts)

    def receive(self, most: int = 0) -> Message:
        """Waits for the next message.

        Args:
            most: Maximum number of bytes after the JSON object.

        Raises:
            OSError: The connection is closed, or the time limit of the socket has passed.
            ValueError: The other end does not send messages of this form.
        """
        header_bytes, payload_bytes = _LENGTHS.unpack(self._exactly(_LENGTHS.size))
        if header_bytes > _MOST_HEADER or payload_bytes > most:
            raise ValueError("a message is too long")
        values = json.loads(self._exactly(header_bytes))
        if not isinstance(values, dict) or not isinstance(values.get("kind"), str):
            raise ValueError("a message is not an object with a kind")
        return Message(values.pop("kind"), values, self._exactly(payload_bytes))

    def interrupt(self) -> None:
        """Ends the connection. Threads that wait in ``send`` or ``receive`` get an ``OSError``."""
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends the connection, and closes the socket."""
        self.interrupt()
        self.connection.close()

    def _send_within(self, within_s: float, kind: str, facts: Mapping[str, Any]) -> None:
        if not self._sending.acquire(timeout=within_s):
            return
        try:
            with suppress(OSError, ValueError):  # ValueError: the socket is closed
                if select.select([], [self.connection], [], within_s)[1]:  # the buffer has room for a short message
                    self.connection.sendall(_framed(kind, facts))
        finally:
            self._sending.release()

    def _exactly(self, count: int) -> bytes:
        found = bytearray()
        while len(found) < count:
            part = self.connection.recv(min(1 << 20, count - len(found)))
            if not part:
                raise ConnectionError("the connection is closed")
            self.last_received_s = time.monotonic()
            found += part
        return bytes(found)


def _framed(kind: str, facts: Mapping[str, Any], payload_bytes: int = 0) -> bytes:
    """The message up to its payload: the lengths of both parts, and the JSON object."""
    header = json.dumps({"kind": kind, **facts}).encode()
    return _LENGTHS.pack(len(header), payload_bytes) + header
