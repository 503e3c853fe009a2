"""Limits for attempts and waiting times, and the decision to give up a host."""

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
        connect_s: Timeout of a connection.
        read_s: Timeout for the next bytes.
        answer_s: Timeout for one step of a response with any number of bytes: the complete headers, or the next
            bytes of the body with their framing.
        tries: Number of consecutive attempts without new data before a file is given up.
        tries_in_all: Maximum number of attempts for one file.
        redirects: Maximum number of redirects.
        backoff_s: Maximum of the first wait between attempts. It doubles with each further attempt.
        longest_backoff_s: Upper limit of the wait between attempts.
        longest_wait_s: Longest wait that a server may request.
        slowest_bytes_per_s: Minimum average speed of a transfer. A slower transfer is stopped.
        slow_after_s: Time after which the average speed is checked.
        unreached_s: A host is given up if it could not be reached for this time.
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
        """Seconds to wait after the ``tried``-th consecutive failure.

        It is random, so that many clients do not return at once.
        """
        return random.uniform(0, min(self.longest_backoff_s, self.backoff_s * 2 ** (tried - 1)))


@dataclass
class _State:
    open_at: float = 0.0
    failing_since: float | None = None
    failure: str = ""


class Hosts:
    """The state of each host, shared by all threads: requested pauses, and whether it can be reached."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._stop = threading.Event()
        self._abort = threading.Event()
        self._states: dict[str, _State] = {}
        self._lock = threading.Lock()

    def enter(self, host: str) -> None:
        """Waits until a request may be sent to the host.

        Raises:
            RefusedError: The host was excluded after repeated failures.
            StoppedError: The download was stopped meanwhile.
        """
        with self._lock:
            state = self._states.setdefault(host, _State())
            pause_s = state.open_at - time.monotonic()
            failing_since = state.failing_since
        if failing_since is not None and time.monotonic() - failing_since > self._patience.unreached_s:
            raise RefusedError(f"{state.failure}; {host} was excluded after repeated failures", temporary=True)
        if pause_s > 0:
            # so that the threads do not all continue at the same moment
            self.wait(pause_s + random.uniform(0, min(pause_s, 1.0)))
        elif self._stop.is_set():
            raise StoppedError

    def stop(self) -> None:
        """Prevents new transfers, and ends all waits. Running transfers may still finish."""
        self._stop.set()

    def abort(self) -> None:
        """Stops running transfers. Their partial files are kept."""
        self._stop.set()
        self._abort.set()

    def keep_on(self) -> None:
        """Raises ``StoppedError`` after the download was aborted."""
        if self._abort.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Waits. Raises ``StoppedError`` if the download is stopped meanwhile."""
        if self._stop.wait(seconds):
            raise StoppedError

    def answered(self, host: str) -> None:
        with self._lock:
            self._states.setdefault(host, _State()).failing_since = None

    def failed(self, host: str, error: TryAgainError) -> None:
        """Records a failure. A requested pause applies to all threads.

        Raises:
            RefusedError: The host requests a longer pause than allowed.
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
            limit = f"requests a wait of more than {self._patience.longest_wait_s:.0f} s"
            raise RefusedError(f"{error.reason}, {limit}", temporary=True)
