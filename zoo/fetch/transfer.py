"""Downloads one URL to one complete file, with retries, resumption, limits and checksums."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import IncompleteRead
from pathlib import Path
from typing import IO
from urllib.parse import SplitResult, urljoin

import urllib3
from urllib3.exceptions import HTTPError, InvalidHeader, ReadTimeoutError
from urllib3.response import BaseHTTPResponse

from zoo.fetch.addresses import check_url, host_and_port
from zoo.fetch.connection import Network
from zoo.fetch.deadline import allow
from zoo.fetch.disk import differs, google_md5, remove_file, using
from zoo.fetch.errors import RefusedError, TryAgainError
from zoo.fetch.part import Part, begin_part, continues, find_part, whole_bytes
from zoo.fetch.patience import Hosts, Patience

#: Number of bytes that are read at once. Most photos need several such blocks, and a killed process loses only the
#: block that it has not written yet.
_CHUNK_BYTES = 2**15
#: An unwanted response is read to its end if at most this many bytes are left. Otherwise a new connection is cheaper.
_DRAINED_BYTES = 2**14
_DRAINED_S = 1.0
_REDIRECTS = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A file on a server.

    Args:
        url: Its URL.
        key: Key of its partial file on disk, in hexadecimal digits.
        max_bytes: Maximum size. Larger files are refused.
        md5: Hexadecimal MD5 of its bytes, if known.
        sha256: Hexadecimal SHA-256 of its bytes, if known.
    """

    url: str
    key: str
    max_bytes: int
    md5: str = ""
    sha256: str = ""


