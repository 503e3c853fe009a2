"""Runs the real command in a process that is forked from one in which the large packages are already imported.

The import of TensorFlow takes half of the time of a short command. A fork of a process that has imported it, but has
never run an operation, is the same process without the wait, with its own memory, descriptors, signals and exit code.
zoo is imported too, but none of its functions was called, so plugins are discovered again. If a test is about the
import itself (what is loaded, what is printed during it, another backend), the command is started in a new process.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import multiprocessing
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

#: Commands that load TensorFlow, or another of the packages below, for most arguments.
HEAVY = ("train", "search", "evaluate", "export", "verify", "compare", "predict", "explain", "bench", "data", "plugin")

_ZOO = Path(__file__).resolve().parents[1] / "zoo"

#: Modules that are not meant to be imported, or that need packages which only some commands use.
_LEFT_OUT = ("__main__", "parametrize")

_PRELOADED = [
    *("tensorflow", "keras", "cv2", "scipy.stats", "matplotlib.pyplot"),
    *("sklearn.linear_model", "sklearn.manifold", "sklearn.decomposition", "sklearn.cluster"),
    *("onnx", "onnxruntime", "ai_edge_litert.interpreter", "urllib3"),
    *(
        ".".join(path.relative_to(_ZOO.parent).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(_ZOO.rglob("*.py"))
        if path.stem not in _LEFT_OUT
    ),
    "tests.templates_compiled",
]

#: If set, charts are drawn, as in tests/report. Drawing takes a third of the time of a small training.
DRAWN = "ZOO_TEST_DRAWN"

#: A PNG of one pixel.
BLANK = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU"
    b"\0\0\0\nIDATx\x9cc`\0\0\0\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOADED)


def can_run(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a fork gives the same result as a new process: for a command with Keras on the preloaded backend."""
    same = environment.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return bool(arguments) and arguments[0] in HEAVY and "--help" not in arguments and same


def run(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: float = 600
) -> tuple[int, bytes, bytes]:
    """Exit code and output of ``zoo ARGUMENTS``. The code is negative for a signal, as in subprocess.

    Raises:
        TimeoutError: The command took longer than ``timeout_s`` and was killed.
    """
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = start(arguments, cwd, environment, out, err)
        process.join(timeout_s)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"zoo {' '.join(arguments)} took more than {timeout_s} s: {err.read_text()}")
        return process.exitcode, out.read_bytes(), err.read_bytes()


def start(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], out: Path, err: Path | int
) -> BaseProcess:
    """Starts ``zoo ARGUMENTS`` with its output in two files. A descriptor, such as a terminal, may replace stderr."""
    shown = DupFd(err) if isinstance(err, int) else err
    process = _context.Process(target=_main, args=(list(arguments), str(cwd), dict(environment), out, shown))
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # the fork server must have it from its start
    try:
        process.start()
    finally:
        if level is None:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
    return process


def spare_collections() -> None:
    """Keeps garbage collection from scanning TensorFlow repeatedly, which takes a third of the time of an export."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def draw_little(patch: Callable[[str, object], None]) -> None:
    """Omits the drawing of charts, which takes a third of a small training. Charts are created as usual and get their
    names, but a blank picture replaces the layout and drawing of each. The map of a report has few photos."""
    patch("zoo.report.style._save", _save_blank)
    patch("zoo.report.photo_map.MOST_POINTS", 16)


def _save_blank(figure: object, target: Any, theme: object) -> None:
    from zoo.report.style import BothThemes

    if isinstance(target, BothThemes):
        target.light.write(BLANK)
        target.dark.write(BLANK)
    elif isinstance(target, Path):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(BLANK)
    else:
        target.write(BLANK)


def take_float32(patch: Callable[[str, object], None]) -> None:
    """Makes ``auto`` precision choose float32 without measuring, which takes half of the time of a small training."""
    patch("zoo.training.precision._step_seconds", lambda *about: 1.0)


def _set(name: str, value: object) -> None:
    module, _, attribute = name.rpartition(".")
    setattr(importlib.import_module(module), attribute, value)


def _main(arguments: list[str], cwd: str, environment: dict[str, str], out: Path, err: Any) -> None:
    for target, descriptor in ((out, 1), (err, 2)):
        is_path = isinstance(target, Path)
        file = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600) if is_path else target.detach()
        os.dup2(file, descriptor)
        os.close(file)
    # A shell starts background jobs with Ctrl-C ignored, and the tests may run in such a job.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    spare_collections()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    # As in a new process: the working folder first, then PYTHONPATH.
    sys.path[:0] = ["", *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["zoo", *arguments]
    from zoo.cli.main import main

    take_float32(_set)
    if DRAWN not in environment:
        draw_little(_set)
    try:
        main()
    finally:
        # A child process of multiprocessing exits without calling these.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
