"""The limits of the service of ``run.py --serve`` for its clients: time, memory and number of connections."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import io
import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.images.pictures import png_that_declares
from zoo import ImageSpec
from zoo.edge import http_connection, serve
from zoo.edge.classify import Classifier
from zoo.edge.http_connection import Connection, Connections
from zoo.edge.origins import Origins
from zoo.edge.serve import PhotoService
from zoo.exported import TensorInfo

PHOTO = png_that_declares(8, 8, rows=8)


class Gate:
    """A model that predicts only while the gate is open."""

    inputs = (TensorInfo(name="image", shape=(None, 8, 8, 3), dtype="uint8"),)
    outputs = (TensorInfo(name="probabilities", shape=(None, 2), dtype="float32"),)

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked = 0

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.asked += 1
        assert self.open.wait(20)
        return np.array([[0.25, 0.75]], np.float32)


@contextlib.contextmanager
def listening(model: Gate, labels: tuple[str, str] = ("a", "b")) -> Iterator[tuple[int, Connections]]:
    """Starts a service in this process; yields its port and its connections."""
    started: list[tuple[int, Connections, asyncio.AbstractEventLoop, asyncio.Event]] = []
    ready = threading.Event()

    async def run() -> None:
        classifier = Classifier(model, ImageSpec(height_px=8, width_px=8), labels)
        service = PhotoService([classifier], 1, Origins([], on_loopback=True), {"labels": labels})
        connections, stop = Connections(), asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Connection(connections, service), "127.0.0.1", 0)
        started.append((server.sockets[0].getsockname()[1], connections, loop, stop))
        ready.set()
        await stop.wait()
        server.close()
        await connections.end()
        service.end()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    assert ready.wait(20)
    port, connections, loop, stop = started[0]
    try:
        yield port, connections
    finally:
        model.open.set()
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
    assert connections.held_bytes == 0
    assert not connections.open
    assert not connections.waiting


@pytest.fixture
def model() -> Gate:
    return Gate()


@pytest.fixture
def connect() -> Iterator[Callable[[int], socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield lambda port: stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))


Connect = Callable[[int], socket.socket]


def post(body: bytes, declared: int | None = None) -> bytes:
    length = len(body) if declared is None else declared
    return b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s" % (length, body)


def all_of(connection: socket.socket) -> bytes:
    """All bytes until the service closes the connection."""
    with contextlib.suppress(ConnectionResetError):
        return b"".join(iter(lambda: connection.recv(65536), b""))
    return b"reset"


def answer_of(connection: socket.socket) -> tuple[int, dict[str, object]]:
    """Status and JSON of the next response, which must arrive in one piece."""
    head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_half_a_request_is_given_up_however_slowly_it_drips(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", 0.2)
    with listening(model) as (port, _):
        for begun in (b"POST / HT", post(b"half", 10)):
            connection = connect(port)
            connection.sendall(begun)
            start = time.monotonic()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                while time.monotonic() < start + 0.3:
                    connection.sendall(b"x")
                    time.sleep(0.1)
            assert all_of(connection).startswith(b"HTTP/1.1 408 ")
            connection.close()


def test_a_large_photo_may_take_longer_as_long_as_it_arrives(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", 2.0)
    monkeypatch.setattr(http_connection, "MIN_BODY_BYTES_PER_S", 100)
    model.open.set()
    with listening(model) as (port, _):
        connection = connect(port)
        connection.sendall(post(PHOTO, len(PHOTO) + 5000))
        for _ in range(10):
            time.sleep(0.25)
            connection.sendall(bytes(500))
        assert answer_of(connection)[0] == 200


def test_an_upload_that_stalls_gives_its_memory_back(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "HEAD_S", 0.2)
    with listening(model) as (port, connections):
        connection = connect(port)
        connection.sendall(post(bytes(8 * 2**20 - 1000), 8 * 2**20))  # at 16 KiB/s, it may take 512 s
        start = time.monotonic()
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
        assert time.monotonic() < start + 5
        assert connections.held_bytes == 0
        connection.close()


def test_a_client_that_never_reads_is_let_go(model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "READING_S", 0.2)
    with listening(model, ("a" * 3_000_000, "b" * 3_000_000)) as (port, connections):
        connection = connect(port)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50)
        until(lambda: connections.open)
        until(lambda: not connections.open)
        assert connection.getpeername()[1] == port  # the client has not closed it


def test_a_connection_without_requests_is_closed(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "IDLE_S", 0.1)
    with listening(model) as (port, _):
        assert all_of(connect(port)) == b""


def test_one_connection_too_many_takes_the_place_of_the_one_that_waited_longest(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "MAX_CONNECTIONS", 3)
    with listening(model) as (port, connections):
        asking = connect(port)
        asking.sendall(post(PHOTO))
        until(lambda: model.asked)
        slow = [connect(port), connect(port)]
        for connection in slow:
            connection.sendall(b"POST / ")
        until(lambda: len(connections.open) == 3)
        late = connect(port)
        late.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_of(late) == (200, {"status": "ok", "waiting": 0})
        assert all_of(slow[0]) in (b"", b"reset")
        slow[1].close()
        model.open.set()
        assert answer_of(asking)[0] == 200  # a client that waits for a response is never disconnected


def test_a_full_queue_is_said_and_loses_nobody(model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "MAX_WAITING", 2)
    with listening(model) as (port, _):
        clients = []
        for number in range(3):
            clients.append(connect(port))
            clients[-1].sendall(post(PHOTO))
            until(lambda: model.asked)
            health = connect(port)
            health.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert answer_of(health)[1]["waiting"] == number
        late = connect(port)
        late.sendall(post(PHOTO))
        refused = late.recv(65536)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        model.open.set()
        assert [answer_of(client)[0] for client in clients] == [200, 200, 200]
        late.sendall(post(PHOTO))  # on the same connection
        assert answer_of(late)[1]["label"] == "b"


def test_requests_that_take_too_much_memory_together_are_refused(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_connection, "MAX_HELD_BYTES", 100_000)
    with listening(model) as (port, connections):
        first, second = connect(port), connect(port)
        first.sendall(post(bytes(90_000), 95_000))
        until(lambda: connections.held_bytes >= 90_000)
        second.sendall(post(bytes(20_000), 25_000))
        assert all_of(second).startswith(b"HTTP/1.1 503 ")
        second.close()
        model.open.set()
        first.sendall(bytes(5_000))
        assert answer_of(first) == (415, {"error": "Cannot read image: not an image: zero bytes."})


def reset(connection: socket.socket) -> None:
    """Closes a connection with a reset, as if its client had been killed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


