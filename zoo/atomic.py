"""Files that appear whole or not at all: written aside, flushed to disk, renamed."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from zoo.errors import TrainingError
from zoo.locks import locked


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
        raise _unwritable(path, error) from error
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


@contextmanager
def folder_aside(final: Path) -> Iterator[Path]:
    """Gives a new folder beside ``final`` to fill; whatever is not renamed to ``final`` is removed at the end.

    What killed processes left there is removed first. A folder that ``put_folder`` had moved away to make room comes
    back where nothing took its place.
    """
    make_folder(final.parent)
    _sweep(final)
    aside = final.with_name(f".{final.name}.{os.getpid()}")
    with locked(aside.with_name(f"{aside.name}.lock"), remove=True):
        make_folder(aside)
        try:
            yield aside
        finally:
            shutil.rmtree(aside, ignore_errors=True)


def put_folder(aside: Path, final: Path) -> None:
    """Renames a folder of ``folder_aside`` into its place, in one step where nothing is there and in two otherwise.

    Args:
        aside: The whole folder.
        final: The name that ``folder_aside`` was given, or this name with a suffix, such as ``.refused``.

    Raises:
        OSError: It cannot be renamed. What stood there stands there still.
    """
    name = aside.name[1:].rpartition(".")[0]
    # The folder that makes room is named after the one aside, so that a sweep finds both, and under one lock.
    old = aside.with_name(f"{aside.name}{final.name.removeprefix(name)}.old")
    try:
        if final.exists():
            final.rename(old)
        aside.rename(final)
    finally:
        # Also where Ctrl-C or SIGTERM came in between.
        if old.exists() and not final.exists():
            old.rename(final)
    shutil.rmtree(old, ignore_errors=True)


def _sweep(final: Path) -> None:
    ours = re.compile(rf"(\.{re.escape(final.name)}\.\d+)((?:\.[a-z]+)?\.old|\.zip|\.lock)?")
    for path in sorted(final.parent.iterdir()):
        found = ours.fullmatch(path.name)
        if not found:
            continue
        try:
            with locked(path.with_name(f"{found[1]}.lock"), _AtWorkError("at work"), remove=True):
                suffix = found[2] or ""
                room = final.with_name(f"{final.name}{suffix.removesuffix('.old')}")
                if suffix.endswith(".old") and not room.exists():
                    path.rename(room)
                elif path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif found[2] == ".zip":
                    path.unlink(missing_ok=True)
        except (_AtWorkError, OSError):
            continue


class _AtWorkError(TrainingError):
    """The process that made a folder is still running."""


def make_folder(path: Path) -> None:
    """Makes a folder and its parents; that it is there already is fine."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> TrainingError:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        return TrainingError(f"Could not write {path}: a file is in the way.", "Choose another folder.")
    return TrainingError(
        f"Could not write {path}: {error.strerror or error}.",
        "Free some space, or choose another folder (--runs for runs, ZOO_CACHE_DIR for the image cache).",
    )
