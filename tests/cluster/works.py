"""Work for the machines of a cluster."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from tests.searching.shares import make_engine
from zoo.errors import DataError, UsageError
from zoo.reporter import Reporter
from zoo.workflows.search_cluster import trials_of

if TYPE_CHECKING:
    import keras


def upper_case(threads: int) -> Callable[[bytes], bytes]:
    """Maps text to upper case. Some words cause a failure."""

    def work(item: bytes) -> bytes:
        if item == b"die":
            os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
        if item == b"refuse":
            raise UsageError("Refused.", "Try again.")
        if item == b"fail":
            raise RuntimeError("a fault in the code")
        return item.upper()

    return work


def trials(folder: Path, waits_at: str, threads: int) -> Callable[[bytes], bytes]:
    """Tries the candidates of a search in a folder. The first worker on ``waits_at`` waits until it is killed."""
    return trials_of(make_engine(folder, waits_at))


def open_small(seed: int) -> keras.Model:
    """A small model of photos of 16 x 16 px."""
    import keras

    keras.utils.set_random_seed(seed)
    inputs = keras.Input((16, 16, 3))
    hidden = keras.layers.Conv2D(8, 3, activation="relu")(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(hidden)))


def report_place(place: str | None, reporter: Reporter) -> tuple[str | None, str, str]:
    """The place of a process, its folder and its backend. Host 9 raises an error, and host 8 waits."""
    reporter.stage(f"this is {place}")
    count = reporter.counter("counting")
    for done in (1, 2, 3):
        count(done, 3)
    number = (place or "").partition("/")[0]
    if number == "9":
        raise DataError("The disk is empty.", "Fill it.")
    if number == "8":
        time.sleep(60)
    print("not a result")
    return place, str(Path.cwd()), os.environ["KERAS_BACKEND"]
