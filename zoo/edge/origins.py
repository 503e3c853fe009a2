"""Which web pages may use ``run.py --serve``.

Any web page can make the browser of its visitor send requests to this machine. The browser states the origin of the
page in the header ``Origin``. Programs such as curl send no such header.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from zoo.edge.http_request import Head, RefusedError, Response
from zoo.errors import UsageError

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


class Origins:
    """Allows programs, pages of the service itself, and pages of the given origins.

    Args:
        allowed: Origins as browsers send them, such as ``https://example.org``.
        on_loopback: Whether the service listens on loopback addresses only. The ``Host`` header must then be a name of
            this machine: a page can point its own name at 127.0.0.1, and then has the same origin as the service.

    Raises:
        UsageError: One of ``allowed`` is not an origin.
    """

    def __init__(self, allowed: Sequence[str], on_loopback: bool) -> None:
        for origin in allowed:
            if origin != "null" and not _ORIGIN.fullmatch(origin):
                raise UsageError(
                    f"--allow-origin takes the address of a web server, in lower case. Received: {origin!r}.",
                    "Such as https://example.org or http://localhost:3000, without a path.",
                )
        self._allowed, self._on_loopback = frozenset(allowed), on_loopback
        self._names = {_name(origin.partition("://")[2]) for origin in allowed}

    def headers(self, head: Head) -> dict[str, str]:
        """The headers with which the browser lets an allowed page read the response.

        Raises:
            RefusedError: The request comes from a page that is not allowed.
        """
        host, origin = head.headers.get("host", "").lower(), head.headers.get("origin")
        name = _name(host)
        if self._on_loopback and name and not _is_loopback(name) and name not in self._names:
            raise RefusedError(403, "The Host header must be localhost, or a server that --allow-origin names.")
        if origin is None:
            return {}
        if origin in self._allowed:
            return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if origin == f"http://{host}" and (_is_address(name) or _is_loopback(name)):
            return {}
        raise RefusedError(403, "The origin of the web page is not allowed. See --allow-origin.")


#: Response to the preflight request of a browser, before it sends a photo for a page of another origin.
PREFLIGHT = Response(
    204,
    None,
    {
        "Access-Control-Allow-Methods": "GET, POST",
        "Access-Control-Allow-Headers": "content-type",
        "Access-Control-Max-Age": "600",
    },
)


def is_loopback(address: str) -> bool:
    """Whether an IP address can be reached from this machine only."""
    return _is_address(address) and ip_address(address.partition("%")[0]).is_loopback


def _is_loopback(name: str) -> bool:
    return name == "localhost" or name.endswith(".localhost") or is_loopback(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """A Host header without port and brackets."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
