"""A dataset under test. It is written once for all checks that only read it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from zoo.errors import ZooError
from zoo.interfaces import Dataset
from zoo.testing.result import CheckError, one_line
from zoo.testing.workspace import Workspace


class DatasetSubject(Workspace):
    """A dataset under test, and what its checks share."""

    @property
    def dataset(self) -> Dataset:
        record: Dataset = self.record
        return record

    @cached_property
    def written(self) -> Path:
        """The folder that ``write`` filled. Checks must not change it."""
        return self.write("written")

    def write(self, name: str) -> Path:
        """Calls ``write`` of the dataset with a new folder of this name.

        Raises:
            CheckError: Writing fails.
        """
        folder = self.folder(name)
        try:
            self.dataset.write(folder)
        except (ZooError, Exception) as error:
            raise CheckError(
                f"{self.dataset.name} is written into an empty folder",
                error.message if isinstance(error, ZooError) else one_line(error),
                "Call write(folder) manually and look at the traceback.",
            ) from error
        return folder
