"""Whom ``run.py --serve`` answers. A web page of somebody else must not use the service through a visitor's browser.

A browser sends a request to this machine for any page, and tells which page it was in the header ``Origin``. Programs
such as curl send none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address

from zoo.edge.http_request import Head, RefusedError, Response
from zoo.errors import UsageError

_ORIGIN = re.compile(r"https?://([a-z0-9.-]+|\[[0-9a-f:.]+\])(:\d{1,5})?")


class Origins:
    """Answers nobody but programs, pages of its own, and pages of the origins that were allowed.

    Args:
        allowed: Such as ``https://example.org``, in the form that browsers send.
        on_loopback: Whether only this machine can reach the service. Then a request must name this machine: a page can
            have the name of its own server lead to 127.0.0.1, after which its requests look like those of our own page.

    Raises:
        UsageError: One of ``allowed`` is no origin.
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
        """The headers of every answer to a request, which let a page that is allowed read it.

        Raises:
            RefusedError: The request comes from a page that is not.
        """
        host, origin = head.headers.get("host", "").lower(), head.headers.get("origin")
        name = _name(host)
        if self._on_loopback and name and not _is_loopback(name) and name not in self._names:
            raise RefusedError(403, "This service answers under the name localhost only; see --allow-origin.")
        if origin is None:
            return {}
        if origin in self._allowed:
            return {"Access-Control-Allow-Origin": origin, "Vary": "Origin"}
        if origin == f"http://{host}" and (_is_address(name) or _is_loopback(name)):
            return {}
        raise RefusedError(403, "Web pages of this origin may not use the service; see --allow-origin.")


#: The answer to what a browser asks before it sends a photo for a page of another server.
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
    """Whether an IP address is one that no other machine can reach."""
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
    """A Host header without its port and brackets."""
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
