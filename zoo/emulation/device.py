"""A bundle on an emulated processor, with the interface of a runtime."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from importlib.metadata import distributions
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.edge.bundle import Bundle
from zoo.emulation.place import PROGRAM, Emulator
from zoo.errors import ExportError
from zoo.exported import TensorInfo
from zoo.images import ImageError
from zoo.parity.device import Processor
from zoo.records import read_object, read_record
from zoo.terminal import readable

#: Maximum time for one reply, in seconds. A large network takes seconds, or minutes on a busy machine.
WAIT_S = 900.0


class EmulatedDevice:
    """A bundle on an emulated processor: a ``Device`` of ``zoo.parity``, and a context manager that ends the emulator's
    process on exit.

    Thread-safe. Calls from several threads are executed one after the other.

    Args:
        emulator: The emulator.
        processor: Name of the processor.
        bundle: The bundle, with ``run.py`` and the model.
        threads: Number of threads of the runtime.
        wait_s: Maximum time for one reply, in seconds.

    Raises:
        UsageError: The emulator does not know the processor.
        ExportError: The bundle does not run on the emulated processor.
    """

    def __init__(
        self, emulator: Emulator, processor: str, bundle: Bundle, threads: int = 1, wait_s: float = WAIT_S
    ) -> None:
        emulator.check(processor)
        self._name, self._wait_s = processor, wait_s
        self._lock = threading.Lock()
        self._late = False
        self._command, self._environment = command(emulator, processor), environment(emulator)
        self._bundle = bundle.folder.resolve()
        self._folder = tempfile.TemporaryDirectory(prefix="zoo-emulated-")  # also for the core file of a crash
        self._said = tempfile.TemporaryFile()  # noqa: SIM115, closed with the process
        self._process = subprocess.Popen(
            [*self._command, str(Path(__file__).with_name("worker.py")), str(self._bundle), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            cwd=self._folder.name,
            env=self._environment,
        )
        try:
            said, _ = self._reply()
            self.inputs, self.outputs = (
                tuple(read_record(TensorInfo, tensor) for tensor in said[side]) for side in ("inputs", "outputs")
            )
            self.processor = Processor(
                name=processor,
                emulator=f"{PROGRAM} {emulator.version}",
                machine=said["machine"],
                versions={"python": said["python"]} | packages(emulator.wheels),
            )
            if self.processor.machine != "aarch64":
                raise ExportError(f"The emulated system is {self.processor.machine}. Expected: aarch64.")
        except BaseException:
            self.close()
            raise

    def look(self, path: str) -> NDArray[np.uint8]:
        """Pixels of an image file, preprocessed by the emulated runner: RGB, uint8 ``(height, width, 3)``.

        Raises:
            ImageError: The file cannot be read on the emulated processor.
        """
        said, arrays = self._ask({"look": str(Path(path).absolute())})
        if "image" in said:
            raise ImageError(f"{said['image']} (on {self._name})", path)
        return arrays[0]

    def predict(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities, float32 ``(n, classes)``, for pixels, uint8 ``(n, height, width, 3)``."""
        return self._ask({"ask": "predict", "shape": images.shape}, images)[1][0]

    def explain(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities and evidence maps, for a file with a map."""
        probabilities, maps = self._ask({"ask": "explain", "shape": images.shape}, images)[1]
        return probabilities, maps

    def selftest(self) -> list[str]:
        """Runs ``run.py --selftest`` on the emulated processor, and returns a sentence for each failed check."""
        try:
            done = subprocess.run(
                [*self._command, str(self._bundle / "run.py"), "--selftest", "--json"],
                capture_output=True,
                cwd=self._folder.name,
                env=self._environment,
                timeout=self._wait_s,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExportError(f"The self-test on {self._name} did not end within {self._wait_s:g} s.") from error
        if done.returncode not in (0, 6) or not done.stdout:
            raise ExportError(
                f"The self-test on {self._name} ended early: {_end(done.returncode)}.", _last_line(done.stderr)
            )
        checks = read_object(done.stdout)["checks"]
        return [
            f"`run.py --selftest` fails on {self._name}: {check['name']}: {check['found']}"
            for check in checks
            if not check["passed"]
        ]

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._said):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:  # a request that was not read
                    continue
        self._folder.cleanup()

    def __enter__(self) -> EmulatedDevice:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(
        self, request: dict[str, Any], pixels: NDArray[np.uint8] | None = None
    ) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        with self._lock:
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                if pixels is not None:
                    self._process.stdin.write(np.ascontiguousarray(pixels).tobytes())
                self._process.stdin.flush()
            except OSError as error:
                raise self._ended() from error
            said, arrays = self._reply()
        if "error" in said:
            raise ExportError(f"The file does not predict on {self._name}: {readable(said['error'])}.")
        return said, arrays

    def _reply(self) -> tuple[dict[str, Any], list[NDArray[Any]]]:
        watch = threading.Timer(self._wait_s, self._give_up)
        watch.daemon = True
        watch.start()
        try:
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            if not line.endswith(b"\n"):
                raise self._ended()
            said: dict[str, Any] = read_object(line)
            return said, [self._array(described) for described in said["arrays"]]
        finally:
            watch.cancel()

    def _array(self, described: dict[str, Any]) -> NDArray[Any]:
        assert self._process.stdout is not None
        shape, dtype = described["shape"], np.dtype(described["dtype"])
        content = self._process.stdout.read(prod(shape) * dtype.itemsize)
        if len(content) < prod(shape) * dtype.itemsize:
            raise self._ended()
        return np.frombuffer(content, dtype).reshape(shape)

    def _give_up(self) -> None:
        self._late = True
        self._process.kill()

    def _ended(self) -> ExportError:
        code = self._process.wait()
        self._said.seek(0)
        said = _last_line(self._said.read())
        if self._late:
            return ExportError(f"{self._name} did not reply within {self._wait_s:g} s; nothing is verified.", said)
        return ExportError(f"The bundle stopped on {self._name}, and nothing is verified: {_end(code)}.", said)


def packages(wheels: Path) -> dict[str, str]:
    """Name and version of every distribution in a folder."""
    return {found.name: found.version for found in distributions(path=[str(wheels)])}


def command(emulator: Emulator, processor: str) -> list[str]:
    """The command that starts Python on an emulated processor, without the arguments of Python."""
    return [str(emulator.program), "-cpu", processor, "-L", str(emulator.system), str(emulator.python)]


def environment(emulator: Emulator) -> dict[str, str]:
    """An environment without the variables of this process, which would also affect the emulated Python."""
    return {
        "LANG": "C.UTF-8",
        "PYTHONHOME": "/usr",  # in the emulated system
        "PYTHONPATH": str(emulator.wheels),
        "PYTHONPYCACHEPREFIX": str(emulator.compiled),
        "PYTHONNOUSERSITE": "1",
        "PYTHONSAFEPATH": "1",
        "PYTHONUTF8": "1",
    }


def _end(code: int) -> str:
    if code >= 0:
        return f"its process ended with {code}"
    try:
        return f"its process was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"its process was ended by signal {-code}"


def _last_line(said: bytes) -> str | None:
    lines: Sequence[str] = said.decode(errors="replace").strip().splitlines()
    return readable(lines[-1]) if lines else None
