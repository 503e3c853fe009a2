"""The search options: the format of the file, and the architectures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from zoo.errors import UsageError, unknown_name
from zoo.exporting.runner import runner_files
from zoo.interfaces import PRECISIONS, Architecture, Exporter
from zoo.registry import architectures, exporters


def find_exporter(format: str | None, precision: str) -> Exporter:
    """The exporter of a format, or the first exporter whose files can be timed.

    Raises:
        UsageError: The format or precision is not available, or its files cannot be timed.
    """
    if precision not in PRECISIONS:
        raise unknown_name("precision", precision, PRECISIONS)
    if format is None:
        for offer in exporters():
            record = offer.record
            if not record.variant_of and precision in record.precisions and runner_files(record):
                return record
        raise UsageError(f"No exporter is installed whose {precision} files can be timed.", "See `zoo list`.")
    record = exporters().get(format)
    if precision not in record.precisions:
        offered = ", ".join(record.precisions)
        raise UsageError(f"The format '{record.name}' does not support {precision}.", f"Supported: {offered}.")
    if not runner_files(record):
        raise UsageError(f"Files of the format '{record.name}' cannot be timed: it has no runner for devices.")
    return record


def find_architectures(asked: Sequence[str], data: str) -> tuple[str, ...]:
    """Names of the architectures to try: the requested ones, or all whose pretrained weights are on disk.

    Args:
        asked: Requested names. Empty for all.
        data: The argument of ``--data``, for the hint.

    Raises:
        UsageError: An architecture has no pretrained weights, or none with pretrained weights is installed.
    """
    known = architectures()
    for name in asked:
        if not _reusable(known.get(name)):
            raise UsageError(
                f"--arch {name}: the architecture has no pretrained weights, which a search requires.",
                f"Omit it. To train it: zoo train {name} --data {shlex.quote(data)}",
            )
    if asked:
        return tuple(sorted(set(asked)))
    offered = [offer.record for offer in known if _reusable(offer.record) and not known.contested(offer.record.name)]
    # Weights without a published accuracy may have to be downloaded, which the user did not request.
    here = [record.name for record in offered if record.weights[0].top1 is not None]
    if not here:
        named = ", ".join(record.name for record in offered)
        raise UsageError(
            "A search requires an architecture whose pretrained weights are on disk, and none is installed.",
            f"With --arch, give one whose weights may have to be downloaded: {named}."
            if named
            else "Install a plugin that has some, such as zoo-efficientnet-lite.",
        )
    return tuple(here)


def _reusable(record: Architecture) -> bool:
    return bool(record.weights) and record.backbone is not None
