"""The record under test, and a folder for the files of its checks."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self


class Workspace:
    """A record under test. Objects that its checks share are created when they are first needed.

    Args:
        record: What a plugin offers.
        size_px: Side of the pictures in slow checks, if the type of record has any. ``None``: it is chosen by the
            checks.
    """

    def __init__(self, record: Any, size_px: int | None = None) -> None:
        self.record = record
        self._size_px = size_px
        self._work = Path(tempfile.mkdtemp(prefix="zoo-check-"))
        self._remover = weakref.finalize(self, shutil.rmtree, self._work, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *about: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes the shared objects and the files."""
        kept = {"record", "_size_px", "_work", "_remover"}
        for name in set(vars(self)) - kept:
            del self.__dict__[name]
        self._remover()

    def is_of(self, record: Any, size_px: int | None) -> bool:
        return self.record is record and self._size_px == size_px and self._remover.alive

    def folder(self, name: str) -> Path:
        """A folder of this name, for files that last as long as the workspace."""
        path = self._work / name
        path.mkdir(exist_ok=True)
        return path

    @contextmanager
    def own_cache(self) -> Iterator[None]:
        """Keeps decoded images and features of checks out of the user's cache."""
        before = os.environ.get("ZOO_CACHE_DIR")
        os.environ["ZOO_CACHE_DIR"] = str(self.folder("cache"))
        try:
            yield
        finally:
            if before is None:
                del os.environ["ZOO_CACHE_DIR"]
            else:
                os.environ["ZOO_CACHE_DIR"] = before