def test_a_client_that_goes_away_costs_neither_an_answer_nor_a_place(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "MAX_WAITING", 1)
    with listening(model) as (port, connections):
        asking = connect(port)
        asking.sendall(post(PHOTO))
        until(lambda: model.asked)
        for _ in range(3):
            gone = connect(port)
            gone.sendall(post(PHOTO))
            until(lambda: connections.held_bytes == 2 * len(post(PHOTO)))
            reset(gone)
            until(lambda: len(connections.open) == 1)
            assert connections.held_bytes == len(post(PHOTO))
        waiting = connect(port)
        waiting.sendall(post(PHOTO))
        until(lambda: connections.held_bytes == 2 * len(post(PHOTO)))
        model.open.set()
        assert answer_of(asking)[0] == 200
        assert answer_of(waiting)[0] == 200
    assert model.asked == 2


def test_the_photo_of_a_client_that_goes_away_counts_while_the_model_works_on_it(model: Gate, connect: Connect) -> None:
    with listening(model) as (port, connections):
        gone = connect(port)
        gone.sendall(post(PHOTO))
        until(lambda: model.asked)
        reset(gone)
        until(lambda: not connections.open)
        assert connections.held_bytes == len(PHOTO)
        model.open.set()
        until(lambda: connections.held_bytes == 0)


