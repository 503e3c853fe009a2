"""Checks only the record of an exporter. Nothing is converted."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

from zoo.errors import ZooError
from zoo.exporting.runner import requirements, runner_files
from zoo.interfaces import Exporter
from zoo.registry import exporters
from zoo.testing.checks.record import Offence, summary_offences
from zoo.testing.exporter import ExporterSubject
from zoo.testing.result import CheckError

#: Number of arguments of each function.
_ARGUMENTS = {
    "convert": 3,
    "write_metadata": 2,
    "read_metadata": 1,
    "load": 2,
    "parts": 1,
    "stored": 1,
    "float_operators": 1,
}


def check_record(subject: ExporterSubject) -> str:
    exporter = subject.exporter
    for expected, seen, mend in (*summary_offences(exporter.summary), *_offences(exporter)):
        raise CheckError(expected, seen, mend)
    if exporter.name in exporters():
        try:
            exporters().offer(exporter.name)
        except ZooError as error:
            raise CheckError("only one distribution provides the name", error.message, error.hint or "") from error
    return f"{exporter.suffix}; {', '.join(exporter.precisions)}; runtime {exporter.runtime_module or 'none'}"


def _offences(exporter: Exporter) -> Iterator[Offence]:
    suffix = exporter.suffix
    if not suffix.startswith(".") or len(suffix) < 2 or suffix != suffix.strip().lower():
        yield "a suffix in lower case with its dot, such as '.onnx'", repr(suffix), "It is the suffix of every file."
    for name, count in _ARGUMENTS.items():
        function = getattr(exporter, name)
        if function is None:
            continue
        try:
            inspect.signature(function).bind(*[None] * count)
        except (TypeError, ValueError) as error:
            mend = "docs/reference/hooks.md lists the arguments of each function."
            yield f"{name} takes {count} arguments", str(error), mend
    from packaging.requirements import InvalidRequirement, Requirement

    for line in exporter.requires:
        try:
            Requirement(line)
        except InvalidRequirement as error:
            yield "requires contains valid requirements for pip", f"{line!r}: {error}", "Such as 'onnxruntime>=1.23'."
    try:
        runner_files(exporter)
        requirements(exporter)
    except ZooError as error:
        yield (
            "the runtime module can be copied to a device unchanged",
            error.message,
            error.hint or "Look at its imports.",
        )
