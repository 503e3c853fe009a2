"""How hosts join: host 1 listens, and the others connect to it within a bounded time."""

from __future__ import annotations

import ipaddress
import secrets
import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from zoo.errors import ClusterError, UsageError
from zoo.hosts.group import Group
from zoo.hosts.place import Place
from zoo.hosts.relay import join
from zoo.hosts.wire import Message, Wire
from zoo.reporter import Reporter

#: Seconds that hosts wait for each other. Schedulers do not start all processes at the same time.
WAIT_S = 300.0
#: Seconds within which a new connection must say what it is for.
_HELLO_S = 10.0
#: Seconds within which JAX's coordination service must listen after another host connects to it.
_BACKEND_S = 15.0
#: Changed whenever the messages change.
_PROTOCOL = 1


@contextmanager
def joined(place: Place, reporter: Reporter, *, wait_s: float = WAIT_S) -> Iterator[Group]:
    """Waits for all hosts, yields their group, and leaves it after the block.

    Args:
        place: The place of this process.
        reporter: Receives a message while this process waits.
        wait_s: Maximum time to wait, in seconds.

    Raises:
        UsageError: Host 1 cannot listen on the port, another process has the same number, or the processes were
            started with different numbers of hosts.
        ClusterError: A host does not join in time.
    """
    meeting = None
    if place.first:
        meeting = _Meeting(place)
        reporter.stage(f"Host 1 of {place.count}: waiting for the others on port {place.port}")
        try:
            group = meeting.group = Group(place, meeting.all_joined(wait_s))
        except BaseException:
            meeting.close()
            raise
    else:
        reporter.stage(f"Host {place.number} of {place.count}: waiting for host 1 at {place.where}")
        group = Group(place, {1: _join(place, wait_s)})
    try:
        yield group
    except BaseException as error:
        group.leave(error)
        raise
    finally:
        group.leave(None)
        if meeting:
            meeting.close()


def connect_to_backend(place: Place) -> socket.socket:
    """A connection to JAX's coordination service, through the port of host 1.

    Raises:
        OSError: Host 1 cannot be reached.
    """
    wire = Wire(socket.create_connection((place.address, place.port), timeout=_HELLO_S))
    wire.send("backend")
    wire.connection.settimeout(None)
    return wire.connection


class _Meeting:
    """Host 1: accepts connections until it is closed.

    Args:
        place: The place of this process.

    Attributes:
        group: The hosts, after all have joined.
    """

    def __init__(self, place: Place) -> None:
        self._place = place
        self.group: Group | None = None
        self._token = secrets.token_hex(8)
        self._wires: dict[int, Wire] = {}
        self._changed = threading.Condition()
        self._open = True
        self._started = False
        try:
            self._server = _listen(place)
        except OSError as error:
            raise UsageError(
                f"Host 1 cannot listen on port {place.port}: {error.strerror or error}.",
                "Choose another port, or end the other process that is host 1 on this machine.",
            ) from error
        threading.Thread(target=self._accept, name="zoo-meeting", daemon=True).start()
        self._refuse_other_first()

    def all_joined(self, wait_s: float) -> dict[int, Wire]:
        """The connections to all other hosts, which are told to start."""
        with self._changed:
            self._started = self._changed.wait_for(lambda: len(self._wires) == self._place.count - 1, wait_s)
            wires = dict(self._wires)
        if not self._started:
            missing = [str(number) for number in range(2, self._place.count + 1) if number not in wires]
            text = f"Host(s) {', '.join(missing)} of {self._place.count} did not join within {wait_s:g} s."
            for wire in wires.values():
                with suppress(OSError):
                    wire.send("end", text=text)
            raise ClusterError(
                text, f"Start them with --host I/{self._place.count}@{self._place.where}, all within that time."
            )
        for wire in wires.values():
            with suppress(OSError):  # the group notices that the host is lost
                wire.send("start")
        return wires

    def close(self) -> None:
        self._open = False
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        with self._changed:
            wires = list(self._wires.values())
        for wire in wires:
            wire.close()

    def _refuse_other_first(self) -> None:
        """Refuses an address that leads to another process that is host 1."""
        try:
            wire = Wire(socket.create_connection((self._place.address, self._place.port), timeout=_HELLO_S))
        except socket.gaierror as error:
            self.close()
            raise UsageError(
                f"The address of host 1, {self._place.address}, is unknown: {error.strerror}.",
                "Give the name or the IP address of the machine on which host 1 runs.",
            ) from error
        except OSError:
            return  # some networks do not let a machine reach itself under its public address
        told = None
        with suppress(OSError, ValueError):
            wire.send("who")
            told = wire.receive()
        wire.close()
        if told and told.kind == "token" and told.facts.get("token") != self._token:
            self.close()
            raise UsageError(f"Another process is host 1 at {self._place.where}.", "Give each process another number.")

    def _accept(self) -> None:
        while self._open:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), name="zoo-meeting", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        wire = Wire(connection)
        connection.settimeout(_HELLO_S)
        try:
            message = wire.receive()
            if message.kind == "join":
                self._admit(wire, message)
            elif message.kind == "who":
                wire.send("token", token=self._token)
                wire.close()
            elif message.kind == "backend":
                near = self._connected_to_backend()
                for each in (connection, near):
                    each.settimeout(None)
                join(connection, near)
            else:
                wire.close()
        except (OSError, ValueError):
            wire.close()

    def _connected_to_backend(self) -> socket.socket:
        """A connection to JAX's coordination service. Another host may come before the service listens."""
        deadline = time.monotonic() + _BACKEND_S
        while True:
            port = self.group.backend_port if self.group else None
            if port is not None:
                with suppress(ConnectionRefusedError):
                    near = socket.create_connection(("127.0.0.1", port), timeout=_HELLO_S)
                    if near.getsockname() != near.getpeername():
                        return near
                    near.close()  # while nobody listens on a port, a connection to it may be connected to itself
            if not self._open or time.monotonic() > deadline:
                raise ConnectionRefusedError("JAX's coordination service does not listen")
            time.sleep(0.3)

    def _admit(self, wire: Wire, message: Message) -> None:
        number, count = message.facts.get("number"), message.facts.get("count")
        with self._changed:
            known = self._wires.get(number) if isinstance(number, int) else None
            if message.facts.get("protocol") != _PROTOCOL:
                refused, hint = "Host 1 has another version of zoo.", "Install the same version on all hosts."
            elif count != self._place.count or not isinstance(number, int) or not 2 <= number <= count:
                refused = (
                    f"Host 1 was started as one of {self._place.count} hosts, this process as {number} of {count}."
                )
                hint = "Give the same N on all hosts."
            elif self._started:
                refused = f"The training has started already. Host {number} of {count} has joined it before."
                hint = "Choose another port for another training, or end all processes and start them together."
            elif known and not _is_closed(known):
                refused = f"Another process is host {number} of {count}; it runs at {known.peer}."
                hint = "Give each process another number."
            else:
                wire.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                wire.send("welcome")
                self._wires[number] = wire
                self._changed.notify_all()
                return
        wire.send("refused", text=refused, hint=hint)
        wire.close()


