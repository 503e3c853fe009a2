"""Detects side effects of plugins. Printed text is captured, and changes of global state are reverted."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from zoo.quiet import stderr_descriptors
from zoo.records import read_object

#: Maximum CPU time for loading a plugin, in seconds. All plugins are loaded before every command; those that belong to
#: zoo take a hundredth of this. A limit on the elapsed time would report every plugin on a busy machine.
SLOW_S = 0.8

#: Packages that take seconds to import, and should be imported by the functions that need them.
_FRAMEWORKS = ("keras", "tensorflow", "torch", "jax")

#: Default settings of Keras; ``keras.json`` may change them.
_KERAS_DEFAULTS = {"floatx": "float32", "epsilon": 1e-7, "image_data_format": "channels_last"}


@dataclass
class Watched:
    """The detected side effects, complete when the block ends.

    Args:
        remarks: Descriptions such as ``it printed 'hello'``. Empty if there are none.
    """

    remarks: list[str] = field(default_factory=list)


@contextmanager
def watched() -> Iterator[Watched]:
    """Watches a plugin while it is loaded. Its output to stdout and stderr is captured."""
    seen = Watched()
    environment, settings = _environment(), _keras_settings()
    modules = [name for name in _FRAMEWORKS if name in sys.modules]
    start = time.thread_time()
    with _unnamed_file() as kept:
        try:
            with _into(kept):
                yield seen
        finally:
            seconds = time.thread_time() - start
            if printed := _first_line(kept):
                seen.remarks.append(f"it printed {printed!r} while it was loaded")
            seen.remarks += _put_back(environment, settings)
            if seconds > SLOW_S:
                new = [name for name in _FRAMEWORKS if name in sys.modules and name not in modules]
                cause = f", {' and '.join(new)} imported" if new else ""
                seen.remarks.append(f"it took {seconds:.1f} s of CPU time to load{cause}")


@contextmanager
def _into(file: BinaryIO) -> Iterator[None]:
    # File descriptors are captured instead of sys.stdout, so that a logging handler that is created meanwhile keeps a
    # working stream, and the output of libraries and child processes is captured too.
    kept = {}
    _flush()
    for descriptor in {1, *stderr_descriptors()}:
        with suppress(OSError):  # closed, as in `zoo list >&-`
            kept[descriptor] = os.dup(descriptor)
            os.dup2(file.fileno(), descriptor)
    try:
        yield
    finally:
        _flush()
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
            os.close(copy)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):  # no stream, a closed stream, or a full disk
            stream.flush()


def _unnamed_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("zoo-plugin"), "w+b")
    import tempfile  # takes 10 ms

    return tempfile.TemporaryFile()


def _first_line(file: BinaryIO) -> str:
    file.seek(0)
    lines = file.read(4096).decode(errors="replace").split("\n")
    return next((line.strip()[:200] for line in lines if line.strip()), "")


def _environment() -> dict[str, str]:
    """Environment variables that affect Keras in this process."""
    return {name: value for name, value in os.environ.items() if name.startswith("KERAS_")}


def _keras_settings() -> dict[str, Any]:
    """Keras's global settings, or, if Keras is not loaded yet, the values that they will have."""
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is not None:
        return {
            "dtype_policy": config.dtype_policy(),
            "floatx": config.floatx(),
            "epsilon": config.epsilon(),
            "image_data_format": config.image_data_format(),
        }
    settings: dict[str, Any] = dict(_KERAS_DEFAULTS)
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    with suppress(OSError, ValueError, AttributeError):
        stored = read_object((home / "keras.json").read_bytes())
        settings |= {name: stored[name] for name in _KERAS_DEFAULTS if name in stored}
    return settings | {"dtype_policy": settings["floatx"]}


def _put_back(environment: dict[str, str], settings: dict[str, Any]) -> list[str]:
    remarks = []
    now = _environment()
    for name in sorted(environment.keys() | now.keys()):
        if environment.get(name) != now.get(name):
            remarks.append(f"it changed the environment variable {name} to {now.get(name)!r}; the change was reverted")
            if name in environment:
                os.environ[name] = environment[name]
            else:
                del os.environ[name]
    config = getattr(sys.modules.get("keras"), "config", None)
    if config is None:
        return remarks
    for name, value in _keras_settings().items():
        if _text(value) != _text(settings[name]):
            remarks.append(f"it changed Keras's {name} to {_text(value)}; the change was reverted")
            getattr(config, f"set_{name}")(settings[name])
    return remarks


def _text(value: Any) -> str:
    return str(getattr(value, "name", value))  # the name of a dtype policy
