"""Runs on each machine of a cluster, if its processes work together: an actor of Ray, and the process that it starts.

The process is a child of the actor, because Ray replaces signal handlers and ends its processes in its own way. It
reads the work from its standard input, and ends when that is closed, so it does not outlive the actor. It writes
pickles to its standard output: reports, and at last its result or its error.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from zoo.cluster.connection import Frame, named, tail
from zoo.cluster.reports import Forwarded
from zoo.cluster.worker import as_failure, last_line, refuse_other_version
from zoo.errors import ClusterError, Terminated, ZooError
from zoo.hosts.relay import reserve_port
from zoo.memory import keep_freed_memory
from zoo.reporter import Reporter

#: ``work(place, reporter)`` is called on each machine. ``place`` is ``I/N@ADDRESS:PORT``, or ``None`` if there is only
#: one machine. The result of the first machine is returned to the command.
Work = Callable[[str | None, Reporter], Any]

#: Seconds that a process may take to end after SIGTERM.
_END_S = 10.0


class Host:
    """An actor of Ray that starts one process. Its methods return at once, or within a second.

    Args:
        folder: Working directory of the process, which is that of the command.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._frames: queue.Queue[Frame] = queue.Queue()
        self._process: subprocess.Popen[bytes] | None = None
        self._reserved: socket.socket | None = None

    def prepare(self, version: str, marker: str | None) -> tuple[str, str, int]:
        """Checks what this machine has.

        Args:
            version: Version of zoo on the machine of the command.
            marker: A file that this machine must see. ``None``: there is none.

        Returns:
            A failure, or else an empty text, the IP address of this machine, and a TCP port that is reserved for its
            process.
        """
        import ray

        try:
            refuse_other_version(version)
            if not Path(self._folder).is_dir():
                raise ClusterError(
                    f"The working directory of the command, {self._folder}, does not exist on a machine of the"
                    " cluster.",
                    "Run the command in a folder that all machines have, such as one on a shared disk.",
                )
            if marker and not Path(marker).exists():
                raise ClusterError(
                    f"The first machine of the cluster has another folder {Path(marker).parent} than the command.",
                    "Run the command on a machine of the cluster, or use a folder on a shared disk.",
                )
        except ZooError as error:
            return as_failure(error), "", 0
        port, self._reserved = reserve_port("")
        return "", ray.util.get_node_ip_address(), port

    def start(self, work: bytes, place: str | None) -> None:
        """Starts the process with pickled ``Work``."""
        paths = [path for path in (*sys.path, self._folder) if path]  # the recipe may name a function in that folder
        log = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process runs
        process = self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "zoo.cluster.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=self._folder,
            env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": os.pathsep.join(paths)},
        )

        def read() -> None:
            assert process.stdout
            with log, process:
                with suppress(EOFError, OSError, pickle.UnpicklingError):
                    while True:
                        self._frames.put(pickle.load(process.stdout))
                code = process.wait()
                error = ClusterError(f"The process of a machine ended with {named(code)}.", f"It printed:{tail(log)}")
            self._frames.put(("ended", as_failure(error)))

        threading.Thread(target=read, daemon=True).start()
        assert process.stdin
        with suppress(BrokenPipeError):
            pickle.dump((work, place), process.stdin)
            process.stdin.flush()

    def next(self) -> list[Frame]:
        """The frames since the last call: ``("report", ...)``, ``("result", value)`` or ``("failed", failure)``, and
        at last ``("ended", failure)``. Waits for a second if there are none."""
        found: list[Frame] = []
        with suppress(queue.Empty):
            found.append(self._frames.get(timeout=1))
            while True:
                found.append(self._frames.get_nowait())
        return found

    def stop(self) -> None:
        """Interrupts the process."""
        if self._process:
            self._process.terminate()


def main() -> None:
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not mix with the frames
    signal.signal(signal.SIGTERM, _terminate)
    keep_freed_memory()
    sending = threading.Lock()

    def send(*frame: Any) -> None:
        with sending:
            pickle.dump(frame, out)
            out.flush()

    work, place = pickle.load(sys.stdin.buffer)
    threading.Thread(target=end_with_input, daemon=True).start()
    try:
        made: Work = pickle.loads(work)
        send("result", made(place, Forwarded(lambda report: send("report", report))))
    except ZooError as error:
        send("failed", as_failure(error))
        sys.exit(error.exit_code)
    except Exception as error:
        trace = traceback.format_exc(limit=-3)
        send("failed", as_failure(ClusterError(f"A machine of the cluster failed: {last_line(error)}", trace)))
        sys.exit(1)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise Terminated(128 + number)


def end_with_input() -> None:
    """Waits until standard input is closed, because the process that started this one has ended, and then ends this
    process."""
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_END_S)
    os._exit(128 + signal.SIGTERM)  # the main thread waits for something that does not come


if __name__ == "__main__":
    main()
