"""Memory and time of the smallest training step."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from zoo.testing.result import CheckError
from zoo.testing.subject import Subject
from zoo.training.model import compile_model

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Growth:
    """Maximum growth of the resident memory in bytes. 0 until the block has ended."""

    bytes: int = 0


@contextmanager
def peak_growth_bytes() -> Iterator[Growth]:
    """Measures by how much the peak memory in a block exceeds the memory that was in use before it.

    On systems other than Linux, the recorded peak cannot be reset. The result is then the growth beyond all earlier
    peaks of the process, which may be too small.
    """
    grown = Growth()
    before = _begin_peak()
    yield grown
    grown.bytes = max(0, _peak() - before)


def _begin_peak() -> int:
    with suppress(OSError):
        _CLEAR.write_text("5")  # proc(5): resets VmHWM to the resident memory
    return _peak()


def _peak() -> int:
    try:
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024


#: Limits for a training step with one image of the architecture's own size and the optimizer of its default recipe.
MOST_SECONDS, MOST_BYTES = 10.0, 4 * 2**30

_TIMED_STEPS = 2


def check_training_step(subject: Subject) -> str:
    architecture = subject.architecture
    spec = architecture.image
    with peak_growth_bytes() as grown:
        model = subject.build(spec.input_shape, 2)
        compile_model(model, replace(architecture.recipes["default"], precision="float32"), steps_per_epoch=100)
        pixels = np.random.default_rng(0).integers(0, 256, (1, *spec.input_shape)).astype(np.uint8)
        target = np.eye(2, dtype=np.float32)[:1]
        model.train_on_batch(pixels, target)  # compiles the step
        times = []
        for _ in range(_TIMED_STEPS):
            start = time.perf_counter()
            model.train_on_batch(pixels, target)
            times.append(time.perf_counter() - start)
    about = f"one image of {spec.width_px}x{spec.height_px} px"
    if min(times) > MOST_SECONDS:
        raise CheckError(
            f"a training step of {about} takes {MOST_SECONDS:g} s at most",
            f"{min(times):.1f} s",
            "Declare a smaller ImageSpec, or state in expected_failures which machine it needs.",
        )
    if grown.bytes > MOST_BYTES:
        raise CheckError(
            f"building and a training step of {about} take {MOST_BYTES / 2**30:g} GiB of memory at most",
            f"{grown.bytes / 2**30:.1f} GiB for {model.count_params():,} parameters",
            "A dense layer on a large feature map is the usual cause: pool first. Or use a smaller ImageSpec.",
        )
    return f"{about}: {min(times):.2f} s, {grown.bytes / 2**20:.0f} MiB, {model.count_params():,} parameters"