def _listen(place: Place) -> socket.socket:
    """Listens on a loopback address if it was given, and otherwise on all interfaces.

    Some networks do not let a machine listen at the address under which others reach it.
    """
    if _is_loopback(place.address):
        family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
        return socket.create_server((place.address, place.port), family=family)
    if socket.has_dualstack_ipv6():
        with suppress(OSError):
            return socket.create_server(("", place.port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("", place.port))


def _is_loopback(address: str) -> bool:
    if address == "localhost":
        return True
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def _is_closed(wire: Wire) -> bool:
    try:
        readable, _, _ = select.select([wire.connection], [], [], 0)
        return bool(readable) and wire.connection.recv(1, socket.MSG_PEEK) == b""
    except (OSError, ValueError):
        return True


def _join(place: Place, wait_s: float) -> Wire:
    """The connection of another host to host 1, after all hosts have joined."""
    deadline = time.monotonic() + wait_s
    why = "it does not answer"
    while (left := deadline - time.monotonic()) > 0:
        try:
            wire = Wire(socket.create_connection((place.address, place.port), timeout=max(0.1, min(5.0, left))))
        except OSError as error:
            why = error.strerror or str(error)
            time.sleep(min(0.5, max(0.0, left)))
            continue
        try:
            wire.connection.settimeout(max(0.1, min(_HELLO_S, left)))
            wire.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            wire.send("join", protocol=_PROTOCOL, number=place.number, count=place.count)
            _expect(wire.receive(), "welcome")
            wire.connection.settimeout(wait_s + _HELLO_S)
            _expect(wire.receive(), "start")
            return wire
        except (ClusterError, UsageError):
            wire.close()
            raise
        except (OSError, ValueError) as error:
            why = f"it does not answer like host 1 of a training ({error})"
            wire.close()
            time.sleep(min(0.5, max(0.0, left)))
    raise ClusterError(
        f"Host 1 could not be reached at {place.where} within {wait_s:g} s: {why}.",
        f"Start host 1 there, with --host 1/{place.count}@{place.where}, and allow connections to the port.",
    )


def _expect(message: Message, kind: str) -> None:
    if message.kind == "refused":
        raise UsageError(str(message.facts.get("text")), message.facts.get("hint"))
    if message.kind == "end":
        raise ClusterError(str(message.facts.get("text")))
    if message.kind != kind:
        raise ValueError(f"received {message.kind}")
