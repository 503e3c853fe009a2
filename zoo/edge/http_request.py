"""The part of HTTP/1.1 that ``run.py --serve`` supports: request headers, photos in forms, responses in JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

_REQUEST_LINE = re.compile(r"([!-~]{1,32}) (\S+) HTTP/(\d)\.(\d)")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*)")
#: Headers that a request must not repeat, because a proxy in front of the service could use the other value.
_ONCE = {"content-length", "content-type", "expect", "host", "origin", "transfer-encoding"}

_MOST_FIELD_HEADER_BYTES = 8192
#: Maximum number of fields in a form, so that reading it takes little time.
_MOST_FIELDS = 100
_BOUNDARY = re.compile(r'boundary=(?:"([^"]+)"|([^\s;"]+))', re.IGNORECASE)
_FILE_NAME = re.compile(rb';\s*filename(\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))', re.IGNORECASE)


class RefusedError(Exception):
    """The service refuses a request.

    Args:
        status: HTTP status, 400 or more.
        sentence: The reason, for the client. It must not contain paths of the server.
        headers: Additional headers of the response.
    """

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.response = Response(status, {"error": sentence}, headers or {})


@dataclass(frozen=True)
class Response:
    """A response: HTTP status, values of the JSON (``None`` for no content), and additional headers."""

    status: int
    values: Mapping[str, Any] | None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self, headers: Mapping[str, str], close: bool, without_body: bool = False) -> bytes:
        """The bytes that are sent to the client.

        Args:
            headers: Headers of all responses to this request.
            close: Whether the connection is closed afterwards.
            without_body: Whether the body is left out, for the method HEAD.
        """
        body = b"" if self.values is None else json.dumps(self.values).encode() + b"\n"
        all_headers = {
            "Date": formatdate(usegmt=True),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            **headers,
            **self.headers,
        }
        if self.values is not None:
            all_headers |= {"Content-Type": "application/json", "Content-Length": str(len(body))}
        if close:
            all_headers["Connection"] = "close"
        first = f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}"
        lines = [first, *map(": ".join, all_headers.items()), "", ""]
        return "\r\n".join(lines).encode("latin-1") + (b"" if without_body else body)


@dataclass(frozen=True)
class Head:
    """Request line and headers of a request.

    Args:
        method: Method, such as ``POST``.
        path: Path without the query.
        query: Query without the question mark, mostly empty.
        headers: Values by name in lower case.
        keeps_alive: Whether another request may follow on the connection.
        body_bytes: Length of the body.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    keeps_alive: bool
    body_bytes: int


def read_head(data: bytes) -> Head:
    """Parses request line and headers.

    Args:
        data: The bytes before the empty line.

    Raises:
        RefusedError: The request is not HTTP/1, or the length of its body is not given.
    """
    first, *lines = data.decode("latin-1").split("\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if not found:
        raise RefusedError(400, "The request is not HTTP.")
    method, target, major, minor = found.groups()
    if major != "1":
        raise RefusedError(505, f"Expected HTTP/1.1. Received: HTTP/{major}.{minor}.")
    headers = _read_headers(lines)
    if minor != "0" and "host" not in headers:
        raise RefusedError(400, "The request has no Host header.")
    if "transfer-encoding" in headers:
        raise RefusedError(411, "Chunked bodies are not supported. Send a Content-Length header.")
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit() and len(length) < 19):
        raise RefusedError(400, "The Content-Length header is not a number of bytes.")
    if method in ("POST", "PUT", "PATCH") and "content-length" not in headers:
        raise RefusedError(411, "The request has no Content-Length header.")
    path, _, query = target.partition("?")
    keeps_alive = minor != "0" and "close" not in headers.get("connection", "").lower()
    return Head(method, path, query, headers, keeps_alive, int(length))


def _read_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        found = _HEADER.fullmatch(line)
        if not found:
            raise RefusedError(400, "A header of the request cannot be read.")
        name, value = found[1].lower(), found[2].strip()
        if name in headers and name in _ONCE:
            raise RefusedError(400, f"The request has two {found[1]} headers.")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def photo_of(head: Head, body: bytes) -> tuple[str, bytes]:
    """Name and bytes of the photo in a request: the only file of a form, or else the body, whose name is ``-``.

    Raises:
        RefusedError: The request has no photo, or more than one.
    """
    content_type = head.headers.get("content-type", "")
    if not content_type.lower().startswith("multipart/form-data"):
        if not body:
            raise RefusedError(400, "Expected a photo as the body of the request. Received: nothing.")
        return "-", body
    found = _BOUNDARY.search(content_type)
    if not found:
        raise RefusedError(400, "The Content-Type header of the form names no boundary.")
    files = _files_of(b"--" + (found[1] or found[2]).encode("latin-1"), body)
    if len(files) != 1:
        raise RefusedError(400, f"Expected one photo in the form. Received: {'several' if files else 'none'}.")
    return files[0]


def _files_of(delimiter: bytes, body: bytes) -> list[tuple[str, bytes]]:
    """Name and content of the non-empty files of a form, at most two. Other fields are ignored."""
    files: list[tuple[str, bytes]] = []
    fields = 0
    # The line end before a delimiter belongs to the delimiter.
    start = 0 if body.startswith(delimiter) else body.find(b"\r\n" + delimiter)
    while start >= 0:
        start = body.find(delimiter, start) + len(delimiter)
        if len(files) > 1 or body.startswith(b"--", start):
            return files
        fields += 1
        if fields > _MOST_FIELDS:
            raise RefusedError(400, f"The form has more than {_MOST_FIELDS} fields.")
        end = body.find(b"\r\n" + delimiter, start)
        headers_end = body.find(b"\r\n\r\n", start)
        if end < 0 or not 0 <= headers_end < min(end, start + _MOST_FIELD_HEADER_BYTES):
            break
        name = _FILE_NAME.search(body, start, headers_end)
        if name and headers_end + 4 < end:
            files.append((_decoded(name), body[headers_end + 4 : end]))
        start = end
    raise RefusedError(400, "The form is damaged or ends early.")


def _decoded(name: re.Match[bytes]) -> str:
    """The name of a file. The form with a star is percent-encoded, such as ``utf-8''L%C3%B6we.jpg``."""
    text = (name[2] or name[3] or b"").decode("utf-8", "replace")
    return unquote(text.rpartition("'")[2]) if name[1] else text