class Transfer:
    """Downloads files. Thread-safe."""

    def __init__(self, network: Network, hosts: Hosts, patience: Patience) -> None:
        self._network = network
        self._hosts = hosts
        self._patience = patience

    def fetch(self, remote: Remote, folder: Path, progress: Callable[[int, int], None] | None = None) -> Path:
        """Downloads a file and returns the path of the complete part. An existing part is resumed.

        Args:
            remote: The file to download.
            folder: Folder of partial files.
            progress: Called with the received bytes and the total size, if known.

        Raises:
            RefusedError: The download failed; the reason contains the number of attempts.
            StoppedError: The download was stopped; the part is kept.
            DataError: The disk is full, or cannot be written.
        """
        tried = in_all = mismatches = most_bytes = 0
        while True:
            try:
                part, md5 = self._try(remote, folder, progress)
                if not differs(part.path, remote.md5 or md5, remote.sha256):
                    return part.path
                remove_file(part.path)
                mismatches += 1
                if mismatches == 2:
                    raise RefusedError("wrong checksum, twice")
                error = TryAgainError("wrong checksum")
            except TryAgainError as failure:
                error = failure
            left = find_part(folder, remote.key)
            size_bytes = left.size_bytes if left else 0
            in_all += 1
            tried = 1 if size_bytes > most_bytes else tried + 1
            most_bytes = max(most_bytes, size_bytes)
            # A server that requests a pause works, so it is tried more often. A pause of zero seconds does not count.
            allowed = self._patience.tries * (4 if error.wait_s else 1)
            if tried >= allowed or in_all >= self._patience.tries_in_all:
                raise RefusedError(f"{error.reason} ({_times(in_all)})", temporary=True)
            # A requested pause continues during this wait. `Hosts.enter` waits for the rest of it before the next
            # request to the host.
            self._hosts.wait(self._patience.backoff(tried))

    def size_bytes(self, url: str) -> int | None:
        """The size of a file as reported by the server, with one request. ``None`` if it is not reported."""
        try:
            response, _ = self._open("HEAD", url, {})
        except (RefusedError, TryAgainError):
            return None
        _dismiss(response)
        return whole_bytes(response.headers) if response.status == 200 else None

    def _try(self, remote: Remote, folder: Path, progress: Callable[[int, int], None] | None) -> tuple[Part, str]:
        part = find_part(folder, remote.key)
        if part and part.is_whole:
            return part, ""
        if part and not part.can_go_on:
            remove_file(part.path)
            part = None
        headers = {"Range": f"bytes={part.size_bytes}-"} if part else {}
        response, host = self._open("GET", remote.url, headers)
        try:
            if response.status not in (200, 206, 416):
                _dismiss(response)
                raise _refusal(response)  # the received part of the file is kept
            if part and not (response.status == 206 and continues(part, response.headers)):
                remove_file(part.path)
                part = None
            if response.status != 200 and part is None:
                raise TryAgainError("the file changed meanwhile")
            packed = response.headers.get("Content-Encoding", "identity")
            if packed != "identity":
                raise RefusedError(f"sent as {packed}, which was not requested")
            part = part or begin_part(folder, remote.key, response.headers)
            self._receive(response, part, remote.max_bytes, progress)
        except BaseException as error:
            response.close()
            if isinstance(error, TryAgainError):
                self._hosts.failed(host, error)
            raise
        response.release_conn()
        return part, google_md5(response.headers)

    def _open(self, method: str, url: str, headers: dict[str, str]) -> tuple[BaseHTTPResponse, str]:
        """The response after all redirects, and its host. The address is checked at every redirect."""
        seen = set()
        for _ in range(self._patience.redirects + 1):
            parts = check_url(url)
            host = host_and_port(parts)[0]
            if url in seen:
                raise RefusedError("redirects in a circle")
            seen.add(url)
            self._hosts.enter(host)
            response = self._ask(method, parts, headers, host)
            target = response.headers.get("Location")
            if response.status not in _REDIRECTS or not target:
                return response, host
            _dismiss(response)
            url = urljoin(url, target)
        raise RefusedError(f"more than {self._patience.redirects} redirects")

    def _ask(self, method: str, parts: SplitResult, headers: dict[str, str], host: str) -> BaseHTTPResponse:
        try:
            response = self._network.ask(method, parts, headers)
        except TryAgainError as error:
            self._hosts.failed(host, error)
            raise
        self._hosts.answered(host)
        return response

    def _receive(
        self,
        response: BaseHTTPResponse,
        part: Part,
        max_bytes: int,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        begin = time.monotonic()
        start_bytes = size_bytes = part.size_bytes
        if (part.whole_bytes or 0) > max_bytes:
            raise _too_long(max_bytes)
        with using(part.path), part.path.open("ab", buffering=0) as file:
            while chunk := self._read(response, part, size_bytes):
                # Written at once, so that a killed process loses nothing that it received.
                _write(file, chunk)
                size_bytes += len(chunk)
                if size_bytes > max_bytes:
                    remove_file(part.path)
                    raise _too_long(max_bytes)
                elapsed_s = time.monotonic() - begin
                least = elapsed_s * self._patience.slowest_bytes_per_s
                if elapsed_s > self._patience.slow_after_s and size_bytes - start_bytes < least:
                    raise TryAgainError(f"slower than {self._patience.slowest_bytes_per_s} bytes/s")
                if progress is not None and part.whole_bytes:
                    progress(size_bytes, part.whole_bytes)
                self._hosts.keep_on()
        if part.whole_bytes is not None and size_bytes < part.whole_bytes:
            raise _broke_off(part, size_bytes)

    def _read(self, response: BaseHTTPResponse, part: Part, size_bytes: int) -> bytes:
        """Reads the next bytes after the first ``size_bytes``. Returns no bytes at the end.

        Raises:
            TryAgainError: The bytes are late, or the response ended too early. This is also detected for chunked
                responses without a length, because the last chunk is marked.
        """
        allow(self._patience.answer_s)
        try:
            return response.read1(_CHUNK_BYTES)
        except (HTTPError, OSError) as error:
            if isinstance(error.__cause__, IncompleteRead):
                raise _broke_off(part, size_bytes) from error
            timed_out = isinstance(error, ReadTimeoutError | TimeoutError)
            raise TryAgainError("no more data" if timed_out else "the connection broke") from error


def _broke_off(part: Part, size_bytes: int) -> TryAgainError:
    of_whole = "" if part.whole_bytes is None else f" of {part.whole_bytes}"
    return TryAgainError(f"ended after {size_bytes}{of_whole} bytes")


def _write(file: IO[bytes], chunk: bytes) -> None:
    view = memoryview(chunk)
    while view:
        view = view[file.write(view) :]  # a nearly full disk may accept only a part


def _refusal(response: BaseHTTPResponse) -> RefusedError | TryAgainError:
    reason = f"HTTP {response.status} {response.reason or ''}".strip()
    if response.status not in _LATER:
        return RefusedError(reason)
    return TryAgainError(reason, wait_s=_retry_after_s(response.headers.get("Retry-After")))


def _retry_after_s(text: str | None) -> float | None:
    """Seconds from now, from a header with a number of seconds or a date."""
    if text is None:
        return None
    try:
        return urllib3.Retry().parse_retry_after(text)
    except (InvalidHeader, OverflowError):
        return None


def _dismiss(response: BaseHTTPResponse) -> None:
    """Returns the connection to the pool if the rest of the response is short and available, otherwise closes it."""
    length = whole_bytes(response.headers)
    allow(2 * _DRAINED_S)
    try:
        if length is not None and length <= _DRAINED_BYTES and _drained(response):
            response.release_conn()
            return
    except (HTTPError, OSError):
        pass
    response.close()


def _drained(response: BaseHTTPResponse) -> bool:
    """Reads to the end. Returns ``False`` if that takes too long."""
    until = time.monotonic() + _DRAINED_S
    while response.read1(_DRAINED_BYTES):
        if time.monotonic() > until:
            return False
    return True


def _too_long(max_bytes: int) -> RefusedError:
    return RefusedError(f"larger than {max_bytes / 1e6:.3g} MB", optional=True)


def _times(count: int) -> str:
    return "tried once" if count == 1 else f"tried {count} times"
