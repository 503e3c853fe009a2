"""``run.py --serve``: classifies photos that are sent over HTTP.

One thread handles all connections. In addition, there is one thread for each copy of the model, which decodes photos
and predicts them. The runtimes and OpenCV release the interpreter lock while they compute.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import signal
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from zoo.edge.http_connection import Connection, Connections
from zoo.edge.http_request import Head, RefusedError, Response, photo_of
from zoo.edge.origins import PREFLIGHT, Origins, is_loopback
from zoo.edge.wording import as_record
from zoo.errors import UsageError
from zoo.images import ImageError, ImageTooLargeError, MissingDecoderError, probe
from zoo.images.signatures import HEAD_BYTES, identify
from zoo.memory import return_large_blocks

if TYPE_CHECKING:
    import argparse

    from zoo.edge.bundle import Bundle
    from zoo.edge.classify import Classifier

#: Maximum number of photos that wait for a model.
MAX_WAITING = 64

#: Maximum number of pixels: 67 Mpx, 0.2 GB as RGB. Photos above the second number are decoded one at a time.
MAX_PIXELS = 2**26
_LARGE_PIXELS = 2**24

#: Maximum number of seconds that the work on a photo takes in a healthy service.
STUCK_S = 60.0

#: Seconds in which connections are still accepted after the signal to stop.
_LAST_S = 0.05

_USE = "POST a photo to this address, such as: curl --data-binary @photo.jpg, or curl -F photo=@photo.jpg."
_METHODS = {"/": "GET, HEAD, POST, OPTIONS", "/health": "GET, HEAD, OPTIONS"}


@dataclass(frozen=True)
class _Photo:
    """A request that waits for a model."""

    connection: Connection
    head: Head
    body: bytes


class PhotoService:
    """Classifies the photos of requests.

    Args:
        classifiers: One classifier for each thread.
        top: Number of classes in a prediction, 1 or more.
        origins: Which web pages may use the service.
        about: Values that ``GET /`` returns, besides a sentence on how to use the service.
    """

    def __init__(self, classifiers: Sequence[Classifier], top: int, origins: Origins, about: Mapping[str, Any]) -> None:
        self._top, self._origins, self._about = top, origins, about
        self._loop = asyncio.get_running_loop()
        self._photos: dict[Connection, _Photo] = {}  # photos that wait, the longest wait first
        self._begun: dict[Connection, float] = {}  # when the work on a photo began
        self._ending = False
        self._changed = threading.Condition()  # guards the three above
        self._large = threading.Lock()
        self._threads = [threading.Thread(target=self._work, args=(one,), daemon=True) for one in classifiers]
        for thread in self._threads:
            thread.start()

    def headers(self, head: Head) -> Mapping[str, str]:
        return self._origins.headers(head)

    def check(self, head: Head) -> None:
        if head.path not in _METHODS:
            raise RefusedError(404, "The path does not exist. POST a photo to /.")
        if head.method not in _METHODS[head.path].split(", "):
            allowed = _METHODS[head.path]
            raise RefusedError(405, f"This path supports {allowed}.", {"Allow": allowed})
        if head.method == "POST" and head.query:
            raise RefusedError(400, "Requests have no options. Set them when you start the service.")

    def respond(self, connection: Connection, head: Head, body: bytes) -> None:
        with self._changed:
            waiting = len(self._photos)
        if head.method == "OPTIONS":
            connection.reply(PREFLIGHT)
        elif head.path == "/health":
            connection.reply(self._health(waiting))
        elif head.method != "POST":
            connection.reply(Response(200, {"use": _USE, **self._about}))
        elif waiting >= MAX_WAITING:
            connection.reply(
                RefusedError(503, "Too many photos are waiting. Try again later.", {"Retry-After": "1"}).response
            )
        else:
            with self._changed:
                self._photos[connection] = _Photo(connection, head, body)
                self._changed.notify()

    def forget(self, connection: Connection) -> bool:
        with self._changed:
            return self._photos.pop(connection, None) is not None

    def end(self) -> None:
        """Ends the threads. Photos that still wait get no response."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(timeout=1 / len(self._threads))  # in case a model hangs

    def _work(self, classifier: Classifier) -> None:
        cv2.setNumThreads(1)
        while photo := self._next():
            response = self._answer(classifier, photo)
            with self._changed:
                del self._begun[photo.connection]
            with suppress(RuntimeError):  # the event loop is closed
                self._loop.call_soon_threadsafe(photo.connection.reply, response)
            del photo  # its bytes are not kept while the thread waits

    def _next(self) -> _Photo | None:
        """Waits for the next photo and begins the work on it. Returns ``None`` at the end of the service."""
        with self._changed:
            self._changed.wait_for(lambda: self._photos or self._ending)
            if self._ending:
                return None
            connection = next(iter(self._photos))
            self._begun[connection] = time.monotonic()
            return self._photos.pop(connection)

    def _health(self, waiting: int) -> Response:
        with self._changed:
            begun = min(self._begun.values(), default=math.inf)
        working_s = time.monotonic() - begun
        if working_s <= STUCK_S:
            return Response(200, {"status": "ok", "waiting": waiting})
        error = f"The model has been working on a photo for {working_s:.0f} s."
        return Response(503, {"status": "stuck", "waiting": waiting, "error": error})

    def _answer(self, classifier: Classifier, photo: _Photo) -> Response:
        data = b""
        try:
            name, data = photo_of(photo.head, photo.body)
            return Response(200, self._classify(classifier, name, data, photo.connection))
        except RefusedError as error:
            return error.response
        except ImageError as error:
            return Response(_status(error, data), {"error": error.message})
        except Exception:
            with suppress(OSError):  # the terminal of the service may be closed
                traceback.print_exc()
            return Response(500, {"error": "The service failed on this photo. See its log."})

    def _classify(self, classifier: Classifier, name: str, data: bytes, client: Connection) -> dict[str, Any]:
        header = probe(data, MAX_PIXELS)
        with self._large if header.width_px * header.height_px > _LARGE_PIXELS else nullcontext():
            with self._changed:
                self._begun[client] = time.monotonic()  # waiting for other large photos is not work
            answer = classifier.classify(data, self._top)
        return as_record(name, answer) | ({"note": answer.remark} if answer.remark else {})


