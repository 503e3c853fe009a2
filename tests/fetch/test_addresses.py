"""Allowed addresses, and that the connection is made to the address that was checked."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from tests.fetch.conftest import picture
from tests.fetch.server import LoopbackServer, Served
from zoo.fetch.addresses import Access, check_url, is_public
from zoo.fetch.download import Downloader
from zoo.fetch.errors import RefusedError
from zoo.fetch.transfer import Remote


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::7f00:1",
        "::7f00:1",
        "::ffff:0:127.0.0.1",
        "::ffff:0:8.8.8.8",
        "fec0::1",
        "2002:a9fe:a9fe::1",
        "2002:c0a8:101::",
        "2001:0:7f00:1::",  # Teredo with a server on this machine
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",  # Teredo to 10.0.0.1
        "2001:db8::1",
        "4000::1",
        "168.63.129.16",
        "192.0.0.192",
        "::ffff:168.63.129.16",
        "64:ff9b::a83f:8110",
    ],
)
def test_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "151.101.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "photo.jpg",
        "ftp://h/x",
        "file:///x",
        "http://",
        "http:///x",
        "http://h:99999/",
        "http://u:p@h/",
        "http://h\n/",
    ],
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(RefusedError):
        check_url(url)


def fetch(downloader: Downloader, url: str, folder: Path) -> bytes:
    return downloader.transfer.fetch(Remote(url=url, key="ab", max_bytes=10**6), folder).read_bytes()


def test_a_server_that_was_named_cannot_send_on_to_another_private_one(server: LoopbackServer, tmp_path: Path) -> None:
    server.files["/here"] = Served(picture(1))
    server.files["/there"] = Served(status=302, headers={"Location": f"http://localhost:{server.port}/here"})
    server.files["/cloud"] = Served(status=302, headers={"Location": "//169.254.169.254/latest/meta-data"})
    downloader = Downloader(Access(trusted=frozenset({("127.0.0.1", server.port)})))
    assert fetch(downloader, f"{server.url}/here", tmp_path) == picture(1)
    for path in ("/there", "/cloud"):
        with pytest.raises(RefusedError, match="is on a private network"):
            downloader.transfer.fetch(Remote(url=server.url + path, key="cd", max_bytes=10**6), tmp_path)


def test_a_name_is_resolved_once_and_that_address_is_connected_to(
    server: LoopbackServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the name server is replaced: its second response is another address."""
    asked = []

    def rebinding(host: str, port: int, *rest: Any, **options: Any) -> list[Any]:
        if host != "photos.example":
            return real(host, port, *rest, **options)
        asked.append(host)
        address = "127.0.0.1" if len(asked) == 1 else "10.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    server.files["/x"] = Served(picture(1))
    downloader = Downloader(Access(trusted=frozenset({("photos.example", server.port)})))
    assert fetch(downloader, f"http://photos.example:{server.port}/x", tmp_path) == picture(1)
    assert asked == ["photos.example"]
    assert server.answers[0].host == f"photos.example:{server.port}"


def test_one_private_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("8.8.8.8", "192.168.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    with pytest.raises(RefusedError, match=r"192\.168\.0\.1"):
        Access().resolve("photos.example", 80)
    assert Access(allow_private=True).resolve("photos.example", 80) == ["8.8.8.8", "192.168.0.1"]
