"""A dataset: its files can be used for training, and are always the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from zoo.errors import ZooError
from zoo.image_spec import ImageSpec
from zoo.registry import datasets
from zoo.testing.checks.record import summary_offences
from zoo.testing.dataset import DatasetSubject
from zoo.testing.result import CheckError

_SPEC = ImageSpec(height_px=32, width_px=32)


def check_record(subject: DatasetSubject) -> str:
    dataset = subject.dataset
    for expected, seen, mend in summary_offences(dataset.summary):
        raise CheckError(expected, seen, mend)
    if dataset.image is not None and not isinstance(dataset.image, ImageSpec):
        raise CheckError("image is a zoo.ImageSpec or None", f"{dataset.image!r:.80}", "Write ImageSpec(...).")
    if dataset.name in datasets():
        try:
            datasets().offer(dataset.name)
        except ZooError as error:
            raise CheckError("only one distribution provides the name", error.message, error.hint or "") from error
    return f"image {dataset.image or 'of the architecture'}; flip {dataset.flip}"


def check_usable(subject: DatasetSubject) -> str:
    from zoo.data import load_data

    folder = subject.written
    try:
        with subject.own_cache():
            data = load_data(str(folder), _SPEC)
    except ZooError as error:
        raise CheckError(
            "it writes a folder that `zoo train --data` accepts", error.message, error.hint or ""
        ) from error
    if data.skipped:
        raise CheckError(
            "every file is a picture that can be read",
            f"{len(data.skipped)} cannot: {data.skipped[0]}",
            "Remove files that are not images, or repair them.",
        )
    return f"{len(data.names)} pictures of {len(data.labels)} classes"


def check_same_files(subject: DatasetSubject) -> str:
    first, again = _digests(subject.written), _digests(subject.write("again"))
    changed = sorted(name for name in first.keys() | again.keys() if first.get(name) != again.get(name))
    if changed:
        raise CheckError(
            "write gives the same files each time, byte for byte",
            f"{len(changed)} of {len(first)} differ, such as {changed[0]}",
            "Fix the seed and the versions of what it draws or downloads: splits and digests follow from the bytes.",
        )
    return f"{len(first)} files"


def _digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
