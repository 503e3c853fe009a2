"""The network addresses to which connections are allowed.

An untrusted list must not make this machine send requests to its own services, its router or the metadata service of
its cloud. Therefore the IP address is checked after the host name is resolved, and the connection is made to exactly
that address. A name that resolves differently the next time has no effect.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from zoo.fetch.errors import RefusedError, TryAgainError

_PORTS = {"http": 80, "https": 443}
#: The only allocated public IPv6 addresses. The others are local, contain IPv4 addresses, or are unassigned.
_GIVEN_OUT = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
#: Public addresses that a cloud uses internally: the host of Azure, and the metadata service of Oracle.
_CLOUD = (IPv4Network("168.63.129.16/32"), IPv4Network("192.0.0.0/24"))


@dataclass(frozen=True)
class Access:
    """The allowed connections.

    Args:
        allow_private: Whether all addresses are allowed, including those of this machine and its network.
        trusted: Pairs ``(host, port)`` that the user named. They may be private; the targets of their redirects may
            not.
    """

    allow_private: bool = False
    trusted: frozenset[tuple[str, int]] = frozenset()

    def resolve(self, host: str, port: int) -> list[str]:
        """The addresses of a host, if connections to all of them are allowed.

        Raises:
            RefusedError: An address is private, even if others are public.
            TryAgainError: The name has no address, or no name server responds.
        """
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or "not a host name"
            raise TryAgainError(f"no address for {host}: {reason}", unreached=True) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self.allow_private and (host.lower(), port) not in self.trusted:
            for address in addresses:
                if not is_public(address):
                    of_host = "" if host == address else f", {address}"
                    raise RefusedError(f"{host} is on a private network{of_host}", optional=True)
        return addresses


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, including addresses embedded in IPv6."""
    found = ip_address(address.partition("%")[0])
    if isinstance(found, IPv4Address):
        return found.is_global and not found.is_multicast and not any(found in network for network in _CLOUD)
    may_be = found in _NAT64 or found.ipv4_mapped is not None or (found in _GIVEN_OUT and found.is_global)
    return may_be and all(is_public(str(inner)) for inner in _wrapped(found))


def _wrapped(address: IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses embedded in an IPv6 address: mapped, 6to4, Teredo, NAT64."""
    wrapped = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        wrapped.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [inner for inner in wrapped if inner is not None]


def check_url(url: str) -> SplitResult:
    """Parses a URL and checks that it can be downloaded.

    Raises:
        RefusedError: The text is not a URL, or the URL has another scheme than http and https, no host, or a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise RefusedError("not a URL") from None
    if parts.scheme not in _PORTS:
        raise RefusedError(f"'{parts.scheme}' is neither http nor https" if parts.scheme else "not a URL")
    if not parts.hostname or port == 0 or not url.isprintable():
        raise RefusedError("not a URL")
    if parts.username is not None:
        raise RefusedError("a URL with a password in it")
    return parts


def host_and_port(parts: SplitResult) -> tuple[str, int]:
    return (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme]
