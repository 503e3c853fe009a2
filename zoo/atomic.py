"""Writes files atomically: each is written to a temporary file, flushed to disk, and then renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import TrainingError

#: Differs between machines and containers, which count their processes separately and may share a disk.
_RANDOM = f"{secrets.randbelow(10**9):09}"


def process_name() -> str:
    """Digits that name this process, for temporary files and folders. No process on any machine has the same."""
    return f"{os.getpid()}{_RANDOM}"


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yields a temporary path next to ``path``, and renames it to ``path`` if the block ends without an error.

    The temporary file keeps the suffix, for writers that depend on it. Two processes never use the same temporary file.
    If ``path`` is a link, its target is replaced.

    Raises:
        TrainingError: The disk is full, the folder does not exist or cannot be written, or ``path`` is a device or a
            pipe. ``path`` is not changed.
    """
    path = writable(path)
    aside = path.with_name(f".{path.stem[:60]}.{process_name()}{path.suffix}")
    try:
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(path)
    except BrokenPipeError:
        raise  # caused by other output of the block, not by this file
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        aside.unlink(missing_ok=True)


def writable(path: Path) -> Path:
    """Returns ``path``, or its target if it is a link. Called before long work, it detects early that the file cannot
    be written.

    Raises:
        TrainingError: The folder does not exist, or the path is a device or a pipe.
    """
    path = path.resolve() if path.is_symlink() else path
    if not path.parent.is_dir():
        raise TrainingError(
            f"Could not write {path}: the folder {path.parent} does not exist.", "Create it, or choose another."
        )
    if path.exists() and not path.is_file() and not path.is_dir():
        raise TrainingError(f"Could not write {path}: it is not a file.", "Give the path of a file.")
    return path


def write_bytes(path: Path, data: bytes) -> None:
    with whole_file(path) as aside:
        aside.write_bytes(data)


def write_text(path: Path, text: str) -> None:
    # surrogateescape: a file name that is not UTF-8 keeps its bytes.
    write_bytes(path, text.encode("utf-8", "surrogateescape"))


def read_text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def write_json(path: Path, value: Any) -> None:
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    buffer = io.StringIO()
    # Everything except numbers is quoted, because an unquoted carriage return in a name would end the line.
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(header)
    writer.writerows(rows)
    write_text(path, buffer.getvalue())


def read_csv(path: Path) -> list[dict[str, str]]:
    """Reads rows by column name. Quoted line breaks inside a field are kept."""
    # Not through io.StringIO, which needs four bytes for each character.
    with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.DictReader(file))


def make_folder(path: Path) -> None:
    """Creates a folder and its parents. An existing folder is kept."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> TrainingError:
    """The error for a file or folder that cannot be written."""
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return TrainingError(f"Could not write {path}: a file is in the way.", "Choose another folder.")
    return TrainingError(
        f"Could not write {path}: {error.strerror or error}.",
        "Free some space, or choose another folder (--runs for runs, ZOO_CACHE_DIR for the image cache).",
    )
