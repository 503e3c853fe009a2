"""The folder of a search: its goal, the result of every candidate, and the winner.

search.json       the goal of the search; a command with other options or data is refused
journal.log       claimed candidates (Optuna)
time.json         the time used so far
costs/            latency and size of exported files, on this machine
candidates/KEY/   result.json, predictions.csv and report.html of every candidate
winner.json       the winner and the name of its run
search.html       the page
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from zoo.atomic import make_folder, write_json
from zoo.errors import TrainingError, UsageError
from zoo.locks import locked
from zoo.records import read_object, read_record
from zoo.searching.candidate import Limits, Outcome

_VERSION = 1

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """The goal of a search. A search can only be continued with the same goal.

    Args:
        data: The argument of ``--data``.
        data_digest: Digest of labels, images and splits.
        format, precision: Format and precision of the exported file.
        limits: The limits of the device.
        device: SHA-256 of the benchmark of the device. Empty without one.
        asked: Architectures that were requested explicitly.
        architectures: All architectures to try.
    """

    data: str
    data_digest: str
    format: str
    precision: str
    limits: Limits
    device: str = ""
    asked: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    version: int = _VERSION


@dataclass(frozen=True, kw_only=True)
class Winner:
    """The best candidate, and its run.

    Args:
        key: Key of the candidate.
        run: Name of the run.
        recipe: Name of the recipe with which its layers are fine-tuned. Empty if they are not.
        untuned: Why its layers are not fine-tuned although there was time: it was tried and failed. Otherwise empty.
        file: Exported file, relative to the run. Empty before the export.
        latency_ms, size_bytes: Latency and size of that file.
    """

    key: str
    run: str
    recipe: str = ""
    untuned: str = ""
    file: str = ""
    latency_ms: float = 0.0
    size_bytes: int = 0


#: Fields of a goal, with their names in messages on differences.
_NAMES = {
    "data_digest": "other images or splits",
    "format": "another --format",
    "precision": "another --precision",
    "limits": "other limits",
    "device": "another --device",
    "asked": "other architectures",
}


def same_goal(folder: Path, goal: Goal) -> Goal:
    """The goal that is recorded in the folder. In a new folder, ``goal`` is recorded.

    Raises:
        UsageError: The folder belongs to a search with another goal.
        TrainingError: ``search.json`` is damaged, or cannot be written.
    """
    make_folder(folder.parent)
    # Beside the folder, because another process that begins the same search must find it empty or begun.
    with locked(folder.with_name(f".{folder.name}.lock"), remove=True):
        return _same_goal(folder, goal)


def _same_goal(folder: Path, goal: Goal) -> Goal:
    file = folder / "search.json"
    if not file.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(
                f"{folder} already exists and contains files that are not from a search.", "Choose another --name."
            )
        make_folder(folder)
        write_json(file, asdict(goal))
        return goal
    known = _read(Goal, file)
    if known.version != _VERSION:
        raise UsageError(f"{folder} has search version {known.version}, but this zoo reads version {_VERSION}.")
    for name, kind in _NAMES.items():
        before, now = getattr(known, name), getattr(goal, name)
        if before != now:
            if name == "data_digest":
                before, now = known.data, goal.data
            elif name == "device":
                before, now = before[:12] or "none", now[:12] or "none"
            raise UsageError(
                f"{folder} is a search with {kind}: {_shown(before)}. Received: {_shown(now)}.",
                "To continue it, give its original options. To start a new search, give another --name.",
            )
    return known


def _shown(value: Any) -> str:
    return ", ".join(value) or "all" if isinstance(value, tuple) else f"{value}"


def read_outcomes(folder: Path) -> list[Outcome]:
    """The outcomes of all candidates, by key. Damaged results are ignored. A candidate whose folder was removed is
    tried again."""
    return [found for path in sorted((folder / "candidates").glob("*/result.json")) if (found := _outcome(path))]


def read_outcome(folder: Path, key: str) -> Outcome | None:
    return _outcome(candidate_folder(folder, key) / "result.json")


def _outcome(path: Path) -> Outcome | None:
    try:
        return read_record(Outcome, read_object(path.read_bytes()))
    except (OSError, ValueError, UsageError):
        return None


def has_candidate(folder: Path, key: str) -> bool:
    """Whether the folder of a candidate exists. On a network disk, it is visible before the outcome in it."""
    return candidate_folder(folder, key).is_dir()


def candidate_folder(folder: Path, key: str) -> Path:
    return folder / "candidates" / key


def keep_outcome(folder: Path, outcome: Outcome) -> None:
    """Writes the outcome of a candidate.

    It is written after all other files of the candidate, because a candidate with an outcome is not tried again.
    """
    place = candidate_folder(folder, outcome.candidate.key)
    make_folder(place)
    write_json(place / "result.json", outcome.as_dict())


def read_winner(folder: Path) -> Winner | None:
    """The winner so far. ``None`` if there is none.

    Raises:
        TrainingError: ``winner.json`` is damaged.
    """
    file = folder / "winner.json"
    return _read(Winner, file) if file.is_file() else None


def keep_winner(folder: Path, winner: Winner) -> None:
    write_json(folder / "winner.json", asdict(winner))


def _read(kind: type[Record], file: Path) -> Record:
    try:
        values: Mapping[str, Any] = read_object(file.read_bytes())
        return read_record(kind, values)
    except (OSError, ValueError) as error:
        raise TrainingError(
            f"Could not read {file}: {error}.", "Choose another --name to start a new search."
        ) from error
