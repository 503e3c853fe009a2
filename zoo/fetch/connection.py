"""Persistent HTTP connections, only to checked addresses."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import SplitResult
from urllib.request import getproxies, proxy_bypass

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, LocationParseError, NewConnectionError, SSLError
from urllib3.response import BaseHTTPResponse

from zoo import __version__
from zoo.errors import UsageError
from zoo.fetch.addresses import Access, host_and_port
from zoo.fetch.deadline import TimedResponse, allow, left_s
from zoo.fetch.errors import RefusedError, TryAgainError

#: Maximum number of hosts whose connections are kept open.
_HOSTS_KEPT = 64


class Network:
    """Sends HTTP requests. Thread-safe.

    Args:
        access: The allowed connections.
        connections: Number of persistent connections per host.
        connect_s: Timeout for making a connection in seconds.
        read_s: Timeout for the next bytes in seconds.
        answer_s: Timeout for the complete headers of a response in seconds, including the connection.
    """

    def __init__(self, access: Access, *, connections: int, connect_s: float, read_s: float, answer_s: float) -> None:
        self._access = access
        self._answer_s = answer_s
        self._timeout = urllib3.Timeout(connect=connect_s, read=read_s)
        self._connections = connections
        self._direct = urllib3.PoolManager(num_pools=_HOSTS_KEPT, maxsize=connections)
        self._direct.pool_classes_by_scheme = _checked_pools(access)
        self._proxies = {
            scheme: _proxy(proxy, connections) for scheme, proxy in getproxies().items() if scheme in ("http", "https")
        }

    def ask(self, method: str, parts: SplitResult, headers: Mapping[str, str]) -> BaseHTTPResponse:
        """Sends one request without following redirects. The caller reads the body, which is not decoded.

        Raises:
            RefusedError: The address is private, or the certificate is invalid.
            TryAgainError: There was no response.
        """
        host, port = host_and_port(parts)
        allow(self._answer_s)
        try:
            return self._pools(parts.scheme, host, port).request(
                method,
                parts._replace(fragment="").geturl(),
                # gzip does not make images smaller, and a body that is not unpacked cannot be a decompression bomb.
                headers={"User-Agent": f"keras-edge-zoo/{__version__}", "Accept-Encoding": "identity", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                decode_content=False,
                timeout=self._timeout,
            )
        except SSLError as error:
            raise RefusedError(f"no secure connection to {host}: {error}") from error
        except LocationParseError:
            raise RefusedError("not a URL") from None
        except (HTTPError, OSError, ValueError) as error:
            unreached = isinstance(error, NewConnectionError | ConnectTimeoutError)
            raise TryAgainError(f"no response from {host}: {_cause(error)}", unreached=unreached) from error

    def close(self) -> None:
        for pools in (self._direct, *self._proxies.values()):
            pools.clear()

    def _pools(self, scheme: str, host: str, port: int) -> urllib3.PoolManager:
        proxy = self._proxies.get(scheme)
        if proxy is None or proxy_bypass(host):
            return self._direct
        # The proxy resolves the name and connects. Here, only the local resolution can be checked.
        with contextlib.suppress(TryAgainError):
            self._access.resolve(host, port)
        return proxy


def _proxy(url: str, connections: int) -> urllib3.ProxyManager:
    """The connections through a proxy. Raises ``UsageError`` if it is not an HTTP proxy."""
    url = url if "://" in url else f"http://{url}"
    try:
        proxy = urllib3.ProxyManager(url, num_pools=_HOSTS_KEPT, maxsize=connections)
        proxy.pool_classes_by_scheme = _pools(_TimedHTTPConnection, _TimedHTTPSConnection)
        return proxy
    except (HTTPError, ValueError) as error:
        raise UsageError(
            f"The proxy {url} cannot be used: {error}.",
            "Set HTTP_PROXY and HTTPS_PROXY to an HTTP proxy, or unset them.",
        ) from error


class _TimedHTTPConnection(HTTPConnection):
    response_class = TimedResponse


class _TimedHTTPSConnection(HTTPSConnection):
    response_class = TimedResponse


def _checked_pools(access: Access) -> dict[str, type[HTTPConnectionPool]]:
    class CheckedHTTPConnection(_TimedHTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(access, self)

    class CheckedHTTPSConnection(_TimedHTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(access, self)

    return _pools(CheckedHTTPConnection, CheckedHTTPSConnection)


def _pools(
    plain: type[_TimedHTTPConnection], secure: type[_TimedHTTPSConnection]
) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnectionPool):
        ConnectionCls: ClassVar[type[_TimedHTTPConnection]] = plain  # type: ignore[misc]

    class Secure(HTTPSConnectionPool):
        ConnectionCls: ClassVar[type[_TimedHTTPSConnection]] = secure  # type: ignore[misc]

    return {"http": Plain, "https": Secure}


def _connect(access: Access, connection: HTTPConnection) -> socket.socket:
    """A socket to the first checked address that accepts a connection. TLS still verifies the host name."""
    failure: OSError | None = None
    for address in access.resolve(connection.host, connection.port):
        try:
            timeout_s = min(connection.timeout or left_s(), left_s())
            return urllib3.util.connection.create_connection(
                (address, connection.port), timeout_s, socket_options=connection.socket_options
            )
        except OSError as error:
            failure = error
    raise TryAgainError(f"no connection to {connection.host}: {_cause(failure)}", unreached=True) from failure


def _cause(error: BaseException | None) -> str:
    """The message of the operating system that is wrapped in an error of urllib3, or else the message of the error."""
    inner: object = error
    while isinstance(inner, BaseException) and not isinstance(inner, OSError):
        inner = inner.__cause__ or inner.__context__ or (inner.args[-1] if inner.args else None)
    if isinstance(inner, OSError):
        return "timed out" if isinstance(inner, TimeoutError) else inner.strerror or str(inner) or type(inner).__name__
    return str(error)
