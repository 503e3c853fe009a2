"""SQLite files of the cache. Processes share them; they are checked when opened, and can be emptied while in use."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path


def open_database(path: Path) -> sqlite3.Connection:
    """Opens a connection in WAL mode. The file is created if it does not exist.

    Raises:
        sqlite3.OperationalError: The file cannot be opened or written.
        sqlite3.DatabaseError: The file is damaged.
    """
    connection = sqlite3.connect(path, timeout=60)
    try:
        for attempt in range(100):
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                break
            except sqlite3.OperationalError:  # changing the mode fails if another process does the same at that moment
                if attempt == 99:
                    raise
                time.sleep(0.05)
        connection.execute("PRAGMA synchronous=NORMAL")
        # Otherwise a damaged page would only be detected when one of its rows is read.
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(found)
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def empty_database(path: Path) -> None:
    """Deletes every row of a database, if it exists. Other processes can keep it open.

    Raises:
        sqlite3.OperationalError: It cannot be opened or written.
    """
    if not path.is_file():
        return
    try:
        with contextlib.closing(open_database(path)) as database:
            tables = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            with database:
                for (table,) in tables:
                    database.execute(f'DELETE FROM "{table}"')
            database.execute("VACUUM")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError:  # it is damaged, so no process uses it
        remove_database(path)


def remove_database(path: Path) -> None:
    """Removes a database and its auxiliary files."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink(missing_ok=True)
