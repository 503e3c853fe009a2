"""Errors of an export: a file was refused, could not be written, or stores its weights as float32."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

from zoo.errors import ExportError, VerificationError, ZooError
from zoo.exporting.job import Exported, Target
from zoo.figures import percent
from zoo.parity import acceptance
from zoo.parity.stored import LEAST_IN_8_BITS

if TYPE_CHECKING:
    import keras


def refuse(made: Sequence[Exported], quick: bool = False) -> None:
    """Raises an error if not every file was written and kept.

    Args:
        made: The files.
        quick: Whether int8 files were quantised with the effort ``quick``.

    Raises:
        ZooError: A file could not be written. The error is an ``ExportError`` that lists all failures, or their common
            cause.
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
    lines += [hint for item in refused if (hint := _hint(item, made, quick))]
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


def _hint(item: Exported, made: Sequence[Exported], quick: bool) -> str | None:
    """Suggests how to get a file instead of a refused one, without options that failed already."""
    options = acceptance(item.verification) if item.verification else None
    if options is None:
        return None
    others = {other.target.precision: other for other in made if other.target.exporter == item.target.exporter}
    larger = [name for name in ("float16", "float32") if name in item.target.exporter.precisions]
    kept = [name for name in larger if name in others and others[name].kept]
    untried = [name for name in larger if name not in others]
    instead = ""
    if item.target.precision == "int8" and quick:
        instead = " Or use --int8-effort best, which takes longer and changes fewer predictions."
    elif item.target.precision == "int8" and kept:
        instead = f" The {kept[0]} file was kept."
    elif item.target.precision == "int8" and untried:
        instead = f" Or use --precision {untried[0]}, which computes in floating point."
    return f"{item.target}: to accept this file after reading its report, use {options}.{instead}"


def stored_error(problem: str, precision: str, model: keras.Model) -> ExportError:
    """The error for a file in which ``stored_problem`` found a problem.

    Args:
        problem: The problem that was found.
        precision: Precision of the file.
        model: The prepared model that was converted.
    """
    from zoo.exporting.fold import LINEAR

    sizes = {
        layer: sum(prod(kernel.shape) for kernel in layer.weights if len(kernel.shape) > 1) for layer in model.layers
    }
    others = {layer: size for layer, size in sizes.items() if not isinstance(layer, LINEAR)}
    share = sum(others.values()) / max(sum(sizes.values()), 1)
    if precision != "int8" or 1 - share >= LEAST_IN_8_BITS:
        return ExportError(
            problem, f"Export without --precision {precision}, and report this to the author of the exporter."
        )
    largest = max(others, key=lambda layer: others[layer])
    return ExportError(
        f"int8 stores the weights of convolutions and dense layers in 8 bits, and {percent(share)} of the weights of "
        f"this model belong to other layers. The largest is the {type(largest).__name__} layer '{largest.name}'.",
        "Export --precision float16, which stores the weights of every layer in 16 bits.",
    )
