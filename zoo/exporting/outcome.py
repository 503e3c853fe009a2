"""The error of an export in which a file was refused or could not be written."""

from __future__ import annotations

from collections.abc import Sequence

from zoo.errors import ExportError, VerificationError, ZooError
from zoo.exporting.job import Exported, Target
from zoo.parity import acceptance


def refuse(made: Sequence[Exported]) -> None:
    """Raises an error if not every file was written and kept.

    Raises:
        ZooError: A file could not be written: an ``ExportError`` that lists all, or their common cause.
        VerificationError: A file was refused.
    """
    refused = [item for item in made if item.refused]
    failed = [(item.target, item.error) for item in made if item.error is not None]
    if failed:
        raise _failure(failed, refused, len(made))
    if not refused:
        return
    lines = [
        f"{item.target}: {reason}" for item in refused if item.verification for reason in item.verification.failures
    ]
    lines += [hint for item in refused if (hint := _hint(item, made))]
    raise VerificationError(
        f"{len(refused)} of {len(made)} file(s) do not agree with Keras and were not kept.",
        "\n  ".join([*lines, *(f"Report: {item.path}" for item in refused)]),
    )


def _failure(failed: Sequence[tuple[Target, ZooError]], refused: Sequence[Exported], count: int) -> ZooError:
    """One error for all failures, which lists each cause with the affected files."""
    targets: dict[str, list[str]] = {}
    for target, error in failed:
        targets.setdefault(str(error), []).append(str(target))
    if count == len(failed) and len(targets) == 1:
        return failed[0][1]
    causes = [f"{', '.join(names)}: {error}" for error, names in targets.items()]
    reports = [f"{item.target} does not agree with Keras and was not kept. Report: {item.path}" for item in refused]
    return ExportError(f"{len(failed)} of {count} file(s) could not be written.", "\n  ".join([*causes, *reports]))


def _hint(item: Exported, made: Sequence[Exported]) -> str | None:
    """Suggests how to get a file instead of a refused one, without options that failed already."""
    options = acceptance(item.verification) if item.verification else None
    if options is None:
        return None
    others = {other.target.precision: other for other in made if other.target.exporter == item.target.exporter}
    larger = [name for name in ("float16", "float32") if name in item.target.exporter.precisions]
    kept = [name for name in larger if name in others and others[name].kept]
    untried = [name for name in larger if name not in others]
    instead = ""
    if item.target.precision == "int8" and kept:
        instead = f" The {kept[0]} file was kept."
    elif item.target.precision == "int8" and untried:
        instead = f" Or use --precision {untried[0]}, which computes in floating point."
    return f"{item.target}: to accept this file after reading its report, use {options}.{instead}"
