"""A real HTTP/1.1 server on the loopback interface, with all kinds of bad behaviour.

It counts the responses that arrived. A response has arrived if the client then sends another request on the connection,
or has read everything when it closes the connection. A response that is unread in the buffers of a killed process has
not arrived.

    python -m tests.fetch.server FOLDER --latency-ms 50      # prints its port; GET /-/counts returns the counts
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Served:
    """The response of the server for a path.

    Args:
        body: Content of the whole file.
        status: Status of the response. Errors ignore ranges.
        headers: Headers that are added to the usual ones, or replace them.
        cut_at: Number of bytes after which the connection is closed, in the first ``cut_times`` responses.
        fail_first: Number of responses with ``status``, before all others have 200.
        ranges: Whether ranges are supported.
        etag: Whether the response has an ETag.
        pause_s: Pause before every 4 kB of the body.
        chunked: The body is sent in chunks of 1000 bytes, without a length. ``cut_at`` includes the bytes around
        chunks.
        drip_s: Pause before every byte of status and headers, or of ``trickle``.
        trickle: Sent repeatedly without end, a byte at a time, after the headers, or with ``headless`` instead of them.
        endless_s: Time for which the body is repeated, without a length.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_at: int | None = None
    cut_times: int = 1
    fail_first: int | None = None
    ranges: bool = True
    etag: bool = True
    pause_s: float = 0.0
    chunked: bool = False
    endless_s: float = 0.0
    drip_s: float = 0.0
    trickle: bytes = b""
    headless: bool = False


@dataclass
class Answer:
    """A response that was sent."""

    method: str
    path: str
    status: int
    range: str | None
    host: str
    arrived: bool = False


class LoopbackServer:
    """Serves ``files``, a response for each path, which may change at any time; other paths are in a folder."""

    def __init__(self, latency_s: float = 0.0, folder: Path | None = None) -> None:
        self.files: dict[str, Served] = {}
        self.answers: list[Answer] = []
        self.most_at_once = 0
        self._latency_s = latency_s
        self._folder = folder
        self._open = 0
        self._asked: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def arrived(self) -> Counter[str]:
        """For each path, how often the whole file arrived in one response."""
        return Counter(a.path for a in self.answers if a.arrived and a.status == 200 and a.method == "GET")

    def asked(self, path: str) -> list[Answer]:
        return [answer for answer in self.answers if answer.path == path]

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._talk, "127.0.0.1", 0))
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        last: Answer | None = None
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                if last:
                    last.arrived = True
                self._open += 1
                self.most_at_once = max(self.most_at_once, self._open)
                try:
                    last = await self._answer(head.decode("latin-1"), reader, writer)
                finally:
                    self._open -= 1
                if last is None:
                    return
        except asyncio.IncompleteReadError:
            if last:
                last.arrived = True
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Answer | None:
        """Sends an answer; ``None`` if the connection is to end without it having arrived."""
        method, path, _ = head.split("\r\n")[0].split(" ")
        asked = {name.lower(): value for name, _, value in (line.partition(": ") for line in head.split("\r\n")[1:])}
        if path == "/-/counts":
            body = json.dumps({"arrived": self.arrived(), "answers": len(self.answers)}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body)
            await writer.drain()
            return None
        await asyncio.sleep(self._latency_s)
        if reader.at_eof():
            return None  # the client disconnected during the pause
        self._asked[path] += 1
        served = self.files.get(path) or self._from_folder(path)
        status, headers, body = self._response(served, asked.get("range"), self._asked[path])
        answer = Answer(method, path, status, asked.get("range"), asked.get("host", ""))
        self.answers.append(answer)
        lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Whatever')}", *(f"{n}: {v}" for n, v in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if served.drip_s and not served.trickle:
            await _drip(writer, head, served.drip_s)
        elif not served.headless:
            writer.write(head)
        while served.trickle:
            await _drip(writer, served.trickle, served.drip_s)
        if method == "HEAD":
            return answer
        body = _in_chunks(body) if "Transfer-Encoding" in headers else body
        until = self._loop.time() + served.endless_s
        while self._loop.time() < until:
            writer.write(body)
            await writer.drain()
        cut = served.cut_at if served.cut_at is not None and self._asked[path] <= served.cut_times else None
        sent = body if cut is None else body[:cut]
        step = 4096 if served.pause_s else max(1, len(sent))
        for start in range(0, len(sent), step):
            await asyncio.sleep(served.pause_s)
            writer.write(sent[start : start + step])
            await writer.drain()
        await asyncio.sleep(0)
        return None if cut is not None or reader.at_eof() or "Connection" in headers else answer

    def _response(self, served: Served, wanted: str | None, times: int) -> tuple[int, dict[str, str], bytes]:
        status = served.status if served.fail_first is None or times <= served.fail_first else 200
        body = served.body
        headers = {}
        if status == 200:
            if served.etag:
                headers["ETag"] = f'"{hashlib.md5(body).hexdigest()}"'
            if wanted and served.ranges:
                start = int(wanted.removeprefix("bytes=").partition("-")[0])
                headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
                status, body = (206, body[start:]) if start < len(body) else (416, b"")
        if served.chunked:
            headers["Transfer-Encoding"] = "chunked"
        elif served.endless_s:
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(len(body))
        if times <= (served.fail_first or times):
            headers |= served.headers
        return status, headers, body

    def _from_folder(self, path: str) -> Served:
        file = self._folder / path.lstrip("/") if self._folder else None
        return Served(file.read_bytes()) if file and file.is_file() else Served(b"not here", 404)


async def _drip(writer: asyncio.StreamWriter, data: bytes, drip_s: float) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(drip_s)


def _in_chunks(body: bytes) -> bytes:
    pieces = [body[start : start + 1000] for start in range(0, len(body), 1000)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


_REASONS = {200: "OK", 206: "Partial Content", 302: "Found", 404: "Not Found", 416: "Range Not Satisfiable"} | {
    429: "Too Many Requests",
    503: "Service Unavailable",
}


@contextlib.contextmanager
def serving(**options: float | Path | None) -> Iterator[LoopbackServer]:
    server = LoopbackServer(**options)  # type: ignore[arg-type]
    try:
        yield server
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    arguments = parser.parse_args()
    server = LoopbackServer(arguments.latency_ms / 1000, arguments.folder)
    print(server.port, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
