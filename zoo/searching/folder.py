"""The folder of a search: what it searches for, what came of every candidate, and who won.

search.json       what is searched for: another command with other options or other data is refused
journal.log       who tries what (Optuna)
time.json         the time that was taken
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
from zoo.records import read_object, read_record
from zoo.searching.candidate import Limits, Outcome

_VERSION = 1

Record = TypeVar("Record")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is searched for; all of it must be the same for a search to go on.

    Args:
        data: What ``--data`` named.
        data_digest: Of labels, images and splits.
        format, precision: Of the exported file.
        limits: That it has to meet.
        device: SHA-256 of the benchmark of the device; empty without one.
        asked: Architectures that were named.
        architectures: All that are tried.
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
        key: Of the candidate.
        run: Name of the run.
        file: Of the export, relative to the run; empty where it was refused or could not be made.
        latency_ms, size_bytes: Of that file.
        trouble: Why there is no file.
    """

    key: str
    run: str
    file: str = ""
    latency_ms: float = 0.0
    size_bytes: int = 0
    trouble: str = ""


#: Field of a goal, and what it is called where two differ.
_NAMES = {
    "data_digest": "other images or splits",
    "format": "another --format",
    "precision": "another --precision",
    "limits": "other limits",
    "device": "another --device",
    "asked": "other architectures",
}


def same_goal(folder: Path, goal: Goal) -> Goal:
    """The goal that the folder records; a new folder records this one.

    Raises:
        UsageError: The folder is a search for something else.
        TrainingError: ``search.json`` is damaged, or cannot be written.
    """
    file = folder / "search.json"
    if not file.is_file():
        if folder.is_dir() and any(folder.iterdir()):
            raise UsageError(f"{folder} is in the way: it holds files that no search made.", "Choose another --name.")
        make_folder(folder)
        write_json(file, asdict(goal))
        return goal
    known = _read(Goal, file)
    if known.version != _VERSION:
        raise UsageError(f"{folder} has version {known.version} of a search; this zoo reads {_VERSION}.")
    for name, kind in _NAMES.items():
        before, now = getattr(known, name), getattr(goal, name)
        if before != now:
            if name == "data_digest":
                before, now = known.data, goal.data
            elif name == "device":
                before, now = before[:12] or "none", now[:12] or "none"
            raise UsageError(
                f"{folder} is a search with {kind}: {_shown(before)}. Received: {_shown(now)}.",
                "Give the options it began with to go on, or another --name to begin a new search.",
            )
    return known


def _shown(value: Any) -> str:
    return ", ".join(value) or "all" if isinstance(value, tuple) else f"{value}"


def read_outcomes(folder: Path) -> list[Outcome]:
    """Every candidate that was tried, by key. A damaged result counts as none: its candidate is tried again."""
    return [found for path in sorted((folder / "candidates").glob("*/result.json")) if (found := _outcome(path))]


def read_outcome(folder: Path, key: str) -> Outcome | None:
    return _outcome(candidate_folder(folder, key) / "result.json")


def _outcome(path: Path) -> Outcome | None:
    try:
        return read_record(Outcome, read_object(path.read_bytes()))
    except (OSError, ValueError, UsageError):
        return None


def candidate_folder(folder: Path, key: str) -> Path:
    return folder / "candidates" / key


def keep_outcome(folder: Path, outcome: Outcome) -> None:
    """Last of a candidate's files: with it, the candidate counts as tried."""
    place = candidate_folder(folder, outcome.candidate.key)
    make_folder(place)
    write_json(place / "result.json", outcome.as_dict())


def read_winner(folder: Path) -> Winner | None:
    """The winner so far; ``None`` where there is none.

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
        raise TrainingError(f"Could not read {file}: {error}.", "Choose another --name to search anew.") from error
