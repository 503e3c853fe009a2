"""Connections of ``run.py --serve``: reads requests and writes responses, within limits of size and time.

One thread serves all connections, so a client that sends slowly or never reads costs a few kilobytes and no thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum, auto
from typing import Protocol, cast

from zoo.edge.http_request import Head, RefusedError, Response, read_head

#: Maximum size of the request line with the headers, and of the body.
MAX_HEAD_BYTES = 16 * 1024
MAX_BODY_BYTES = 32 * 2**20

#: Maximum memory for the requests of all connections that have no response yet.
MAX_HELD_BYTES = 4 * MAX_BODY_BYTES

#: Maximum number of connections. If it is exceeded, the connection that has waited longest for its client is closed.
MAX_CONNECTIONS = 256

#: Time limits in seconds: of a connection without a request, for the headers of a request, for the client to read a
#: response, and for closing after a response.
IDLE_S, HEAD_S, READING_S, CLOSING_S = 60.0, 10.0, 10.0, 5.0

#: Minimum speed of a body in every interval of ``HEAD_S``, so that a client that stalls does not keep memory.
MIN_BODY_BYTES_PER_S = 16 * 1024

#: When the service stops: maximum number of seconds in which requests that have begun are still answered, and in which
#: the others then read that they are refused. Docker waits for ten seconds.
STOP_S, REFUSING_S = 7.0, 0.5


class Service(Protocol):
    """Handles requests. All methods are called by the thread of the connections."""

    def headers(self, head: Head) -> Mapping[str, str]:
        """Headers of all responses to a request, including errors.

        Raises:
            RefusedError: The client is not allowed to use the service.
        """

    def check(self, head: Head) -> None:
        """Checks a request before its body is read.

        Raises:
            RefusedError: The request cannot be handled.
        """

    def respond(self, connection: Connection, head: Head, body: bytes) -> None:
        """Calls ``connection.reply`` once, now or later, in the same thread, unless the request is forgotten."""

    def forget(self, connection: Connection) -> bool:
        """Drops the request of a connection, unless the work on it has begun.

        Returns:
            Whether it was dropped. Otherwise, ``connection.reply`` will still be called.
        """


class _State(Enum):
    IDLE = auto()  # no request has begun
    HEAD = auto()
    BODY = auto()
    ANSWERING = auto()
    SENDING = auto()  # the client has not read the response yet
    CLOSING = auto()  # discards input: if the connection were closed at once, the client could lose the response
    LOST = auto()


_READING = (_State.IDLE, _State.HEAD, _State.BODY)


class Connections:
    """All connections of a service, and what they share: their number and the memory for their requests."""

    def __init__(self) -> None:
        self.open: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}  # connections that wait for their client, the longest wait first
        self.held_bytes = 0
        self.stopping = False

    def make_room(self) -> None:
        """If there are too many connections, closes the one that has waited longest for its client."""
        if len(self.open) > MAX_CONNECTIONS:
            next(iter(self.waiting)).give_up()

    async def end(self) -> None:
        """Answers the requests that have begun, refuses those that take too long, and closes every connection."""
        self.stopping = True
        await self._wait_until_closed(STOP_S)
        for connection in list(self.open):
            connection.refuse_late()
        await self._wait_until_closed(REFUSING_S)
        for connection in list(self.open):
            connection.give_up()

    async def _wait_until_closed(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self.open:
                    for connection in list(self.open):
                        connection.close_if_idle()
                    await asyncio.sleep(0.01)


class Connection(asyncio.Protocol):
    """One connection. It handles one request after the other.

    Args:
        shared: All connections.
        service: Handles the requests.
    """

    def __init__(self, shared: Connections, service: Service) -> None:
        self._shared, self._service = shared, service
        self._loop = asyncio.get_running_loop()
        self._state = _State.IDLE
        self._buffer = bytearray()
        self._held_bytes = 0  # bytes in the buffer and in the body that the service has
        self._head: Head | None = None
        self._headers: Mapping[str, str] = {}  # headers of all responses to the request
        self._without_body = False  # whether the method is HEAD
        self._seen_bytes = 0  # bytes of the body that had arrived at the start of the current interval
        self._paused = self._ended = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=0)  # `resume_writing` is called once everything has been sent
        self._shared.open.add(self)
        self._await_request()
        self._shared.make_room()

    def connection_lost(self, error: Exception | None) -> None:
        in_work = self._state is _State.ANSWERING and not self._service.forget(self)
        self._enter(_State.LOST)
        self._buffer.clear()
        self._hold(self._head.body_bytes if in_work and self._head else 0)
        self._shared.open.discard(self)

    def data_received(self, data: bytes) -> None:
        if self._state in (_State.CLOSING, _State.LOST):
            return
        self._buffer += data
        self._hold(self._held_bytes + len(data))
        if self._state in _READING:
            self._advance()
        elif len(self._buffer) > MAX_HEAD_BYTES:
            self._transport.pause_reading()
            self._paused = True

    def eof_received(self) -> bool:
        """The client sends nothing more, but may wait for a response. ``True`` keeps the connection open."""
        self._ended = True
        self._end_input()
        return bool(self._buffer) or self._state in (_State.ANSWERING, _State.SENDING)

    def resume_writing(self) -> None:
        if self._state is _State.SENDING:
            self._await_request()

    def reply(self, response: Response) -> None:
        """Sends the response to the request that was passed to the service."""
        if self._state is not _State.ANSWERING:  # the client closed the connection, or the service stops
            self._hold(0)
            return
        assert self._head is not None
        head, self._head = self._head, None
        self._hold(len(self._buffer))
        close = self._shared.stopping or not head.keeps_alive or (self._ended and not self._buffer)
        self._transport.write(response.encoded(self._headers, close, self._without_body))
        if close:
            self._close()
        elif self._transport.get_write_buffer_size():
            self._enter(_State.SENDING, READING_S)
        else:
            self._await_request()

    def close_if_idle(self) -> None:
        if self._state is _State.IDLE:
            self._transport.close()

    def refuse_late(self) -> None:
        """Refuses a request that has no response yet, because the service stops."""
        response = RefusedError(503, "The service stops. Try again later.", {"Retry-After": "1"}).response
        if self._state is _State.ANSWERING:
            self._service.forget(self)
            self.reply(response)
        elif self._state in (_State.HEAD, _State.BODY):
            self._refuse(response)

    def give_up(self) -> None:
        """Closes the connection at once."""
        self._transport.abort()
        self._shared.waiting.pop(self, None)

    def _await_request(self) -> None:
        self._enter(_State.IDLE, IDLE_S)
        self._headers = {}
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        if self._buffer or self._ended:
            self._loop.call_soon(self._advance)

    def _advance(self) -> None:
        try:
            if self._state in (_State.IDLE, _State.HEAD):
                self._read_head()
            if self._state is _State.BODY:
                self._read_body()
        except RefusedError as error:
            self._refuse(error.response)
        else:
            if self._ended:
                self._end_input()

    def _end_input(self) -> None:
        """Called if the client sends nothing more: no further request follows, and half a request is an error."""
        if self._state in (_State.HEAD, _State.BODY):
            self._refuse(RefusedError(400, "The request is incomplete.").response)
        elif self._state is _State.IDLE and not self._buffer:
            self._transport.close()

    def _read_head(self) -> None:
        while self._buffer.startswith(b"\r\n"):
            del self._buffer[:2]
        if not self._buffer:
            return
        self._without_body = self._buffer.startswith(b"HEAD ")
        end = self._buffer.find(b"\r\n\r\n", 0, MAX_HEAD_BYTES)
        if end < 0:
            if len(self._buffer) >= MAX_HEAD_BYTES:
                raise RefusedError(431, f"The headers take more than {MAX_HEAD_BYTES // 1024} KiB.")
            if self._state is _State.IDLE:
                self._enter(_State.HEAD, HEAD_S)
            return
        head = read_head(bytes(self._buffer[:end]))
        del self._buffer[: end + 4]
        self._headers = self._service.headers(head)
        self._service.check(head)
        if head.body_bytes > MAX_BODY_BYTES:
            size, most = head.body_bytes / 2**20, MAX_BODY_BYTES // 2**20
            raise RefusedError(413, f"The request has {size:.1f} MiB. The limit is {most} MiB.")
        if "expect" in head.headers:
            if head.headers["expect"].lower() != "100-continue":
                raise RefusedError(417, "The only supported value of the Expect header is 100-continue.")
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._head, self._seen_bytes = head, 0
        self._enter(_State.BODY, HEAD_S)

    def _read_body(self) -> None:
        assert self._head is not None
        missing = self._head.body_bytes - len(self._buffer)
        if missing > 0:
            if self._shared.held_bytes > MAX_HELD_BYTES:
                raise RefusedError(
                    503, "Too many photos are being sent at once. Try again later.", {"Retry-After": "1"}
                )
            return
        with memoryview(self._buffer) as view:
            body = bytes(view[: self._head.body_bytes])
        del self._buffer[: self._head.body_bytes]
        self._enter(_State.ANSWERING)
        self._service.respond(self, self._head, body)

    def _refuse(self, response: Response) -> None:
        self._buffer.clear()
        self._hold(0)
        self._transport.write(response.encoded(self._headers, True, self._without_body))
        self._close()

    def _close(self) -> None:
        """Closes the connection when the client has read the response and has stopped sending."""
        if self._ended or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
        if self._paused:
            self._transport.resume_reading()
        self._enter(_State.CLOSING, CLOSING_S)

    def _hold(self, held_bytes: int) -> None:
        self._shared.held_bytes += held_bytes - self._held_bytes
        self._held_bytes = held_bytes

    def _enter(self, state: _State, seconds: float | None = None) -> None:
        if state in (_State.ANSWERING, _State.LOST):
            self._shared.waiting.pop(self, None)
        else:
            self._shared.waiting.setdefault(self)
        self._state = state
        self._arm(seconds)

    def _arm(self, seconds: float | None) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None if seconds is None else self._loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        if self._state is _State.IDLE:
            self._transport.close()
        elif self._state is _State.BODY and self._arrived_bytes() >= MIN_BODY_BYTES_PER_S * HEAD_S:
            self._seen_bytes = len(self._buffer)
            self._arm(HEAD_S)
        elif self._state in (_State.HEAD, _State.BODY):
            self._refuse(RefusedError(408, "The request did not arrive in time.").response)
        else:
            self._transport.abort()

    def _arrived_bytes(self) -> int:
        """Bytes of the body that have arrived in the current interval."""
        return len(self._buffer) - self._seen_bytes
