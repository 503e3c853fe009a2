"""Named datasets. Each is written to the cache once and then used like any other folder."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from zoo.atomic import process_name
from zoo.data.cache import cache_folder
from zoo.errors import DataError, UsageError
from zoo.interfaces import Dataset
from zoo.registry import Offer, datasets


def find_source(source: str) -> tuple[str, Path]:
    """Returns the name to record for ``--data``, and its folder or file.

    The name of a dataset has precedence over a folder of that name. ``./name`` is always the folder.

    Raises:
        UsageError: There is no dataset of that name and no such path.
    """
    if os.sep not in source and source in datasets():
        return source, _written(datasets().offer(source))
    path = Path(source).expanduser().absolute()
    if not path.exists():
        names = [offer.record.name for offer in datasets()]
        raise UsageError(
            f"No data at '{source}'.",
            f"Give a folder, a CSV file, or the name of a dataset: {', '.join(names) or 'none'}.",
        )
    return str(path), path


def named_dataset(source: str) -> Dataset | None:
    """The record of the dataset, if ``--data`` is the name of one."""
    return datasets().get(source) if os.sep not in source and source in datasets() else None


def _written(offer: Offer[Dataset]) -> Path:
    version = re.sub(r"[^A-Za-z0-9.+-]", "_", f"{offer.distribution}-{offer.version}")
    folder = cache_folder() / "datasets" / f"{offer.record.name}-{version}"
    if folder.is_dir():
        return folder
    aside = folder.with_name(f".{folder.name}.{process_name()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        offer.record.write(aside)
        aside.rename(folder)
    except OSError as error:
        if not folder.is_dir():  # otherwise another process was faster, and its copy is equal
            raise DataError(
                f"Could not write the dataset '{offer.record.name}' to {folder}: {error.strerror}.",
                "Free some space, or set ZOO_CACHE_DIR to another folder.",
            ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder
