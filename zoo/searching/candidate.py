"""The candidates of a search and their results: records, and their files in the folder of the search."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, Literal

from zoo.errors import PluginError, TrainingError, UsageError, ZooError
from zoo.image_spec import ImageSpec
from zoo.interfaces import Architecture

#: Image sizes that are tried, in steps of a seventh of the architecture's own size. For 224 px, a step is 32 px.
STEPS = (-2, -1, 0, 1, 2)
_SEVENTHS, _MULTIPLE_PX = 7, 8


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A candidate model.

    Args:
        architecture: Name of the architecture.
        image: The preprocessing of files.
        step: Size of the images, as one of ``STEPS``.
        way: The training method, as named by the stage that proposes it.
    """

    architecture: str
    image: ImageSpec
    step: int = 0
    way: str = "head"

    @cached_property
    def key(self) -> str:
        """Its name in the folder of the search. Equal candidates have equal keys."""
        said = json.dumps([self.architecture, self.image.to_json(), self.way])
        return f"{self.architecture}-{hashlib.sha256(said.encode()).hexdigest()[:8]}"

    def __str__(self) -> str:
        return f"{self.architecture} at {self.image}"


def sized(architecture: Architecture, step: int) -> ImageSpec:
    """The image specification of an architecture, with sides changed by a number of steps to a multiple of 8 px."""
    image = architecture.image
    if not step:
        return image

    def side(own: int) -> int:
        return max(_MULTIPLE_PX, round(own * (_SEVENTHS + step) / _SEVENTHS / _MULTIPLE_PX) * _MULTIPLE_PX)

    return replace(image, height_px=side(image.height_px), width_px=side(image.width_px))


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a candidate's exported file.

    Args:
        latency_ms: Median latency of the model on one thread, for one image.
        size_bytes: Size of the file and its parts.
        source: ``here``: measured on this machine. ``device``: measured on the device by ``zoo bench``. ``estimated``:
            measured here and multiplied by the latency ratio of other files on the device.
        float_ms: Latency of the model in float32 on this machine, from which the duration of its training is estimated.
            ``None``: ``latency_ms``.
        measured: Number of times at which the latency on this machine was measured. ``latency_ms`` is the lowest.
    """

    latency_ms: float
    size_bytes: int
    source: Literal["here", "device", "estimated"] = "here"
    float_ms: float | None = None
    measured: int = 1

    @property
    def size_mb(self) -> float:
        return self.size_bytes / 1e6

    @property
    def float_here_ms(self) -> float:
        """Latency of the model in float32 on this machine, measured or estimated."""
        return self.latency_ms if self.float_ms is None else self.float_ms


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of the cost of an exported file. ``None`` means no limit."""

    max_latency_ms: float | None = None
    max_size_mb: float | None = None

    def excess(self, cost: Cost) -> float:
        """The largest ratio of a cost to its limit. 1 or less if all limits are met."""
        pairs = ((cost.latency_ms, self.max_latency_ms), (cost.size_mb, self.max_size_mb))
        return max((value / limit for value, limit in pairs if limit is not None), default=0.0)

    def exceeded(self, cost: Cost) -> str:
        """A description of every limit that is not met."""
        said = []
        if self.max_latency_ms is not None and cost.latency_ms > self.max_latency_ms:
            said.append(f"{cost.latency_ms:.2f} ms of at most {exact(self.max_latency_ms)} ms")
        if self.max_size_mb is not None and cost.size_mb > self.max_size_mb:
            said.append(f"{cost.size_mb:.2f} MB of at most {exact(self.max_size_mb)} MB")
        return " and ".join(said)

    def __str__(self) -> str:
        said = [f"{exact(self.max_latency_ms)} ms"] if self.max_latency_ms is not None else []
        said += [f"{exact(self.max_size_mb)} MB"] if self.max_size_mb is not None else []
        return " and ".join(said) or "none"


@dataclass(frozen=True, kw_only=True)
class Judged:
    """The result of a candidate in cross-validation on the training images.

    Args:
        accuracy, accuracy_interval: Accuracy, mean of all repeats, with the 95 % interval.
        brier_score: Mean squared error of the probabilities, summed over the classes. Candidates are ranked by it.
        n: Number of images.
        folds, repeats: Number of folds and repeats of the cross-validation.
        seconds: Duration.
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    brier_score: float
    n: int
    folds: int
    repeats: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A candidate that was tried.

    Args:
        candidate: The candidate.
        cost: Cost of its exported file.
        judged: Its result. ``None`` if its evaluation failed.
        error: Why it is left out: its evaluation failed, or, as the winner, its training, its exported file or a limit.
            Empty if it can win.
    """

    candidate: Candidate
    cost: Cost
    judged: Judged | None = None
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {"key": self.candidate.key, **asdict(self)}


def exact(value: float) -> str:
    """A number without rounding and exponent, so that an option that shows it is read as the same value.

    >>> exact(5.0), exact(1000 / 30), exact(1.5e6)
    ('5', '33.333333333333336', '1500000')
    """
    return f"{Decimal(repr(float(value))).normalize():f}"


def failure_of(error: Exception) -> str:
    """The reason why a candidate failed, for ``Outcome.error``.

    Raises:
        ZooError: The error does not concern this candidate alone: an option cannot be used, a package is missing, the
            disk is full, or a file cannot be read or written. An unreadable file of a plugin concerns the candidate.
    """
    # The message is compared, because TensorFlow and plugins report a full disk with errors of their own.
    told = f"{error} {error.__cause__}"
    full = any(os.strerror(code) in told for code in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))
    if isinstance(error, ZooError):
        on_file = isinstance(error.__cause__, OSError) and not isinstance(error, PluginError)
        if full or on_file or isinstance(error, UsageError):
            raise error
        return str(error)
    if full or isinstance(error, OSError):
        raise TrainingError(
            f"The search could not read or write a file: {error}.",
            "Check the free space and the permissions. The same command continues the search.",
        ) from error
    return f"{type(error).__name__}: {error}"


def ranked(outcomes: Iterable[Outcome]) -> list[tuple[Outcome, Judged]]:
    """The candidates that did not fail: the winner, then the others by Brier score. If equal, the faster comes first.

    The winner has the best Brier score of the candidates on the Pareto front of accuracy, latency and size.
    """
    judged = [(outcome, outcome.judged) for outcome in outcomes if outcome.judged is not None and not outcome.error]
    judged.sort(key=lambda pair: (pair[1].brier_score, pair[0].cost.latency_ms, pair[0].candidate.key))
    unbeaten = front(judged)
    first = next((pair for pair in judged if pair[0].candidate.key in unbeaten), None)
    return judged if first is None else [first, *(pair for pair in judged if pair is not first)]


def front(judged: Sequence[tuple[Outcome, Judged]]) -> frozenset[str]:
    """Keys of the candidates on the Pareto front of accuracy, latency and size."""
    figures = {
        outcome.candidate.key: (-found.accuracy, outcome.cost.latency_ms, outcome.cost.size_bytes)
        for outcome, found in judged
    }
    return frozenset(
        key
        for key, mine in figures.items()
        if not any(
            theirs != mine and all(a <= b for a, b in zip(theirs, mine, strict=True)) for theirs in figures.values()
        )
    )
