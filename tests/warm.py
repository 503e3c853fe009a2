"""The real command in a process of its own, forked from one that has already imported the heavy packages.

Half of the time of a short command is the import of TensorFlow. A fork of a process that has imported it, and has never
run an operation, gives the same process without the wait: own memory, own descriptors, own signals, own exit code. Zoo
is imported too, and no function of it was called: plugins are discovered anew. Where the import itself is the point
(what is loaded, what is printed meanwhile, another backend), the command is started cold.
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

#: Commands that load TensorFlow, or another of the packages below, on most arguments.
HEAVY = ("train", "search", "evaluate", "export", "verify", "compare", "predict", "explain", "bench", "data", "plugin")

_ZOO = Path(__file__).resolve().parents[1] / "zoo"

#: Modules that are not for import, or that need packages only some commands need.
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

#: Set where charts are to be drawn: that takes a third of a small training, and tests/report looks at the pictures.
DRAWN = "ZOO_TEST_DRAWN"

#: A PNG of one pixel.
BLANK = (
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\1\0\0\0\1\x08\0\0\0\0:~\x9bU"
    b"\0\0\0\nIDATx\x9cc`\0\0\0\2\0\1H\xaf\xa4q\0\0\0\0IEND\xaeB`\x82"
)

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(_PRELOADED)


def can_run(arguments: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a warm process gives the same as a cold one: a heavy command on the backend that is preloaded."""
    same = environment.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return bool(arguments) and arguments[0] in HEAVY and "--help" not in arguments and same


def run(
    arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], timeout_s: float = 600
) -> tuple[int, bytes, bytes]:
    """Exit code and output of ``zoo ARGUMENTS``; the code is negative for a signal, as subprocess has it.

    Raises:
        TimeoutError: The command took longer than ``timeout_s``; it is killed.
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
    """``zoo ARGUMENTS``, running, with its output in two files; a descriptor, such as a terminal's, may take errors."""
    shown = DupFd(err) if isinstance(err, int) else err
    process = _context.Process(target=_main, args=(list(arguments), str(cwd), dict(environment), out, shown))
    level = os.environ.get("TF_CPP_MIN_LOG_LEVEL")
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"  # the server's, from its start on
    try:
        process.start()
    finally:
        if level is None:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
        else:
            os.environ["TF_CPP_MIN_LOG_LEVEL"] = level
    return process


def spare_collections() -> None:
    """Keeps garbage collection from walking all of TensorFlow again and again: a third of the time of an export."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def draw_little(patch: Callable[[str, object], None]) -> None:
    """Leaves out what takes a third of a small training. Charts are made as ever, and get their names, but a blank
    picture stands in for the arranging and the drawing of each. The map of a report has few photos."""
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
    """``auto`` precision finds both equally fast, so float32 is taken: to measure takes half of a small training."""
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
    # A shell starts background jobs with Ctrl-C ignored, and the tests may run in one.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    spare_collections()
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    # As a cold start has it: PYTHONPATH first, and the working folder before that.
    sys.path[:0] = ["", *filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))]
    sys.argv = ["zoo", *arguments]
    from zoo.cli.main import main

    take_float32(_set)
    if DRAWN not in environment:
        draw_little(_set)
    try:
        main()
    finally:
        # A child of multiprocessing leaves without them.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
