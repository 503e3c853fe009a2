"""The finished parts of a file of predictions that is not finished yet.

They are in the folder ``<file>.unfinished`` next to the file. A command with the same goal continues them:

photos        the photos, one line of JSON each, listed once
goal.json     what is predicted, written when the photos are listed
NUMBER.jsonl  the rows of a finished part: photos NUMBER * size to (NUMBER + 1) * size
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from zoo.atomic import make_folder, whole_file, write_json, write_text
from zoo.errors import DataError, UsageError
from zoo.locks import locked
from zoo.predicting.photos import Photo
from zoo.records import read_object, read_record

_VERSION = 1

#: Minimum and maximum number of photos in a part, and the number of parts between these limits. A part is so small that
#: a killed command loses little, and so large that writing it costs little.
_FEWEST, _MOST, _PARTS = 16, 512, 64


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What is predicted. Only a command with the same goal continues an unfinished file.

    Args:
        model: SHA-256 of the model.
        labels: Class names in the order of the outputs.
        photos: The arguments that name the photos.
        lists: SHA-256 of the lists among them.
        folder: The working folder, which relative paths refer to.
        shard: The share of the photos.
        top: Number of classes in a row.
        min_confidence: The threshold as it was given.
        preprocessing: Preprocessing of a file that was not exported by zoo.
        version: Version of these files.
    """

    model: str
    labels: tuple[str, ...]
    photos: tuple[str, ...]
    lists: str
    folder: str
    shard: str
    top: int
    min_confidence: str
    preprocessing: str
    version: int = _VERSION


#: Fields of a goal in messages.
_NAMES = {
    "model": "another model",
    "labels": "other class names",
    "photos": "other photos",
    "lists": "another content of the lists of photos",
    "folder": "another working folder",
    "shard": "another --shard",
    "top": "another --top",
    "min_confidence": "another --min-confidence",
    "preprocessing": "another --spec or --pixels",
    "version": "another version of zoo",
}


@dataclass(frozen=True)
class Part:
    """Photos that are predicted together."""

    number: int
    photos: tuple[Photo, ...]


class Unfinished:
    """The folder of an unfinished file.

    Args:
        file: Path of the finished file.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self.path = file.with_name(f"{file.name}.unfinished")
        self.count = 0
        self._listing = self.path / "photos"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Creates the folder and holds its lock. Without any finished part, the folder is removed at the end.

        Raises:
            DataError: Another command holds the lock.
        """
        make_folder(self.path)
        busy = DataError(f"Another command is writing {self.file}.", "Wait for it, or choose another file.")
        with locked(self.path / "lock", busy):
            try:
                self.count = self._recorded()
                yield
            finally:
                if next(self._finished(), None) is None:
                    self.remove()

    def remove(self) -> None:
        """Removes the folder. The lock, which is in it, must be held."""
        shutil.rmtree(self.path, ignore_errors=True)

    def record(self, photos: Iterable[Photo]) -> None:
        """Records the photos, unless an earlier command has recorded them."""
        if self.count:
            return
        count = 0
        with whole_file(self._listing) as aside, aside.open("w", encoding="ascii", newline="\n") as file:
            for photo in photos:
                file.write(json.dumps(photo.as_json()) + "\n")
                count += 1
        self.count = count

    def aim(self, goal: Goal) -> None:
        """Records the goal, or compares it with the recorded one.

        Raises:
            UsageError: The recorded goal differs.
        """
        file = self.path / "goal.json"
        if not file.is_file():
            write_json(file, {**asdict(goal), "count": self.count})
            return
        values = read_object(file.read_bytes())
        values.pop("count")
        known = read_record(Goal, values)
        for name, said in _NAMES.items():
            if getattr(known, name) != getattr(goal, name):
                raise UsageError(
                    f"{self.path} holds unfinished predictions with {said}.",
                    f"To continue them, give the original arguments. To start again: rm -r {self.path}",
                )

    @property
    def size(self) -> int:
        """Number of photos in a part."""
        return min(_MOST, max(_FEWEST, -(-self.count // _PARTS)))

    @property
    def done(self) -> int:
        """Number of photos in finished parts."""
        return sum(min(self.size, self.count - number * self.size) for number in self._finished())

    def parts(self) -> Iterator[Part]:
        """The parts that are not finished, in order."""
        finished = frozenset(self._finished())
        with self._listing.open(encoding="ascii") as file:
            for number in range(-(-self.count // self.size)):
                lines = islice(file, self.size)
                if number in finished:
                    for _ in lines:
                        pass
                else:
                    yield Part(number, tuple(Photo(*json.loads(line)) for line in lines))

    def keep(self, number: int, lines: Sequence[str]) -> None:
        """Writes the rows of a part. A part appears whole or not at all."""
        write_text(self._rows_of(number), "".join(f"{line}\n" for line in lines))

    def lines(self) -> Iterator[str]:
        """The rows of all photos, in the order of the photos."""
        for number in range(-(-self.count // self.size)):
            with self._rows_of(number).open(encoding="ascii") as file:
                yield from (line.rstrip("\n") for line in file)

    def _rows_of(self, number: int) -> Path:
        return self.path / f"{number}.jsonl"

    def _finished(self) -> Iterator[int]:
        return (int(path.stem) for path in self.path.glob("*.jsonl") if path.stem.isdecimal())

    def _recorded(self) -> int:
        """Number of photos that an earlier command has recorded."""
        file = self.path / "goal.json"
        if not file.is_file():
            return 0
        try:
            return int(read_object(file.read_bytes())["count"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"Could not read {file}: {error}.", f"Remove {self.path} to start the predictions again."
            ) from error