def _status(error: ImageError, data: bytes) -> int:
    """HTTP status for an image that cannot be used: too large, of a format that is not supported, or damaged."""
    if isinstance(error, ImageTooLargeError):
        return 413
    if isinstance(error, MissingDecoderError):
        return 415
    try:
        identify(data[:HEAD_BYTES])
    except ImageError:
        return 415
    return 422


def serve_photos(bundle: Bundle, classifiers: Sequence[Classifier], options: argparse.Namespace) -> int:
    """``run.py --serve``: classifies photos until SIGINT or SIGTERM, and returns the exit code.

    Args:
        bundle: Bundle of the model.
        classifiers: One classifier for each thread.
        options: Uses ``serve`` (the port; 0 selects a free one), ``host``, ``allow_origin`` and ``top``.

    Raises:
        UsageError: The port is in use, the address does not exist, or an origin is not valid.
    """
    return_large_blocks()
    for classifier in classifiers:  # the first prediction takes longer
        classifier.probabilities(np.zeros(classifier.image.input_shape, np.uint8))
    return asyncio.run(_serve(bundle, classifiers, options))


async def _serve(bundle: Bundle, classifiers: Sequence[Classifier], options: argparse.Namespace) -> int:
    connections = Connections()

    def connected() -> Connection:
        return Connection(connections, service)

    try:
        server = await asyncio.get_running_loop().create_server(
            connected, options.host, options.serve, backlog=128, start_serving=False
        )
    except (OSError, UnicodeError) as error:  # a name that is too long cannot be encoded
        raise UsageError(
            f"Cannot listen on {options.host}, port {options.serve}: {getattr(error, 'strerror', None) or error}.",
            "--serve 0 selects a free port. --host must be an address of this machine.",
        ) from error
    with contextlib.closing(server):
        host, port = server.sockets[0].getsockname()[:2]
        on_loopback = all(is_loopback(socket.getsockname()[0]) for socket in server.sockets)
        about = {"model": bundle.model, "labels": bundle.labels}
        origins, stop = Origins(options.allow_origin, on_loopback), _stop_event()
        service = PhotoService(classifiers, options.top, origins, about)
        await server.start_serving()
        if not on_loopback:
            note = "Note: All machines that can reach this one can use the service, without encryption."
            print(note, file=sys.stderr)
        where = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        threads = f"{len(classifiers)} thread{'s' if len(classifiers) > 1 else ''}"
        print(f"Serving on {where} with {threads}. Press Ctrl-C to stop.", file=sys.stderr, flush=True)
        await stop.wait()
        connections.stopping = True
        await asyncio.sleep(_LAST_S)  # for requests that have been sent already
        server.close()
        await connections.end()
        service.end()
        return 0


def _stop_event() -> asyncio.Event:
    """An event that SIGINT and SIGTERM set. A second signal ends the process at once."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def on_signal(number: int, frame: object) -> None:
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
        loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop
