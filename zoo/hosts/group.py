"""The hosts of a training after all have joined: exchange of data, and detection of lost hosts."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

from zoo.errors import ClusterError, ZooError
from zoo.hosts.ending import described, end, end_after_main, exit_code
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
#: Seconds that a host waits to tell another one why it ends.
_BYE_S = 2.0
#: Maximum length of the reason, in characters.
_MOST_TEXT = 2000
#: The last exchange. A host that takes part in it does not need the others any more.
_END = "end"
_HINT = (
    "Fix the cause, and start all hosts again. If host 1 has completed an epoch, --resume RUN on all hosts continues"
    " its run. The number of hosts may differ."
)


class Group:
    """The connections of this process to the other hosts: of host 1 to each, of the others to host 1.

    Every method that exchanges data is called by all hosts, in the same order.

    Args:
        place: The place of this process.
        wires: The connections, by number of the host.

    Attributes:
        lost: Sentence on the host that was lost. ``None`` while all are there.
        backend_port: On host 1, the port of the loopback interface for JAX's coordination service. ``None`` until it
            is chosen.
    """

    def __init__(self, place: Place, wires: Mapping[int, Wire]) -> None:
        self.place = place
        self.lost: str | None = None
        self.backend_port: int | None = None
        self._wires = dict(wires)
        self._inbox: dict[int, queue.Queue[Message]] = {number: queue.Queue() for number in wires}
        self._ended: set[int] = set()  # hosts that take part in the last exchange
        self._over = False
        self._reported = False
        self._backend_started = False
        self._before_exit: list[Callable[[], None]] = []
        self._marking = threading.Lock()
        self._answering = threading.RLock()  # held while host 1 answers the others in an exchange
        for number, wire in self._wires.items():
            wire.connection.settimeout(None)
            wire.last_received_s = time.monotonic()
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
        # If all hosts find the same error in the answer, the first one may leave before the last one is answered.
        with self._answering:
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

    def before_exit(self, action: Callable[[], None]) -> None:
        """Adds a function that is called before this process is ended while its main thread waits for the backend."""
        self._before_exit.append(action)

    def disconnect(self) -> None:
        """Called by all hosts when they no longer need each other. From then on, a host may end.

        Raises:
            ClusterError: A host was lost before.
        """
        self.gather(_END)
        self._over = True

    def leave(self, error: BaseException | None) -> None:
        """Closes the connections, after telling the other hosts the error with which this host ends, if there is one.

        If the backend was started, a thread waits for the end of the main thread, and then ends the process with the
        exit code of the error.
        """
        if error is not None and not self._over:
            self._over = True
            told = self.lost or f"Host {self.place.number} of {self.place.count} ended: {described(error)}"
            for wire in self._wires.values():
                wire.send_last("bye", _BYE_S, text=told[:_MOST_TEXT])
            if self._backend_started:
                code = exit_code(error)
                threading.Thread(target=end_after_main, args=(code,), name="zoo-end", daemon=True).start()
        self._over = True
        for wire in self._wires.values():
            wire.close()

    def _send(self, number: int, kind: str, payload: bytes, **facts: object) -> None:
        try:
            self._wires[number].send(kind, payload, **facts)
        except OSError:
            if number not in self._ended:
                self._mark_lost(number, f"The connection to host {number} of {self.place.count} is lost.")
                self._raise_lost()

    def _next(self, number: int) -> Message:
        while True:
            try:
                return self._inbox[number].get(timeout=0.2)
            except queue.Empty:
                # A host that was lost after its answer has answered: the message may have come in this moment.
                if self.lost is not None and self._inbox[number].empty():
                    self._raise_lost()

    def _refuse_other(self, number: int, message: Message, kind: str, what: str) -> None:
        if (message.kind, message.facts.get("what")) != (kind, what):
            raise ClusterError(
                f"The hosts are at different steps: this process is at '{what}', host {number} at"
                f" '{message.facts.get('what', message.kind)}'.",
                "Give the same command on all hosts. A callback must change the training in the same way on all of"
                " them.",
            )

    def _raise_lost(self, cause: BaseException | None = None) -> NoReturn:
        self._reported = True
        assert self.lost is not None
        raise ClusterError(self.lost, _HINT) from cause

    def _mark_lost(self, number: int, text: str) -> None:
        """Notes the first loss. It must be reported by the thread that trains; otherwise the process ends anyway.

        Args:
            number: The host whose connection is lost, or that has told the loss. A host at the last exchange may leave.
            text: Sentence on the loss.
        """
        with self._marking:
            if self._over or self.lost is not None or number in self._ended:
                return
            self.lost = text
        if self._backend_started:
            threading.Thread(target=self._end_if_stuck, name="zoo-end", daemon=True).start()
        self._wires[number].interrupt()  # the main thread may be sending to this host
        if self.place.first:  # the others are connected to host 1 only
            self._tell_the_others(number, text)

    def _tell_the_others(self, number: int, text: str) -> None:
        answered = self._answering.acquire(timeout=_BYE_S)
        try:
            others = [wire for other, wire in self._wires.items() if other != number]
            for wire in others:
                wire.send_last("bye", _BYE_S, text=text[:_MOST_TEXT])
            if not answered:  # the main thread is sending to a host that does not receive
                for wire in others:
                    wire.interrupt()
        finally:
            if answered:
                self._answering.release()

    def _end_if_stuck(self) -> None:
        time.sleep(GRACE_S)
        if not self._reported and not self._over:
            print(f"Error: {ClusterError(self.lost or '', _HINT)}", file=sys.stderr)
            for action in self._before_exit:
                with suppress(OSError):
                    action()
            end(ClusterError.exit_code)

    def _read(self, number: int, wire: Wire) -> None:
        try:
            while True:
                message = wire.receive(_MOST_BYTES)
                if message.kind == "bye":
                    self._mark_lost(number, str(message.facts.get("text")))
                elif message.kind != "alive":
                    if message.facts.get("what") == _END:
                        self._ended.add(number)
                    self._inbox[number].put(message)
        except (OSError, ValueError):
            self._mark_lost(
                number,
                f"The connection to host {number} of {self.place.count} ({wire.peer}) is lost: its process was"
                " killed, or its machine or the network failed.",
            )

    def _watch(self) -> None:
        before = time.monotonic()
        while not self._over and self.lost is None:
            now = time.monotonic()
            stalled, before = now - before > 2 * _TICK_S, now
            for number, wire in self._wires.items():
                wire.send_if_idle("alive")
                if stalled:  # this process did not run, so it could not receive anything either
                    wire.last_received_s = now
                elif number not in self._ended and now - wire.last_received_s > SILENCE_S:
                    self._mark_lost(number, f"Host {number} of {self.place.count} has been silent for {SILENCE_S:g} s.")
            time.sleep(_TICK_S)
