"""Files that appear whole or not at all: written aside, flushed to disk, renamed."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import TrainingError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Gives a path beside ``path`` to write to, and renames it to ``path`` when the block ends without an error.

    The temporary keeps the suffix, for writers that go by it. Two processes never share one. Of a link, the file that
    it leads to is replaced.

    Raises:
        TrainingError: The disk is full, the folder is not there or cannot be written, or ``path`` is a device or a
            pipe. It is as it was before.
    """
    path = writable(path)
    aside = path.with_name(f".{path.stem[:60]}.{os.getpid()}{path.suffix}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BrokenPipeError:
        raise  # of what the block printed: no matter of this file
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def writable(path: Path) -> Path:
    """The file that ``path`` leads to; asked before long work, it tells early what would be told at its end.

    Raises:
        TrainingError: Its folder is not there, or it is a device or a pipe.
    """
    path = path.resolve() if path.is_symlink() else path
    if not path.parent.is_dir():
        raise TrainingError(f"Could not write {path}: there is no folder {path.parent}.", "Make it, or name another.")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise TrainingError(f"Could not write {path}: it is no file.", "Give the name of a file.")
    return path


def write_bytes(path: Path, data: bytes) -> None:
    with whole_file(path) as aside:
        aside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    # surrogateescape: a file name that is not UTF-8 comes back as the bytes it was.
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    buffer = io.StringIO()
    # Everything but numbers is quoted: a lone carriage return in a name is a line end otherwise.
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Rows by column name. Quoted line ends inside a field survive."""
    return list(csv.DictReader(io.StringIO(read_text(path), newline="")))


def make_folder(path: Path) -> None:
    """Makes a folder and its parents; that it is there already is fine."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> TrainingError:
    """What to say of a file or folder that cannot be written."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return TrainingError(f"Could not write {path}: a file is in the way.", "Choose another folder.")
    return TrainingError(
        f"Could not write {path}: {error.strerror or error}.",
        "Free some space, or choose another folder (--runs for runs, ZOO_CACHE_DIR for the image cache).",
    )