def test_a_stop_refuses_what_takes_too_long(model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_connection, "STOP_S", 0.2)
    with contextlib.ExitStack() as stack:
        port, connections = stack.enter_context(listening(model))
        clients = [connect(port) for _ in range(4)]
        for client in clients[:3]:
            client.sendall(post(PHOTO))
        clients[3].sendall(post(PHOTO[:9], len(PHOTO)))
        until(lambda: model.asked and connections.held_bytes > 3 * len(post(PHOTO)))
        monkeypatch.setattr(model.open, "set", lambda: None)  # the model still works when the service ends
        stack.close()
        for client in clients:
            head, _, body = all_of(client).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 503 ")
            assert b"\r\nRetry-After: 1" in head
            assert json.loads(body) == {"error": "The service stops. Try again later."}
    threading.Event.set(model.open)
    time.sleep(0.1)
    assert model.asked == 1


def test_a_model_that_hangs_is_not_healthy(model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serve, "STUCK_S", 0.2)
    with listening(model) as (port, _):
        asking, health = connect(port), connect(port)
        asking.sendall(post(PHOTO))
        until(lambda: model.asked)
        time.sleep(0.3)
        health.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, answer = answer_of(health)
        assert (status, answer["status"], answer["waiting"]) == (503, "stuck", 0)
        assert re.fullmatch(r"The model has been working on a photo for \d+ s\.", answer["error"])
        model.open.set()
        assert answer_of(asking)[0] == 200
        health.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer_of(health) == (200, {"status": "ok", "waiting": 0})


@pytest.mark.parametrize("rest", [b"", b"\r\n", b"\r\n\r\n"])
def test_a_client_that_sends_nothing_more_is_not_waited_for(model: Gate, connect: Connect, rest: bytes) -> None:
    with listening(model) as (port, _):
        connection = connect(port)
        connection.sendall(post(PHOTO) + rest)
        connection.shutdown(socket.SHUT_WR)
        until(lambda: model.asked)
        start = time.monotonic()
        model.open.set()
        assert all_of(connection).startswith(b"HTTP/1.1 200 ")
        assert time.monotonic() < start + 10


@pytest.mark.parametrize("path", [b"/nowhere HTTP/1.1", b"/ HTTP/2.0"])
def test_an_error_for_the_method_head_has_no_body(model: Gate, connect: Connect, path: bytes) -> None:
    with listening(model) as (port, _):
        connection = connect(port)
        connection.sendall(b"HEAD %s\r\nHost: localhost\r\n\r\n" % path)
        head, _, body = connection.recv(65536).partition(b"\r\n\r\n")
        assert int(head.split()[1]) in (404, 505)
        assert b"\r\nContent-Length: " in head
        connection.shutdown(socket.SHUT_WR)
        assert body + all_of(connection) == b""


def test_a_fault_of_the_model_ends_neither_the_service_nor_tells_of_its_disk(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model.open.set()
    with listening(model) as (port, _):
        connection = connect(port)
        with monkeypatch.context() as patch:
            patch.setattr(model, "predict", lambda images: open("/secret/model"))  # noqa: PTH123, SIM115
            connection.sendall(post(PHOTO))
            assert answer_of(connection) == (
                500,
                {"error": "The service failed on this photo. See its log."},
            )
        connection.sendall(post(PHOTO))
        assert answer_of(connection)[0] == 200
    assert "FileNotFoundError" in capfd.readouterr().err


def test_a_fault_is_answered_if_the_terminal_of_the_service_is_closed(
    model: Gate, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(model, "predict", lambda images: np.full((1, 2), np.nan, np.float32))
    with listening(model) as (port, _):
        connection = connect(port)
        monkeypatch.setattr(sys, "stderr", Closed())
        for _ in range(2):
            connection.sendall(post(PHOTO))
            assert answer_of(connection)[0] == 500
        monkeypatch.undo()
