"""Passes the connections of JAX's coordination service on, through the port on which host 1 listens.

JAX ends a process with SIGABRT and a stack trace as soon as its connection to the coordination service is closed. With
a relay in its own process, this connection stays open when host 1 is lost, so that zoo can report the loss and end the
process in its own way. docs/decisions/0029-training-on-several-hosts.md
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress


def reserve_port(address: str) -> tuple[int, socket.socket]:
    """Reserves a TCP port for a server that starts later.

    The socket is bound, but does not listen. On Linux, the system gives its port to no other program, but a server
    that sets ``SO_REUSEADDR`` can listen on it. On other systems it could not, so the port is only free at the moment.

    Args:
        address: IPv4 address on which the server will listen. Empty: all interfaces.

    Returns:
        The port, and the socket that reserves it until it is closed.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((address, 0))
    port = int(held.getsockname()[1])
    if sys.platform != "linux":
        held.close()
    return port, held


def start_relay(connect: Callable[[], socket.socket]) -> int:
    """Listens on a port of the loopback interface, and connects each connection with a new one.

    Args:
        connect: Opens the other connection. It may raise ``OSError``.

    Returns:
        The port. It is open until the process ends.
    """
    server = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            near, _ = server.accept()
            try:
                far = connect()
            except OSError:
                near.close()  # JAX tries again
                continue
            join(near, far, hold=True)

    threading.Thread(target=accept, name="zoo-relay", daemon=True).start()
    return int(server.getsockname()[1])


def join(near: socket.socket, far: socket.socket, *, hold: bool = False) -> None:
    """Copies the bytes of two connections to each other, in two threads, and closes both at the end.

    Args:
        near, far: The connections.
        hold: Whether ``near`` stays open when ``far`` is closed after its first byte. Without a byte, nothing has
            answered, and ``near`` is closed, so that JAX tries again.
    """

    def receive() -> None:
        answered = _copy(far, near)
        if not (hold and answered):
            _shut(near)

    def send() -> None:
        _copy(near, far)
        if hold:
            with suppress(OSError):
                while near.recv(1 << 16):  # nobody receives it any more
                    pass
        _shut(far)
        receiving.join()
        near.close()
        far.close()

    receiving = threading.Thread(target=receive, name="zoo-relay", daemon=True)
    receiving.start()
    threading.Thread(target=send, name="zoo-relay", daemon=True).start()


def _copy(source: socket.socket, target: socket.socket) -> bool:
    """Copies bytes until a connection is closed. Returns whether there were any."""
    found = False
    with suppress(OSError):
        while part := source.recv(1 << 16):
            found = True
            target.sendall(part)
    return found


def _shut(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
