"""The hosts of a training after all have joined: exchange of data, and detection of lost hosts."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

from zoo.errors import ClusterError, ZooError
from zoo.hosts.place import Place
from zoo.hosts.wire import Message, Wire

#: Seconds between two signs of life.
_TICK_S = 2.0
#: Seconds of silence after which a host is lost. A killed process is noticed at once, because its connection is closed.
SILENCE_S = 15.0
#: Seconds after which this process ends if a host is lost and the backend still waits for it.
GRACE_S = 10.0
#: Maximum size of the data that one host gives, in bytes.
_MOST_BYTES = 1 << 36
_HINT = "Fix the cause. To continue the run, give --resume with it on all hosts. The number of hosts may be another."


class Group:
    """The connections of this process to the other hosts: of host 1 to each, of the others to host 1.

    Every method that exchanges data is called by all hosts, in the same order.

    Args:
        place: The place of this process.
        wires: The connections, by number of the host.
        backend_port: On host 1, the port of the loopback interface for JAX's coordination service.

    Attributes:
        lost: Sentence on the host that was lost. ``None`` while all are there.
    """

    def __init__(self, place: Place, wires: Mapping[int, Wire], backend_port: int | None = None) -> None:
        self.place = place
        self.backend_port = backend_port
        self.lost: str | None = None
        self._wires = dict(wires)
        self._inbox: dict[int, queue.Queue[Message]] = {number: queue.Queue() for number in wires}
        self._over = False
        self._reported = False
        self._backend_started = False
        for number, wire in self._wires.items():
            wire.connection.settimeout(None)
            wire.heard = time.monotonic()
            threading.Thread(target=self._read, args=(number, wire), name="zoo-host", daemon=True).start()
        threading.Thread(target=self._watch, name="zoo-hosts", daemon=True).start()

    def gather(self, what: str, given: bytes = b"") -> list[bytes]:
        """The bytes that each host gives, in the order of the hosts.

        Args:
            what: Name of the exchange, which must be the same on all hosts.
            given: The bytes of this host.

        Raises:
            ClusterError: A host is lost, or is at another exchange.
        """
        if not self.place.first:
            self._send(1, "give", given, what=what)
            message = self._next(1)
            self._refuse_other(1, message, "all", what)
            ends = [sum(message.facts["sizes"][: index + 1]) for index in range(self.place.count)]
            starts = [0, *ends[:-1]]
            return [message.payload[start:end] for start, end in zip(starts, ends, strict=True)]
        found = [given]
        for number in range(2, self.place.count + 1):
            message = self._next(number)
            self._refuse_other(number, message, "give", what)
            found.append(message.payload)
        for number in self._wires:
            self._send(number, "all", b"".join(found), what=what, sizes=[len(each) for each in found])
        return found

    def from_first(self, what: str, given: bytes = b"") -> bytes:
        """The bytes that host 1 gives. ``given`` of other hosts is not used. Raises the errors of ``gather``."""
        return self.gather(what, given if self.place.first else b"")[0]

    def any(self, what: str, flag: bool) -> bool:
        """Whether ``flag`` is set on at least one host. Raises the errors of ``gather``."""
        return b"1" in self.gather(what, b"1" if flag else b"0")

    def refuse_differences(self, what: str, facts: Mapping[str, str], kind: type[ZooError], hint: str) -> None:
        """Compares facts of all hosts with those of host 1.

        Args:
            what: Name of the exchange.
            facts: Facts of this host by name.
            kind: Class of the error.
            hint: Its hint.

        Raises:
            ZooError: A fact differs. All hosts raise the same error, which names the fact, the hosts and the values.
            ClusterError: As ``gather``.
        """
        all_facts = [json.loads(given) for given in self.gather(what, json.dumps(dict(facts)).encode())]
        expected = all_facts[0]
        differences = [
            f"{name}: {expected.get(name, 'not set')} on host 1, {found.get(name, 'not set')} on host {number}"
            for number, found in enumerate(all_facts[1:], start=2)
            for name in {**expected, **found}
            if expected.get(name) != found.get(name)
        ]
        if differences:
            more = f"; and {len(differences) - 6} more" if len(differences) > 6 else ""
            raise kind(f"The hosts differ. {'; '.join(differences[:6])}{more}.", hint)

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Replaces an error of the backend by ``ClusterError`` if its cause is a lost host."""
        try:
            yield
        except ZooError:
            raise
        except Exception as error:
            deadline = time.monotonic() + 3  # the error of the backend may come before the end of the connection
            while self.lost is None and time.monotonic() < deadline:
                time.sleep(0.05)
            if self.lost is not None:
                self._raise_lost(error)
            raise

    def backend_started(self) -> None:
        """Called when the backend has connected the hosts. After an error, its own shutdown would wait for all hosts
        and then abort the process. Therefore the process ends without it."""
        self._backend_started = True

    def part_in_peace(self) -> None:
        """Called by all hosts when they no longer need each other. From then on, a host may end.

        Raises:
            ClusterError: A host was lost before.
        """
        self.gather("end")
        self._over = True

    def leave(self, error: BaseException | None) -> None:
        """Closes the connections, after telling the other hosts the error with which this host ends, if there is one.

        If the backend was started, a thread waits for the end of the main thread, and then ends the process with the
        exit code of the error.
        """
        if error is not None and not self._over:
            self._over = True
            told = self.lost or f"Host {self.place.number} of {self.place.count} ended: {_described(error)}"
            for wire in self._wires.values():
                with suppress(OSError):
                    wire.send("bye", text=told)
            if self._backend_started:
                code = _exit_code(error)
                threading.Thread(target=_end_after_main, args=(code,), name="zoo-end", daemon=True).start()
        self._over = True
        for wire in self._wires.values():
            wire.close()

    def _send(self, number: int, kind: str, payload: bytes, **facts: object) -> None:
        try:
            self._wires[number].send(kind, payload, **facts)
        except OSError:
            self._lose(f"The connection to host {number} of {self.place.count} is lost.")
            self._raise_lost()

    def _next(self, number: int) -> Message:
        while True:
            try:
                return self._inbox[number].get(timeout=0.2)
            except queue.Empty:
                if self.lost is not None:
                    self._raise_lost()

    def _refuse_other(self, number: int, message: Message, kind: str, what: str) -> None:
        if (message.kind, message.facts.get("what")) != (kind, what):
            raise ClusterError(
                f"The hosts do not do the same: this process is at '{what}', host {number} at"
                f" '{message.facts.get('what', message.kind)}'.",
                "Give the same command on all hosts. A callback must change the training in the same way on all of"
                " them.",
            )

    def _raise_lost(self, cause: BaseException | None = None) -> NoReturn:
        self._reported = True
        assert self.lost is not None
        raise ClusterError(self.lost, _HINT) from cause

    def _lose(self, text: str) -> None:
        """Notes the first loss. It must be reported by the thread that trains; otherwise the process ends anyway."""
        if self._over or self.lost is not None:
            return
        self.lost = text
        if self.place.first:  # the others are connected to host 1 only
            for wire in self._wires.values():
                with suppress(OSError):
                    wire.send("bye", text=text)
        if self._backend_started:
            threading.Thread(target=self._end_if_stuck, name="zoo-end", daemon=True).start()

    def _end_if_stuck(self) -> None:
        time.sleep(GRACE_S)
        if not self._reported and not self._over:
            print(f"Error: {ClusterError(self.lost or '', _HINT)}", file=sys.stderr)
            _end(ClusterError.exit_code)

    def _read(self, number: int, wire: Wire) -> None:
        try:
            while True:
                message = wire.receive(_MOST_BYTES)
                if message.kind == "bye":
                    self._lose(str(message.facts.get("text")))
                elif message.kind != "alive":
                    self._inbox[number].put(message)
        except (OSError, ValueError):
            self._lose(
                f"The connection to host {number} of {self.place.count} ({wire.peer}) is lost: its process was"
                " killed, or its machine or the network failed."
            )

    def _watch(self) -> None:
        while not self._over and self.lost is None:
            now = time.monotonic()
            for number, wire in self._wires.items():
                wire.send_if_idle("alive")
                if now - wire.heard > SILENCE_S:
                    self._lose(f"Host {number} of {self.place.count} has been silent for {SILENCE_S:g} s.")
            time.sleep(_TICK_S)


def _described(error: BaseException) -> str:
    if isinstance(error, ZooError):
        return error.message
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was interrupted."
    return f"{type(error).__name__}: {error}"[:500]


def _exit_code(error: BaseException) -> int:
    if isinstance(error, ZooError):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def _end_after_main(code: int) -> None:
    while threading.main_thread().is_alive():
        time.sleep(0.05)
    _end(code)


def _end(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
