"""How often to ask, how long to wait, and when a host is given up."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass

from zoo.fetch.errors import RefusedError, StoppedError, TryAgainError


@dataclass(frozen=True)
class Patience:
    """Limits of one transfer; times in seconds.

    Args:
        connect_s: Wait for a connection.
        read_s: Wait for the next bytes.
        answer_s: Wait for one step of an answer, however many bytes it takes: its whole head, or the next bytes of its
            body with what frames them.
        tries: Tries in a row that bring nothing new before a file is given up.
        tries_in_all: Tries for one file, however much each brings.
        redirects: Redirects that are followed.
        backoff_s: The first wait between tries is up to this, each further one up to twice as long.
        longest_backoff_s: And no longer than this.
        longest_wait_s: The longest wait that a server may ask for.
        slowest_bytes_per_s: A transfer slower than this on average is broken off ...
        slow_after_s: ... after so long.
        unreached_s: A host is given up when nothing reached it for so long.
    """

    connect_s: float = 10.0
    read_s: float = 30.0
    answer_s: float = 60.0
    tries: int = 5
    tries_in_all: int = 50
    redirects: int = 5
    backoff_s: float = 0.5
    longest_backoff_s: float = 30.0
    longest_wait_s: float = 120.0
    slowest_bytes_per_s: int = 1024
    slow_after_s: float = 30.0
    unreached_s: float = 10.0

    def backoff(self, tried: int) -> float:
        """Seconds to wait after the ``tried``-th failure in a row; random, so that many do not return at once."""
        return random.uniform(0, min(self.longest_backoff_s, self.backoff_s * 2 ** (tried - 1)))


@dataclass
class _State:
    open_at: float = 0.0
    failing_since: float | None = None
    failure: str = ""


class Hosts:
    """What is known of each host, shared by all that ask it: pauses it wants, and that it cannot be reached."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._stop = threading.Event()
        self._abort = threading.Event()
        self._states: dict[str, _State] = {}
        self._lock = threading.Lock()

    def enter(self, host: str) -> None:
        """Waits until the host may be asked.

        Raises:
            RefusedError: It was given up.
            StoppedError: The work was ended meanwhile.
        """
        with self._lock:
            state = self._states.setdefault(host, _State())
            pause_s = state.open_at - time.monotonic()
            failing_since = state.failing_since
        if failing_since is not None and time.monotonic() - failing_since > self._patience.unreached_s:
            raise RefusedError(f"{state.failure}; {host} was given up", temporary=True)
        if pause_s > 0:
            # Not all at once when it is over.
            self.wait(pause_s + random.uniform(0, min(pause_s, 1.0)))
        elif self._stop.is_set():
            raise StoppedError

    def stop(self) -> None:
        """Nothing new is begun and nobody waits any longer; what is on its way may still come."""
        self._stop.set()

    def abort(self) -> None:
        """What is on its way is left where it is."""
        self._stop.set()
        self._abort.set()

    def keep_on(self) -> None:
        """Raises ``StoppedError`` once the work was aborted."""
        if self._abort.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Raises ``StoppedError`` if the work is ended meanwhile."""
        if self._stop.wait(seconds):
            raise StoppedError

    def answered(self, host: str) -> None:
        with self._lock:
            self._states.setdefault(host, _State()).failing_since = None

    def failed(self, host: str, error: TryAgainError) -> None:
        """Takes note of a failure: a pause that was asked for holds for everybody.

        Raises:
            RefusedError: It asks for a longer pause than there is patience for.
        """
        now = time.monotonic()
        with self._lock:
            state = self._states.setdefault(host, _State())
            if error.unreached and state.failing_since is None:
                state.failing_since = now
            state.failure = error.reason
            if error.wait_s is not None and error.wait_s <= self._patience.longest_wait_s:
                state.open_at = max(state.open_at, now + error.wait_s)
        if error.wait_s is not None and error.wait_s > self._patience.longest_wait_s:
            limit = f"asks to wait longer than {self._patience.longest_wait_s:.0f} s"
            raise RefusedError(f"{error.reason}, {limit}", temporary=True)
